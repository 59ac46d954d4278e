//! `resnet-burn` (tracel-ai/models), as burn's own `SafetensorsStore` names and stores its parameters.
//!
//! Norms have `gamma` and `beta`, matrices are `[in, out]`; blocks lie under `blocks`. A block is an enum, and the store
//! puts the variant into the path unless it is told `skip_enum_variants(true)`. (Source: resnet-burn's `resnet.rs` and
//! `block.rs`; burn-store's collector and applier.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::TORCH;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::anatomy::BlockKind;
use crate::conventions::Conventions;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "burn",
    about: "resnet-burn as burn stores it: layer1.blocks.0.Basic.bn1.gamma; ResNet-18 to 152 in standard sizes",
    model_classes: &[&BASIC_CLASS, &BOTTLENECK_CLASS, &SKIPPED_CLASS],
};

const CAN: Can = Can { groups: false, only: &[18, 34, 50, 101, 152], channels: None, bare: None, ..PLAIN };

static BASIC_CLASS: ModelClass = ModelClass {
    describe: "resnet-burn's ResNet of basic blocks",
    conventions: Conventions { layout: &BASIC, ..TORCH },
    can: Can { blocks: &[BlockKind::Basic], ..CAN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};

static BOTTLENECK_CLASS: ModelClass = ModelClass {
    describe: "resnet-burn's ResNet of bottlenecks",
    conventions: Conventions { layout: &BOTTLENECK, ..TORCH },
    can: Can { blocks: &[BlockKind::Bottleneck], ..CAN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};

/// Read, and never written: the others hold whatever it can.
static SKIPPED_CLASS: ModelClass = ModelClass {
    describe: "resnet-burn's ResNet, stored with skip_enum_variants",
    conventions: Conventions { layout: &SKIPPED, ..TORCH },
    can: CAN,
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};

/// Names of resnet-burn with basic blocks.
static BASIC: NamingLayout = NamingLayout {
    name: "burn",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.blocks.{b}.Basic",
    optional: "",
    axes: Axes::Burn,
    rows: &[
        STEM,
        &[
            (block(Component::Conv(1)), "layer{s}.blocks.{b}.Basic.conv1"),
            (block(Component::Norm(1)), "layer{s}.blocks.{b}.Basic.bn1"),
            (block(Component::Conv(2)), "layer{s}.blocks.{b}.Basic.conv2"),
            (block(Component::Norm(2)), "layer{s}.blocks.{b}.Basic.bn2"),
            (block(Component::ShortcutConv), "layer{s}.blocks.{b}.Basic.downsample.conv"),
            (block(Component::ShortcutNorm), "layer{s}.blocks.{b}.Basic.downsample.bn"),
        ],
        HEAD,
    ],
};

/// Names of resnet-burn with bottlenecks.
static BOTTLENECK: NamingLayout = NamingLayout {
    name: "burn",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.blocks.{b}.Bottleneck",
    optional: "",
    axes: Axes::Burn,
    rows: &[
        STEM,
        &[
            (block(Component::Conv(1)), "layer{s}.blocks.{b}.Bottleneck.conv1"),
            (block(Component::Norm(1)), "layer{s}.blocks.{b}.Bottleneck.bn1"),
            (block(Component::Conv(2)), "layer{s}.blocks.{b}.Bottleneck.conv2"),
            (block(Component::Norm(2)), "layer{s}.blocks.{b}.Bottleneck.bn2"),
            (block(Component::Conv(3)), "layer{s}.blocks.{b}.Bottleneck.conv3"),
            (block(Component::Norm(3)), "layer{s}.blocks.{b}.Bottleneck.bn3"),
            (block(Component::ShortcutConv), "layer{s}.blocks.{b}.Bottleneck.downsample.conv"),
            (block(Component::ShortcutNorm), "layer{s}.blocks.{b}.Bottleneck.downsample.bn"),
        ],
        HEAD,
    ],
};

/// The same without the variants.
static SKIPPED: NamingLayout = NamingLayout {
    name: "burn",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.blocks.{b}",
    optional: "",
    axes: Axes::Burn,
    rows: &[
        STEM,
        &[
            (block(Component::Conv(1)), "layer{s}.blocks.{b}.conv1"),
            (block(Component::Norm(1)), "layer{s}.blocks.{b}.bn1"),
            (block(Component::Conv(2)), "layer{s}.blocks.{b}.conv2"),
            (block(Component::Norm(2)), "layer{s}.blocks.{b}.bn2"),
            (block(Component::Conv(3)), "layer{s}.blocks.{b}.conv3"),
            (block(Component::Norm(3)), "layer{s}.blocks.{b}.bn3"),
            (block(Component::ShortcutConv), "layer{s}.blocks.{b}.downsample.conv"),
            (block(Component::ShortcutNorm), "layer{s}.blocks.{b}.downsample.bn"),
        ],
        HEAD,
    ],
};

const STEM: &[Row] = &[(Position::Stem(Component::Conv(0)), "conv1"), (Position::Stem(Component::Norm(0)), "bn1")];

const HEAD: &[Row] = &[(Position::Dense(0), "fc")];
