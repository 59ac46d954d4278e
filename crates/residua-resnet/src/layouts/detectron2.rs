//! detectron2: `build_resnet_backbone` and the classifier `ResNet`, as its model zoo names them.
//!
//! `MODEL.RESNETS.STRIDE_IN_1X1` is true by default, for the Caffe weights of MSRA; torchvision's weights need false.
//! Norms are named after their convolution. (Source: detectron2 0.6, `resnet.py`, `defaults.py`.)

use super::keras::block;
use super::library::PLAIN;
use super::torchvision::TORCH;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout};
use crate::conventions::Conventions;
use crate::slot::{Component, Position};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "detectron2",
    about: "detectron2's ResNet: res2.0.conv1.weight, res2.0.conv1.norm.weight; v1 unless STRIDE_IN_1X1 is off",
    model_classes: &[&CLASS],
};

static CLASS: ModelClass = ModelClass {
    describe: "detectron2's ResNet",
    conventions: Conventions { layout: &DETECTRON2, ..TORCH },
    can: Can {
        stride_on: &[(1, None), (2, Some("build it with MODEL.RESNETS.STRIDE_IN_1X1 = False"))],
        channels: Some("build it with a MODEL.PIXEL_MEAN of length {n}"),
        ..PLAIN
    },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};

/// Names of detectron2's ResNet.
static DETECTRON2: NamingLayout = NamingLayout {
    name: "detectron2",
    first_stage: 2,
    first_block: 0,
    block: "res{s}.{b}",
    optional: "",
    axes: Axes::Torch,
    rows: &[&[
        (Position::Stem(Component::Conv(0)), "stem.conv1"),
        (Position::Stem(Component::Norm(0)), "stem.conv1.norm"),
        (block(Component::Conv(1)), "res{s}.{b}.conv1"),
        (block(Component::Norm(1)), "res{s}.{b}.conv1.norm"),
        (block(Component::Conv(2)), "res{s}.{b}.conv2"),
        (block(Component::Norm(2)), "res{s}.{b}.conv2.norm"),
        (block(Component::Conv(3)), "res{s}.{b}.conv3"),
        (block(Component::Norm(3)), "res{s}.{b}.conv3.norm"),
        (block(Component::ShortcutConv), "res{s}.{b}.shortcut"),
        (block(Component::ShortcutNorm), "res{s}.{b}.shortcut.norm"),
        (Position::HeadPool, "avgpool"),
        // The class calls it `linear`; its own model zoo and the Caffe weights call it `stem.fc`.
        (Position::Dense(0), "linear"),
        (Position::Dense(0), "stem.fc"),
    ]],
};
