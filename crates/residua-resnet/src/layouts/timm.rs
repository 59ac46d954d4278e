//! timm's residual networks: `resnet*` and kin, `resnet*d`, `resnetv2_*` and the BiT networks.
//!
//! Facts that weights do not tell: `-D` shortcuts pool 2x2 with `ceil_mode` and without counting the padding; the stem pool of
//! `resnetv2` pads with −∞, that of BiT with zeros; BiT standardises the kernels of stem and blocks with 1e-8 added to
//! the variance. (Source: timm 1.0, `resnet.py`, `resnetv2.py`, `std_conv.py`.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::{BLOCK, POOLED_SHORTCUT, SHORTCUT};
use super::{Axes, Can, Headless, Layout, ModelClass, ModelLibrary, Row};
use crate::anatomy::{Order, Reads};
use crate::form::StemForm;
use crate::recipe::{Biases, Conventions, Norms, PoolEdge, Projections, TORCH};
use crate::slot::{Part, Place};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "timm",
    about: "timm's resnet*, resnext*, seresnet*, resnet*d, resnetv2_* and *_bit",
    model_classes: &[&RESNET_KIN, &RESNET_D_KIN, &RESNET_V2_KIN, &RESNET_V2_D_KIN, &BIT_KIN],
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

static RESNET_KIN: ModelClass = ModelClass {
    describe: "timm's ResNet",
    conventions: Conventions { layout: &RESNET, ..TORCH },
    can: RESNET_CAN,
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_D_KIN: ModelClass = ModelClass {
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

const V2_CAN: Can = Can { order: Order::Pre, channels: CHANNELS, bare: BARE, ..PLAIN };

static RESNET_V2_KIN: ModelClass = ModelClass {
    describe: "timm's pre-activated ResNet",
    conventions: V2,
    can: V2_CAN,
    headless: Headless::Features,
    classifier_as_conv: true,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static RESNET_V2_D_KIN: ModelClass = ModelClass {
    describe: "timm's pre-activated ResNet-D",
    conventions: V2,
    can: Can { pooled: true, stems: &[(StemForm::Deep, None)], norms: &[Norms::Batch, Norms::Group(GROUPS)], ..V2_CAN },
    headless: Headless::Features,
    classifier_as_conv: true,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static BIT_KIN: ModelClass = ModelClass {
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
static RESNET: Layout = Layout {
    name: "timm-resnet",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, GATE, SHORTCUT, HEAD],
};

/// Names of timm's ResNet, where projections pool.
static RESNET_D: Layout = Layout {
    name: "timm-resnet-d",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, GATE, POOLED_SHORTCUT, HEAD],
};

const STEM: &[Row] = &[
    (Place::Stem(Part::Conv(0)), "conv1"),
    (Place::Stem(Part::Norm(0)), "bn1"),
    (Place::Stem(Part::Activation(0)), "act1"),
    (Place::Stem(Part::Conv(1)), "conv1.0"),
    (Place::Stem(Part::Norm(1)), "conv1.1"),
    (Place::Stem(Part::Activation(1)), "conv1.2"),
    (Place::Stem(Part::Conv(2)), "conv1.3"),
    (Place::Stem(Part::Norm(2)), "conv1.4"),
    (Place::Stem(Part::Activation(2)), "conv1.5"),
    (Place::Stem(Part::Conv(3)), "conv1.6"),
    (Place::Stem(Part::Norm(3)), "bn1"),
    (Place::Stem(Part::Activation(3)), "act1"),
    (Place::Pool, "maxpool"),
];

const GATE: &[Row] = &[
    (block(Part::Gate(1)), "layer{s}.{b}.se.fc1"),
    (block(Part::GateActivation(1)), "layer{s}.{b}.se.act"),
    (block(Part::Gate(2)), "layer{s}.{b}.se.fc2"),
    (block(Part::GateActivation(2)), "layer{s}.{b}.se.gate"),
];

const HEAD: &[Row] =
    &[(Place::HeadPool, "global_pool.pool"), (Place::Flatten, "global_pool.flatten"), (Place::Dense(0), "fc")];

/// Names of timm's pre-activated networks.
static RESNET_V2: Layout = Layout {
    name: "timm-resnetv2",
    first_stage: 0,
    first_block: 0,
    block: "stages.{s}.blocks.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[&[
        (Place::Stem(Part::Conv(0)), "stem.conv"),
        (Place::Stem(Part::Conv(1)), "stem.conv1"),
        (Place::Stem(Part::Norm(1)), "stem.norm1"),
        (Place::Stem(Part::Activation(1)), "stem.act1"),
        (Place::Stem(Part::Conv(2)), "stem.conv2"),
        (Place::Stem(Part::Norm(2)), "stem.norm2"),
        (Place::Stem(Part::Activation(2)), "stem.act2"),
        (Place::Stem(Part::Conv(3)), "stem.conv3"),
        (Place::PoolPad, "stem.pad"),
        (Place::Pool, "stem.pool"),
        (block(Part::Norm(1)), "stages.{s}.blocks.{b}.norm1"),
        (block(Part::Conv(1)), "stages.{s}.blocks.{b}.conv1"),
        (block(Part::Norm(2)), "stages.{s}.blocks.{b}.norm2"),
        (block(Part::Conv(2)), "stages.{s}.blocks.{b}.conv2"),
        (block(Part::Norm(3)), "stages.{s}.blocks.{b}.norm3"),
        (block(Part::Conv(3)), "stages.{s}.blocks.{b}.conv3"),
        (block(Part::ShortcutPool), "stages.{s}.blocks.{b}.downsample.pool"),
        (block(Part::ShortcutConv), "stages.{s}.blocks.{b}.downsample.conv"),
        (Place::FinalNorm, "norm"),
        (Place::FinalActivation, "norm.act"),
        (Place::HeadPool, "head.global_pool"),
        (Place::Flatten, "head.flatten"),
        (Place::Dense(0), "head.fc"),
    ]],
};
