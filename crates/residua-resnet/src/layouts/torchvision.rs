//! torchvision's ResNet, ResNeXt and wide ResNet: the names that most PyTorch code has taken over.

use residua_ir::Activation;

use super::keras::block;
use super::library::PLAIN;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::anatomy::Reads;
use crate::conventions::{Biases, Conventions, Framework, Norms, PoolEdge, Projections};
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "torchvision",
    about: "torchvision's ResNet, ResNeXt and wide ResNet: layer1.0.conv1.weight; v1.5 (stride on the 3x3)",
    model_classes: &[&CLASS],
};

/// torchvision.models.resnet.ResNet.
static CLASS: ModelClass = ModelClass {
    describe: "torchvision's ResNet",
    conventions: TORCH,
    can: Can {
        stems: &[
            (StemForm::Large, None),
            (
                StemForm::Small,
                Some("replace conv1 by a 3x3 of stride 1 and maxpool by Identity, as CIFAR networks have it"),
            ),
        ],
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

/// Names of torchvision's ResNet.
pub static TORCHVISION: NamingLayout = NamingLayout {
    name: "torchvision",
    first_stage: 1,
    first_block: 0,
    block: "layer{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, SHORTCUT, HEAD],
};

/// The stem and its pool.
pub(super) const STEM: &[Row] = &[
    (Position::Stem(Component::Conv(0)), "conv1"),
    (Position::Stem(Component::Norm(0)), "bn1"),
    (Position::Stem(Component::Activation(0)), "relu"),
    (Position::Pool, "maxpool"),
];

/// The main path of a block.
pub(super) const BLOCK: &[Row] = &[
    (block(Component::Conv(1)), "layer{s}.{b}.conv1"),
    (block(Component::Norm(1)), "layer{s}.{b}.bn1"),
    (block(Component::Conv(2)), "layer{s}.{b}.conv2"),
    (block(Component::Norm(2)), "layer{s}.{b}.bn2"),
    (block(Component::Conv(3)), "layer{s}.{b}.conv3"),
    (block(Component::Norm(3)), "layer{s}.{b}.bn3"),
];

/// A projection.
pub(super) const SHORTCUT: &[Row] = &[
    (block(Component::ShortcutConv), "layer{s}.{b}.downsample.0"),
    (block(Component::ShortcutNorm), "layer{s}.{b}.downsample.1"),
];

/// A projection behind a pool.
pub(super) const POOLED_SHORTCUT: &[Row] = &[
    (block(Component::ShortcutPool), "layer{s}.{b}.downsample.0"),
    (block(Component::ShortcutConv), "layer{s}.{b}.downsample.1"),
    (block(Component::ShortcutNorm), "layer{s}.{b}.downsample.2"),
];

/// Pool and classifier.
pub(super) const HEAD: &[Row] =
    &[(Position::HeadPool, "avgpool"), (Position::Flatten, "flatten"), (Position::Dense(0), "fc")];

/// What torchvision's ResNet settles, and nearly all that came after it.
pub(crate) const TORCH: Conventions = Conventions {
    layout: &TORCHVISION,
    framework: Framework::Torch,
    norms: Norms::Batch,
    epsilon: 1e-5,
    activation: Activation::RELU,
    inner_activation: None,
    biases: Biases::None,
    gate_biases: true,
    standardised: None,
    stem_norm: true,
    pool_edge: PoolEdge::Nothing,
    first_stride: 1,
    projections: Projections::WhereChanged,
    shortcut_norm: true,
    shortcut_reads: Reads::Raw,
    pad_layers: false,
};
