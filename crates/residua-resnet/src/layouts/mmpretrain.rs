//! mmpretrain (once mmcls): ResNet and ResNetV1d under `backbone.`, the classifier under `head.`.
//!
//! `style="pytorch"`, the default, has the stride on the 3x3, `style="caffe"` on the first 1x1. A deep stem is three modules of
//! convolution, norm and activation each. (Source: mmpretrain 1.2, `backbones/resnet.py`; mmcv's `ConvModule`.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::TORCH;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::conventions::Conventions;
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "mmpretrain",
    about: "mmpretrain's ResNet and ResNetV1d: backbone.layer1.0.conv1.weight, head.fc.weight",
    model_classes: &[&RESNET_CLASS, &RESNET_D_CLASS],
};

const CAN: Can = Can {
    stems: &[(StemForm::Large, None), (StemForm::Deep, Some("build the backbone with deep_stem=True"))],
    stride_on: &[(2, None), (1, Some("build the backbone with style=\"caffe\""))],
    channels: Some("build the backbone with in_channels={n}"),
    ..PLAIN
};

static RESNET_CLASS: ModelClass = ModelClass {
    describe: "mmpretrain's ResNet",
    conventions: Conventions { layout: &RESNET, ..TORCH },
    can: CAN,
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_D_CLASS: ModelClass = ModelClass {
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
static RESNET: NamingLayout = NamingLayout {
    name: "mmpretrain",
    first_stage: 1,
    first_block: 0,
    block: "backbone.layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, SHORTCUT, HEAD],
};

/// Names of mmpretrain's ResNetV1d.
static RESNET_D: NamingLayout = NamingLayout {
    name: "mmpretrain-d",
    first_stage: 1,
    first_block: 0,
    block: "backbone.layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, POOLED_SHORTCUT, HEAD],
};

const STEM: &[Row] = &[
    (Position::Stem(Component::Conv(0)), "backbone.conv1"),
    (Position::Stem(Component::Norm(0)), "backbone.bn1"),
    (Position::Stem(Component::Activation(0)), "backbone.relu"),
    (Position::Stem(Component::Conv(1)), "backbone.stem.0.conv"),
    (Position::Stem(Component::Norm(1)), "backbone.stem.0.bn"),
    (Position::Stem(Component::Activation(1)), "backbone.stem.0.activate"),
    (Position::Stem(Component::Conv(2)), "backbone.stem.1.conv"),
    (Position::Stem(Component::Norm(2)), "backbone.stem.1.bn"),
    (Position::Stem(Component::Activation(2)), "backbone.stem.1.activate"),
    (Position::Stem(Component::Conv(3)), "backbone.stem.2.conv"),
    (Position::Stem(Component::Norm(3)), "backbone.stem.2.bn"),
    (Position::Stem(Component::Activation(3)), "backbone.stem.2.activate"),
    (Position::Pool, "backbone.maxpool"),
];

const BLOCK: &[Row] = &[
    (block(Component::Conv(1)), "backbone.layer{s}.{b}.conv1"),
    (block(Component::Norm(1)), "backbone.layer{s}.{b}.bn1"),
    (block(Component::Conv(2)), "backbone.layer{s}.{b}.conv2"),
    (block(Component::Norm(2)), "backbone.layer{s}.{b}.bn2"),
    (block(Component::Conv(3)), "backbone.layer{s}.{b}.conv3"),
    (block(Component::Norm(3)), "backbone.layer{s}.{b}.bn3"),
];

const SHORTCUT: &[Row] = &[
    (block(Component::ShortcutConv), "backbone.layer{s}.{b}.downsample.0"),
    (block(Component::ShortcutNorm), "backbone.layer{s}.{b}.downsample.1"),
];

/// Where a block has no stride there is no pool either, and what is behind it moves up.
const POOLED_SHORTCUT: &[Row] = &[
    (block(Component::ShortcutPool), "backbone.layer{S}.{b}.downsample.0"),
    (block(Component::ShortcutConv), "backbone.layer{S}.{b}.downsample.1"),
    (block(Component::ShortcutConv), "backbone.layer1.{b}.downsample.0"),
    (block(Component::ShortcutNorm), "backbone.layer{S}.{b}.downsample.2"),
    (block(Component::ShortcutNorm), "backbone.layer1.{b}.downsample.1"),
];

const HEAD: &[Row] =
    &[(Position::HeadPool, "neck.gap"), (Position::Flatten, "neck.flatten"), (Position::Dense(0), "head.fc")];
