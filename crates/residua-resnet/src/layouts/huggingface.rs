//! Hugging Face transformers: `ResNetForImageClassification`, `BitForImageClassification` and their bare models.
//!
//! `config.json` says where the stride is (`downsample_in_bottleneck`, `downsample_in_first_stage`), the groups of norms and the
//! activation. Bare models lack the prefix `resnet.` or `bit.`. (Source: transformers 5, `modeling_resnet.py`, `modeling_bit.py`.)

use residua_ir::Activation;

use super::keras::block;
use super::library::{Inner, PLAIN};
use super::torchvision::TORCH;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout};
use crate::anatomy::{ActivationOrder, BlockKind, Reads};
use crate::conventions::{Conventions, Norms, PoolEdge};
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "huggingface",
    about: "Hugging Face transformers' ResNet and BiT, with config.json beside; v1.5, or v1 by its configuration",
    model_classes: &[&RESNET_CLASS, &BIT_CLASS],
};

static RESNET_CLASS: ModelClass = ModelClass {
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

static BIT_CLASS: ModelClass = ModelClass {
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
        order: ActivationOrder::Pre,
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
static RESNET: NamingLayout = NamingLayout {
    name: "huggingface-resnet",
    first_stage: 0,
    first_block: 0,
    block: "resnet.encoder.stages.{s}.layers.{b}",
    optional: "resnet.",
    axes: Axes::Torch,
    rows: &[&[
        (Position::Stem(Component::Conv(0)), "resnet.embedder.embedder.convolution"),
        (Position::Stem(Component::Norm(0)), "resnet.embedder.embedder.normalization"),
        (Position::Stem(Component::Activation(0)), "resnet.embedder.embedder.activation"),
        (Position::Pool, "resnet.embedder.pooler"),
        (block(Component::Conv(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.convolution"),
        (block(Component::Norm(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.normalization"),
        (block(Component::Activation(1)), "resnet.encoder.stages.{s}.layers.{b}.layer.0.activation"),
        (block(Component::Conv(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.convolution"),
        (block(Component::Norm(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.normalization"),
        (block(Component::Activation(2)), "resnet.encoder.stages.{s}.layers.{b}.layer.1.activation"),
        (block(Component::Conv(3)), "resnet.encoder.stages.{s}.layers.{b}.layer.2.convolution"),
        (block(Component::Norm(3)), "resnet.encoder.stages.{s}.layers.{b}.layer.2.normalization"),
        (block(Component::ShortcutConv), "resnet.encoder.stages.{s}.layers.{b}.shortcut.convolution"),
        (block(Component::ShortcutNorm), "resnet.encoder.stages.{s}.layers.{b}.shortcut.normalization"),
        (block(Component::Output), "resnet.encoder.stages.{s}.layers.{b}.activation"),
        (Position::HeadPool, "resnet.pooler"),
        (Position::Flatten, "classifier.0"),
        (Position::Dense(0), "classifier.1"),
    ]],
};

/// Names of transformers' BiT.
static BIT: NamingLayout = NamingLayout {
    name: "huggingface-bit",
    first_stage: 0,
    first_block: 0,
    block: "bit.encoder.stages.{s}.layers.{b}",
    optional: "bit.",
    axes: Axes::Torch,
    rows: &[&[
        (Position::Stem(Component::Conv(0)), "bit.embedder.convolution"),
        (Position::PoolPad, "bit.embedder.pad"),
        (Position::Pool, "bit.embedder.pooler"),
        (block(Component::Norm(1)), "bit.encoder.stages.{s}.layers.{b}.norm1"),
        (block(Component::Conv(1)), "bit.encoder.stages.{s}.layers.{b}.conv1"),
        (block(Component::Norm(2)), "bit.encoder.stages.{s}.layers.{b}.norm2"),
        (block(Component::Conv(2)), "bit.encoder.stages.{s}.layers.{b}.conv2"),
        (block(Component::Norm(3)), "bit.encoder.stages.{s}.layers.{b}.norm3"),
        (block(Component::Conv(3)), "bit.encoder.stages.{s}.layers.{b}.conv3"),
        (block(Component::ShortcutConv), "bit.encoder.stages.{s}.layers.{b}.downsample.conv"),
        (Position::FinalNorm, "bit.norm"),
        (Position::FinalActivation, "bit.norm.activation"),
        (Position::HeadPool, "bit.pooler"),
        (Position::Flatten, "classifier.0"),
        (Position::Dense(0), "classifier.1"),
    ]],
};
