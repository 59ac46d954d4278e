//! Squeeze-and-excitation networks as Cadene's pretrained-models and moskomule's senet.pytorch name them.
//!
//! Facts that weights do not tell: Cadene's SE-ResNet has a bottleneck's stride on its first 1x1, its SE-ResNeXt on the 3x3, and
//! in both the stem's pool does not pad, and its last window may stick out. (Source: pretrainedmodels 0.7.4, `senet.py`;
//! senet.pytorch, `senet/se_resnet.py` and `se_module.py`, which is torchvision's ResNet with gates of matrices without
//! biases.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::{self, BLOCK, SHORTCUT, TORCH};
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::anatomy::BlockKind;
use crate::conventions::{Conventions, PoolEdge};
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "senet",
    about: "SE networks of Cadene (layer1.0.se_module.fc1, last_linear) and moskomule (layer1.0.se.fc.0, fc)",
    model_classes: &[&SE_RESNET_CLASS, &SE_RESNEXT_CLASS, &MATRICES_CLASS],
};

static SE_RESNET_CLASS: ModelClass = ModelClass {
    describe: "Cadene's SE-ResNet",
    conventions: CADENE,
    can: Can { stride_on: &[(1, None)], groups: false, ..CADENE_CAN },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static SE_RESNEXT_CLASS: ModelClass = ModelClass {
    describe: "Cadene's SE-ResNeXt",
    conventions: CADENE,
    can: CADENE_CAN,
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

static MATRICES_CLASS: ModelClass = ModelClass {
    describe: "torchvision's ResNet with gates of matrices",
    conventions: Conventions { layout: &MATRICES, gate_biases: false, ..TORCH },
    can: Can {
        stems: &[
            (StemForm::Large, None),
            (StemForm::Small, Some("build it for CIFAR: conv1 a 3x3 of stride 1, no pool")),
        ],
        gates: true,
        always_gated: true,
        channels: Some("replace conv1 by one of in_channels={n}"),
        bare: Some("replace fc by Identity"),
        ..PLAIN
    },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

const CADENE_CAN: Can = Can {
    blocks: &[BlockKind::Bottleneck],
    gates: true,
    always_gated: true,
    channels: None,
    bare: Some("replace last_linear by Identity"),
    ..PLAIN
};

const CADENE: Conventions = Conventions { layout: &SE_MODULES, pool_edge: PoolEdge::Ceil, ..TORCH };

/// Names of Cadene's networks.
static SE_MODULES: NamingLayout = NamingLayout {
    name: "cadene-senet",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[
        &[
            (Position::Stem(Component::Conv(0)), "layer0.conv1"),
            (Position::Stem(Component::Norm(0)), "layer0.bn1"),
            (Position::Stem(Component::Activation(0)), "layer0.relu1"),
            (Position::Pool, "layer0.pool"),
            (block(Component::Gate(1)), "layer{s}.{b}.se_module.fc1"),
            (block(Component::GateActivation(1)), "layer{s}.{b}.se_module.relu"),
            (block(Component::Gate(2)), "layer{s}.{b}.se_module.fc2"),
            (block(Component::GateActivation(2)), "layer{s}.{b}.se_module.sigmoid"),
            (Position::HeadPool, "avg_pool"),
            (Position::Flatten, "flatten"),
            (Position::Dense(0), "last_linear"),
        ],
        BLOCK,
        SHORTCUT,
    ],
};

/// Names of moskomule's networks.
static MATRICES: NamingLayout = NamingLayout {
    name: "moskomule-senet",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::TorchGateMatrices,
    rows: &[torchvision::STEM, BLOCK, GATE, SHORTCUT, torchvision::HEAD],
};

const GATE: &[Row] = &[
    (block(Component::Gate(1)), "layer{s}.{b}.se.fc.0"),
    (block(Component::GateActivation(1)), "layer{s}.{b}.se.fc.1"),
    (block(Component::Gate(2)), "layer{s}.{b}.se.fc.2"),
    (block(Component::GateActivation(2)), "layer{s}.{b}.se.fc.3"),
];
