//! Hugging Face transformers: `ResNetForImageClassification`, `BitForImageClassification` and their bare models.
//!
//! `config.json` says where the stride is (`downsample_in_bottleneck`, `downsample_in_first_stage`), the groups of norms and the
//! activation. Bare models lack the prefix `resnet.` or `bit.`. (Source: transformers 5, `modeling_resnet.py`, `modeling_bit.py`.)

use residua_ir::Activation;

use super::keras::block;
use super::library::{Inner, PLAIN};
use super::{Axes, Can, Headless, Layout, ModelClass, ModelLibrary};
use crate::anatomy::{BlockKind, Order, Reads};
use crate::recipe::{Conventions, Norms, PoolEdge, TORCH};
use crate::slot::{Part, Place};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "huggingface",
    about: "Hugging Face transformers' ResNet and BiT, with config.json beside; v1.5, or v1 by its configuration",
    model_classes: &[&RESNET_KIN, &BIT_KIN],
};

static RESNET_KIN: ModelClass = ModelClass {
    describe: "transformers' ResNet",
    // `hidden_act` is that of the stem and behind the sums alone.
    conventions: Conventions { layout: &RESNET, inner_activation: Some(Activation::RELU), ..TORCH },
    can: Can {
        // Both are in config.json, which is written beside the weights.
        stride_on: &[(2, None), (1, None)],
        first_stride: &[(1, None), (2, None)],
        inner: Inner::Quarter,
        configured: true,
        groups: false,
        ..PLAIN
    },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: true,
};

static BIT_KIN: ModelClass = ModelClass {
    describe: "transformers' BiT",
    conventions: Conventions {
        layout: &BIT,
        norms: Norms::Group(32),
        standardised: Some(1e-8),
        stem_norm: false,
        pool_edge: PoolEdge::Zeros,
        shortcut_norm: false,
        shortcut_reads: Reads::Preactivated,
        ..TORCH
    },
    can: Can {
        blocks: &[BlockKind::Bottleneck],
        order: Order::Pre,
        inner: Inner::QuarterInEights,
        configured: true,
        groups: false,
        norms: &[Norms::Group(32)],
        ..PLAIN
    },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: true,
};

/// Names of transformers' ResNet.
static RESNET: Layout = Layout {
    name: "huggingface-resnet",
    first_stage: 0,
    first_block: 0,
    block: "resnet.encoder.stages.{s}.layers.{b}",
    optional: "resnet.",
    axes: Axes::Torch,
    rows: &[&[
        (Place::Stem(Part::Conv(0)), "resnet.embedder.embedder.convolution"),
        (Place::Stem(Part::Norm(0)), "resnet.embedder.embedder.normalization"),
        (Place::Stem(Part::Activation(0)), "resnet.embedder.embedder.activation"),
        (Place::Pool, "resnet.embedder.pooler"),
        (block(Part::Conv(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.convolution"),
        (block(Part::Norm(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.normalization"),
        (block(Part::Activation(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.activation"),
        (block(Part::Conv(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.convolution"),
        (block(Part::Norm(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.normalization"),
        (block(Part::Activation(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.activation"),
        (block(Part::Conv(3)), "resnet.encoder.stages.{s}.layers.{b}.layer.2.convolution"),
        (block(Part::Norm(3)), "resnet.encoder.stages.{s}.layers.{b}.layer.2.normalization"),
        (block(Part::ShortcutConv), "resnet.encoder.stages.{s}.layers.{b}.shortcut.convolution"),
        (block(Part::ShortcutNorm), "resnet.encoder.stages.{s}.layers.{b}.shortcut.normalization"),
        (block(Part::Output), "resnet.encoder.stages.{s}.layers.{b}.activation"),
        (Place::HeadPool, "resnet.pooler"),
        (Place::Flatten, "classifier.0"),
        (Place::Dense(0), "classifier.1"),
    ]],
};

/// Names of transformers' BiT.
static BIT: Layout = Layout {
    name: "huggingface-bit",
    first_stage: 0,
    first_block: 0,
    block: "bit.encoder.stages.{s}.layers.{b}",
    optional: "bit.",
    axes: Axes::Torch,
    rows: &[&[
        (Place::Stem(Part::Conv(0)), "bit.embedder.convolution"),
        (Place::PoolPad, "bit.embedder.pad"),
        (Place::Pool, "bit.embedder.pooler"),
        (block(Part::Norm(1)), "bit.encoder.stages.{s}.layers.{b}.norm1"),
        (block(Part::Conv(1)), "bit.encoder.stages.{s}.layers.{b}.conv1"),
        (block(Part::Norm(2)), "bit.encoder.stages.{s}.layers.{b}.norm2"),
        (block(Part::Conv(2)), "bit.encoder.stages.{s}.layers.{b}.conv2"),
        (block(Part::Norm(3)), "bit.encoder.stages.{s}.layers.{b}.norm3"),
        (block(Part::Conv(3)), "bit.encoder.stages.{s}.layers.{b}.conv3"),
        (block(Part::ShortcutConv), "bit.encoder.stages.{s}.layers.{b}.downsample.conv"),
        (Place::FinalNorm, "bit.norm"),
        (Place::FinalActivation, "bit.norm.activation"),
        (Place::HeadPool, "bit.pooler"),
        (Place::Flatten, "classifier.0"),
        (Place::Dense(0), "classifier.1"),
    ]],
};
