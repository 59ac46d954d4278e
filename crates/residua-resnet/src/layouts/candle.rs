//! `candle_transformers::models::resnet`: torchvision's names, five depths, nothing to set.
//!
//! (Source: candle-transformers 0.11, `resnet.rs`: stride on the 3x3, epsilon 1e-5, no biases, 3 channels.)

use super::library::PLAIN;
use super::torchvision::TORCH;
use super::{Can, Headless, ModelClass, ModelLibrary};

pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "candle",
    about: "candle_transformers::models::resnet: torchvision's names; ResNet-18, 34, 50, 101, 152 in standard sizes",
    model_classes: &[&CLASS],
};

static CLASS: ModelClass = ModelClass {
    describe: "candle-transformers' ResNet",
    conventions: TORCH,
    can: Can {
        groups: false,
        only: &[18, 34, 50, 101, 152],
        channels: None,
        bare: Some("make it with the function whose name ends in `_no_final_layer`"),
        ..PLAIN
    },
    headless: Headless::Features,
    classifier_as_conv: false,
    softmax: false,
    counters: false,
    sets_groups: false,
};
