//! CIFAR ResNets as akamaster's and kuangliu's repositories name them.
//!
//! akamaster's networks (20 to 1202) have option A: every second pixel, and channels of zeros. kuangliu's have the same names with
//! projections `shortcut.0`, `shortcut.1` and four stages.

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::{BLOCK, TORCH};
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::anatomy::BlockKind;
use crate::conventions::{Conventions, Projections};
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "akamaster",
    about: "CIFAR ResNets of akamaster (option A, 20 to 1202) and kuangliu (projections): layer1.0.conv1.weight, linear",
    model_classes: &[&OPTION_A_CLASS, &OPTION_B_CLASS],
};

const CAN: Can = Can {
    stems: &[(StemForm::Small, None)],
    groups: false,
    channels: Some("replace conv1 by one of in_channels={n}"),
    bare: Some("replace linear by Identity"),
    ..PLAIN
};

static OPTION_A_CLASS: ModelClass = ModelClass {
    describe: "akamaster's CIFAR ResNet with option A",
    conventions: Conventions { layout: &CIFAR, projections: Projections::Pad, ..TORCH },
    can: Can { blocks: &[BlockKind::Basic], ..CAN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static OPTION_B_CLASS: ModelClass = ModelClass {
    describe: "a CIFAR ResNet with projections",
    conventions: Conventions { layout: &CIFAR, ..TORCH },
    can: CAN,
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

/// Names of CIFAR ResNets.
static CIFAR: NamingLayout = NamingLayout {
    name: "akamaster",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, SHORTCUT, HEAD],
};

const STEM: &[Row] = &[(Position::Stem(Component::Conv(0)), "conv1"), (Position::Stem(Component::Norm(0)), "bn1")];

const SHORTCUT: &[Row] = &[
    (block(Component::ShortcutConv), "layer{s}.{b}.shortcut.0"),
    (block(Component::ShortcutNorm), "layer{s}.{b}.shortcut.1"),
];

const HEAD: &[Row] = &[(Position::Dense(0), "linear")];
