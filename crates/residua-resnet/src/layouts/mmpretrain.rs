//! mmpretrain (once mmcls): ResNet and ResNetV1d under `backbone.`, the classifier under `head.`.
//!
//! `style="pytorch"`, the default, has the stride on the 3x3, `style="caffe"` on the first 1x1. A deep stem is three modules of
//! convolution, norm and activation each. (Source: mmpretrain 1.2, `backbones/resnet.py`; mmcv's `ConvModule`.)

use super::keras::block;
use super::library::PLAIN;
use super::{Axes, Can, Headless, Layout, ModelClass, ModelLibrary, Row};
use crate::form::StemForm;
use crate::recipe::{Conventions, TORCH};
use crate::slot::{Part, Place};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "mmpretrain",
    about: "mmpretrain's ResNet and ResNetV1d: backbone.layer1.0.conv1.weight, head.fc.weight",
    model_classes: &[&RESNET_KIN, &RESNET_D_KIN],
};

const CAN: Can = Can {
    stems: &[(StemForm::Large, None), (StemForm::Deep, Some("build the backbone with deep_stem=True"))],
    stride_on: &[(2, None), (1, Some("build the backbone with style=\"caffe\""))],
    channels: Some("build the backbone with in_channels={n}"),
    ..PLAIN
};

static RESNET_KIN: ModelClass = ModelClass {
    describe: "mmpretrain's ResNet",
    conventions: Conventions { layout: &RESNET, ..TORCH },
    can: CAN,
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_D_KIN: ModelClass = ModelClass {
    describe: "mmpretrain's ResNetV1d",
    conventions: Conventions { layout: &RESNET_D, ..TORCH },
    can: Can { pooled: true, stride_on: &[(2, None)], ..CAN },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

/// Names of mmpretrain's ResNet.
static RESNET: Layout = Layout {
    name: "mmpretrain",
    first_stage: 1,
    first_block: 0,
    block: "backbone.layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, SHORTCUT, HEAD],
};

/// Names of mmpretrain's ResNetV1d.
static RESNET_D: Layout = Layout {
    name: "mmpretrain-d",
    first_stage: 1,
    first_block: 0,
    block: "backbone.layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, POOLED_SHORTCUT, HEAD],
};

const STEM: &[Row] = &[
    (Place::Stem(Part::Conv(0)), "backbone.conv1"),
    (Place::Stem(Part::Norm(0)), "backbone.bn1"),
    (Place::Stem(Part::Activation(0)), "backbone.relu"),
    (Place::Stem(Part::Conv(1)), "backbone.stem.0.conv"),
    (Place::Stem(Part::Norm(1)), "backbone.stem.0.bn"),
    (Place::Stem(Part::Activation(1)), "backbone.stem.0.activate"),
    (Place::Stem(Part::Conv(2)), "backbone.stem.1.conv"),
    (Place::Stem(Part::Norm(2)), "backbone.stem.1.bn"),
    (Place::Stem(Part::Activation(2)), "backbone.stem.1.activate"),
    (Place::Stem(Part::Conv(3)), "backbone.stem.2.conv"),
    (Place::Stem(Part::Norm(3)), "backbone.stem.2.bn"),
    (Place::Stem(Part::Activation(3)), "backbone.stem.2.activate"),
    (Place::Pool, "backbone.maxpool"),
];

const BLOCK: &[Row] = &[
    (block(Part::Conv(1)), "backbone.layer{s}.{b}.conv1"),
    (block(Part::Norm(1)), "backbone.layer{s}.{b}.bn1"),
    (block(Part::Conv(2)), "backbone.layer{s}.{b}.conv2"),
    (block(Part::Norm(2)), "backbone.layer{s}.{b}.bn2"),
    (block(Part::Conv(3)), "backbone.layer{s}.{b}.conv3"),
    (block(Part::Norm(3)), "backbone.layer{s}.{b}.bn3"),
];

const SHORTCUT: &[Row] = &[
    (block(Part::ShortcutConv), "backbone.layer{s}.{b}.downsample.0"),
    (block(Part::ShortcutNorm), "backbone.layer{s}.{b}.downsample.1"),
];

/// Where a block has no stride there is no pool either, and what is behind it moves up.
const POOLED_SHORTCUT: &[Row] = &[
    (block(Part::ShortcutPool), "backbone.layer{S}.{b}.downsample.0"),
    (block(Part::ShortcutConv), "backbone.layer{S}.{b}.downsample.1"),
    (block(Part::ShortcutConv), "backbone.layer1.{b}.downsample.0"),
    (block(Part::ShortcutNorm), "backbone.layer{S}.{b}.downsample.2"),
    (block(Part::ShortcutNorm), "backbone.layer1.{b}.downsample.1"),
];

const HEAD: &[Row] = &[(Place::HeadPool, "neck.gap"), (Place::Flatten, "neck.flatten"), (Place::Dense(0), "head.fc")];
