//! timm's residual networks: `resnet*` and kin, `resnet*d`, `resnetv2_*` and the BiT networks.
//!
//! Facts that weights do not tell: `-D` shortcuts pool 2x2 with `ceil_mode` and without counting the padding; the stem pool of
//! `resnetv2` pads with −∞, that of BiT with zeros; BiT standardises the kernels of stem and blocks with 1e-8 added to
//! the variance. (Source: timm 1.0, `resnet.py`, `resnetv2.py`, `std_conv.py`.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::{BLOCK, POOLED_SHORTCUT, SHORTCUT, TORCH};
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::anatomy::{ActivationOrder, Reads};
use crate::conventions::{Biases, Conventions, Norms, PoolEdge, Projections};
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "timm",
    about: "timm's resnet*, resnext*, seresnet*, resnet*d, resnetv2_* and *_bit",
    model_classes: &[&RESNET_CLASS, &RESNET_D_CLASS, &RESNET_V2_CLASS, &RESNET_V2_D_CLASS, &BIT_CLASS],
};

const GROUPS: usize = 32;
const CHANNELS: Option<&str> = Some("create it with in_chans={n}");
const BARE: Option<&str> = Some("create it with num_classes=0");

const RESNET_CAN: Can = Can {
    stems: &[(StemForm::Large, None), (StemForm::Deep, None)],
    gates: true,
    channels: CHANNELS,
    bare: BARE,
    norms: &[Norms::Batch, Norms::Group(GROUPS)],
    ..PLAIN
};

static RESNET_CLASS: ModelClass = ModelClass {
    describe: "timm's ResNet",
    conventions: Conventions { layout: &RESNET, ..TORCH },
    can: RESNET_CAN,
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_D_CLASS: ModelClass = ModelClass {
    describe: "timm's ResNet-D",
    conventions: Conventions { layout: &RESNET_D, ..TORCH },
    can: Can { pooled: true, ..RESNET_CAN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

const V2: Conventions = Conventions {
    layout: &RESNET_V2,
    stem_norm: false,
    projections: Projections::FirstBottleneck,
    shortcut_norm: false,
    shortcut_reads: Reads::Preactivated,
    biases: Biases::None,
    ..TORCH
};

const V2_CAN: Can = Can { order: ActivationOrder::Pre, channels: CHANNELS, bare: BARE, ..PLAIN };

static RESNET_V2_CLASS: ModelClass = ModelClass {
    describe: "timm's pre-activated ResNet",
    conventions: V2,
    can: V2_CAN,
    headless: Headless::Features,
    classifier_as_conv: true,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_V2_D_CLASS: ModelClass = ModelClass {
    describe: "timm's pre-activated ResNet-D",
    conventions: V2,
    can: Can { pooled: true, stems: &[(StemForm::Deep, None)], norms: &[Norms::Batch, Norms::Group(GROUPS)], ..V2_CAN },
    headless: Headless::Features,
    classifier_as_conv: true,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static BIT_CLASS: ModelClass = ModelClass {
    describe: "timm's BiT network",
    conventions: Conventions {
        norms: Norms::Group(GROUPS),
        standardised: Some(1e-8),
        pool_edge: PoolEdge::Zeros,
        ..V2
    },
    can: Can { norms: &[Norms::Group(GROUPS)], ..V2_CAN },
    headless: Headless::Features,
    classifier_as_conv: true,
    softmax: false,
    counters: true,
    sets_groups: false,
};

/// Names of timm's ResNet, where projections do not pool.
static RESNET: NamingLayout = NamingLayout {
    name: "timm-resnet",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, GATE, SHORTCUT, HEAD],
};

/// Names of timm's ResNet, where projections pool.
static RESNET_D: NamingLayout = NamingLayout {
    name: "timm-resnet-d",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, GATE, POOLED_SHORTCUT, HEAD],
};

const STEM: &[Row] = &[
    (Position::Stem(Component::Conv(0)), "conv1"),
    (Position::Stem(Component::Norm(0)), "bn1"),
    (Position::Stem(Component::Activation(0)), "act1"),
    (Position::Stem(Component::Conv(1)), "conv1.0"),
    (Position::Stem(Component::Norm(1)), "conv1.1"),
    (Position::Stem(Component::Activation(1)), "conv1.2"),
    (Position::Stem(Component::Conv(2)), "conv1.3"),
    (Position::Stem(Component::Norm(2)), "conv1.4"),
    (Position::Stem(Component::Activation(2)), "conv1.5"),
    (Position::Stem(Component::Conv(3)), "conv1.6"),
    (Position::Stem(Component::Norm(3)), "bn1"),
    (Position::Stem(Component::Activation(3)), "act1"),
    (Position::Pool, "maxpool"),
];

const GATE: &[Row] = &[
    (block(Component::Gate(1)), "layer{s}.{b}.se.fc1"),
    (block(Component::GateActivation(1)), "layer{s}.{b}.se.act"),
    (block(Component::Gate(2)), "layer{s}.{b}.se.fc2"),
    (block(Component::GateActivation(2)), "layer{s}.{b}.se.gate"),
];

const HEAD: &[Row] =
    &[(Position::HeadPool, "global_pool.pool"), (Position::Flatten, "global_pool.flatten"), (Position::Dense(0), "fc")];

/// Names of timm's pre-activated networks.
static RESNET_V2: NamingLayout = NamingLayout {
    name: "timm-resnetv2",
    first_stage: 0,
    first_block: 0,
    block: "stages.{s}.blocks.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[&[
        (Position::Stem(Component::Conv(0)), "stem.conv"),
        (Position::Stem(Component::Conv(1)), "stem.conv1"),
        (Position::Stem(Component::Norm(1)), "stem.norm1"),
        (Position::Stem(Component::Activation(1)), "stem.act1"),
        (Position::Stem(Component::Conv(2)), "stem.conv2"),
        (Position::Stem(Component::Norm(2)), "stem.norm2"),
        (Position::Stem(Component::Activation(2)), "stem.act2"),
        (Position::Stem(Component::Conv(3)), "stem.conv3"),
        (Position::PoolPad, "stem.pad"),
        (Position::Pool, "stem.pool"),
        (block(Component::Norm(1)), "stages.{s}.blocks.{b}.norm1"),
        (block(Component::Conv(1)), "stages.{s}.blocks.{b}.conv1"),
        (block(Component::Norm(2)), "stages.{s}.blocks.{b}.norm2"),
        (block(Component::Conv(2)), "stages.{s}.blocks.{b}.conv2"),
        (block(Component::Norm(3)), "stages.{s}.blocks.{b}.norm3"),
        (block(Component::Conv(3)), "stages.{s}.blocks.{b}.conv3"),
        (block(Component::ShortcutPool), "stages.{s}.blocks.{b}.downsample.pool"),
        (block(Component::ShortcutConv), "stages.{s}.blocks.{b}.downsample.conv"),
        (Position::FinalNorm, "norm"),
        (Position::FinalActivation, "norm.act"),
        (Position::HeadPool, "head.global_pool"),
        (Position::Flatten, "head.flatten"),
        (Position::Dense(0), "head.fc"),
    ]],
};
