//! torchvision's ResNet taken apart and put into a `Sequential`, as feature extractors are made: children have their numbers as
//! names.
//!
//! `Sequential(*list(resnet.children())[:-1])` has the stem at 0 to 3, the stages at 4 to 7 and the mean at 8. Behind that, a
//! classifier needs a `Flatten` (9), so it is 10. (Source: torchvision 0.24, the order of `ResNet.__init__`; torch 2.9,
//! `nn.Sequential`.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::TORCH;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout, Row};
use crate::conventions::Conventions;
use crate::form::StemForm;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "sequential",
    about: "torchvision's ResNet as Sequential(*resnet.children()): 4.0.conv1.weight; a classifier is 10, behind a Flatten",
    model_classes: &[&CLASS],
};

static CLASS: ModelClass = ModelClass {
    describe: "torchvision's ResNet in a Sequential",
    conventions: Conventions { layout: &CHILDREN, ..TORCH },
    can: Can {
        stems: &[
            (StemForm::Large, None),
            (
                StemForm::Small,
                Some("replace conv1 by a 3x3 of stride 1 and maxpool by Identity, as CIFAR networks have it"),
            ),
        ],
        channels: Some("replace conv1 by one of in_channels={n}"),
        bare: Some("leave out the classifier: Sequential(*list(resnet.children())[:-1])"),
        ..PLAIN
    },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: true,
    sets_groups: false,
};

/// Names of the children by their places.
static CHILDREN: NamingLayout = NamingLayout {
    name: "sequential",
    first_stage: 4,
    first_block: 0,
    block: "{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[STEM, BLOCK, SHORTCUT, HEAD],
};

const STEM: &[Row] = &[
    (Position::Stem(Component::Conv(0)), "0"),
    (Position::Stem(Component::Norm(0)), "1"),
    (Position::Stem(Component::Activation(0)), "2"),
    (Position::Pool, "3"),
];

const BLOCK: &[Row] = &[
    (block(Component::Conv(1)), "{s}.{b}.conv1"),
    (block(Component::Norm(1)), "{s}.{b}.bn1"),
    (block(Component::Conv(2)), "{s}.{b}.conv2"),
    (block(Component::Norm(2)), "{s}.{b}.bn2"),
    (block(Component::Conv(3)), "{s}.{b}.conv3"),
    (block(Component::Norm(3)), "{s}.{b}.bn3"),
];

const SHORTCUT: &[Row] = &[
    (block(Component::ShortcutConv), "{s}.{b}.downsample.0"),
    (block(Component::ShortcutNorm), "{s}.{b}.downsample.1"),
];

const HEAD: &[Row] = &[(Position::HeadPool, "8"), (Position::Flatten, "9"), (Position::Dense(0), "10")];
