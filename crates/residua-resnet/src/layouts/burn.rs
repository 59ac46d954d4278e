//! `resnet-burn` (tracel-ai/models), as burn's own `SafetensorsStore` names and stores its parameters.
//!
//! Norms have `gamma` and `beta`, matrices are `[in, out]`; blocks lie under `blocks`. (Source: resnet-burn's
//! `resnet.rs` and `block.rs`; burn-store's safetensors store.)

use super::keras::block;
use super::zoo::PLAIN;
use super::{Axes, Can, Headless, Kin, Layout, Zoo};
use crate::recipe::{Conventions, TORCH};
use crate::slot::{Part, Place};

pub(super) static ZOO: Zoo = Zoo {
    name: "burn",
    about: "resnet-burn's parameters as burn stores them: layer1.blocks.0.bn1.gamma; ResNet-18 to 152 in standard sizes",
    kins: &[&KIN],
};

static KIN: Kin = Kin {
    describe: "resnet-burn's ResNet",
    conventions: Conventions { layout: &BURN, ..TORCH },
    can: Can { groups: false, only: &[18, 34, 50, 101, 152], ..PLAIN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};

/// Names of resnet-burn.
static BURN: Layout = Layout {
    name: "burn",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.blocks.{b}",
    optional: "",
    axes: Axes::Burn,
    rows: &[&[
        (Place::Stem(Part::Conv(0)), "conv1"),
        (Place::Stem(Part::Norm(0)), "bn1"),
        (block(Part::Conv(1)), "layer{s}.blocks.{b}.conv1"),
        (block(Part::Norm(1)), "layer{s}.blocks.{b}.bn1"),
        (block(Part::Conv(2)), "layer{s}.blocks.{b}.conv2"),
        (block(Part::Norm(2)), "layer{s}.blocks.{b}.bn2"),
        (block(Part::Conv(3)), "layer{s}.blocks.{b}.conv3"),
        (block(Part::Norm(3)), "layer{s}.blocks.{b}.bn3"),
        (block(Part::ShortcutConv), "layer{s}.blocks.{b}.downsample.conv"),
        (block(Part::ShortcutNorm), "layer{s}.blocks.{b}.downsample.bn"),
        (Place::Dense(0), "fc"),
    ]],
};
