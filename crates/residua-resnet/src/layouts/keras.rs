//! How Keras names layers: its Applications in both generations, and the names it makes up on its own.

use residua_ir::Activation;

use crate::slot::{Component, Field, Position};

use super::library::PLAIN;
use super::{Axes, Can, Headless, ModelClass, ModelLibrary, NamingLayout};
use crate::anatomy::{ActivationOrder, BlockKind, Reads};
use crate::conventions::{Biases, Conventions, Framework, Norms, PoolEdge, Projections};
use crate::form::StrideIn;

pub(super) const fn block(component: Component) -> Position {
    Position::Block { stage: 0, block: 0, component }
}

/// ResNet50, 101 and 152 of Keras Applications.
pub static KERAS_APPLICATIONS_V1: NamingLayout = NamingLayout {
    name: "keras-applications",
    first_stage: 2,
    first_block: 1,
    block: "",
    optional: "",
    axes: Axes::Keras,
    rows: &[&[
        (Position::Stem(Component::Pad(0)), "conv1_pad"),
        (Position::Stem(Component::Conv(0)), "conv1_conv"),
        (Position::Stem(Component::Norm(0)), "conv1_bn"),
        (Position::Stem(Component::Activation(0)), "conv1_relu"),
        (Position::PoolPad, "pool1_pad"),
        (Position::Pool, "pool1_pool"),
        (block(Component::ShortcutConv), "conv{s}_block{b}_0_conv"),
        (block(Component::ShortcutNorm), "conv{s}_block{b}_0_bn"),
        (block(Component::Conv(1)), "conv{s}_block{b}_1_conv"),
        (block(Component::Norm(1)), "conv{s}_block{b}_1_bn"),
        (block(Component::Activation(1)), "conv{s}_block{b}_1_relu"),
        (block(Component::Conv(2)), "conv{s}_block{b}_2_conv"),
        (block(Component::Norm(2)), "conv{s}_block{b}_2_bn"),
        (block(Component::Activation(2)), "conv{s}_block{b}_2_relu"),
        (block(Component::Conv(3)), "conv{s}_block{b}_3_conv"),
        (block(Component::Norm(3)), "conv{s}_block{b}_3_bn"),
        (block(Component::Add), "conv{s}_block{b}_add"),
        (block(Component::Output), "conv{s}_block{b}_out"),
        (Position::HeadPool, "avg_pool"),
        (Position::Dense(0), "predictions"),
    ]],
};

/// ResNet50V2, 101V2 and 152V2 of Keras Applications.
pub static KERAS_APPLICATIONS_V2: NamingLayout = NamingLayout {
    name: "keras-applications-v2",
    first_stage: 2,
    first_block: 1,
    block: "",
    optional: "",
    axes: Axes::Keras,
    rows: &[&[
        (Position::Stem(Component::Pad(0)), "conv1_pad"),
        (Position::Stem(Component::Conv(0)), "conv1_conv"),
        (Position::PoolPad, "pool1_pad"),
        (Position::Pool, "pool1_pool"),
        (block(Component::Norm(1)), "conv{s}_block{b}_preact_bn"),
        (block(Component::Activation(1)), "conv{s}_block{b}_preact_relu"),
        (block(Component::ShortcutConv), "conv{s}_block{b}_0_conv"),
        (block(Component::Conv(1)), "conv{s}_block{b}_1_conv"),
        (block(Component::Norm(2)), "conv{s}_block{b}_1_bn"),
        (block(Component::Activation(2)), "conv{s}_block{b}_1_relu"),
        (block(Component::Pad(2)), "conv{s}_block{b}_2_pad"),
        (block(Component::Conv(2)), "conv{s}_block{b}_2_conv"),
        (block(Component::Norm(3)), "conv{s}_block{b}_2_bn"),
        (block(Component::Activation(3)), "conv{s}_block{b}_2_relu"),
        (block(Component::Conv(3)), "conv{s}_block{b}_3_conv"),
        (block(Component::Add), "conv{s}_block{b}_out"),
        (Position::FinalNorm, "post_bn"),
        (Position::FinalActivation, "post_relu"),
        (Position::HeadPool, "avg_pool"),
        (Position::Dense(0), "predictions"),
    ]],
};

/// ResNet50 as the package `keras_applications` named it until 2019; the names are those of the Caffe model.
pub static KERAS_APPLICATIONS_OLD: NamingLayout = NamingLayout {
    name: "keras-applications-old",
    first_stage: 2,
    first_block: 1,
    block: "",
    optional: "",
    axes: Axes::Keras,
    rows: &[&[
        (Position::Stem(Component::Pad(0)), "conv1_pad"),
        (Position::Stem(Component::Conv(0)), "conv1"),
        (Position::Stem(Component::Norm(0)), "bn_conv1"),
        (Position::PoolPad, "pool1_pad"),
        (block(Component::ShortcutConv), "res{s}{l}_branch1"),
        (block(Component::ShortcutNorm), "bn{s}{l}_branch1"),
        (block(Component::Conv(1)), "res{s}{l}_branch2a"),
        (block(Component::Norm(1)), "bn{s}{l}_branch2a"),
        (block(Component::Conv(2)), "res{s}{l}_branch2b"),
        (block(Component::Norm(2)), "bn{s}{l}_branch2b"),
        (block(Component::Conv(3)), "res{s}{l}_branch2c"),
        (block(Component::Norm(3)), "bn{s}{l}_branch2c"),
        (Position::HeadPool, "avg_pool"),
        (Position::Dense(0), "fc1000"),
    ]],
};

/// Keras Applications: the classes of both generations.
pub(super) static LIBRARY: ModelLibrary = ModelLibrary {
    name: "keras-applications",
    about: "Keras Applications: conv2_block1_1_conv/kernel, kernels HWIO; v1 (stride on the first 1x1) and V2",
    model_classes: &[&APPLICATIONS_V1_CLASS, &APPLICATIONS_V2_CLASS],
};

const CAN: Can = Can {
    blocks: &[BlockKind::Bottleneck],
    groups: false,
    channels: Some("make it with an input_shape that ends in {n}"),
    bare: Some("make it with include_top=False"),
    ..PLAIN
};

static APPLICATIONS_V1_CLASS: ModelClass = ModelClass {
    describe: "ResNet50 and kin of Keras Applications",
    conventions: APPLICATIONS,
    can: Can { stride_on: &[(1, None)], ..CAN },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: true,
    counters: false,
    sets_groups: false,
};

static APPLICATIONS_V2_CLASS: ModelClass = ModelClass {
    describe: "ResNet50V2 and kin of Keras Applications",
    conventions: APPLICATIONS_V2,
    can: Can { order: ActivationOrder::Pre, stride_in: StrideIn::Last, ..CAN },
    headless: Headless::Map,
    classifier_as_conv: false,
    softmax: true,
    counters: false,
    sets_groups: false,
};

/// No names at all: Keras makes them from the class, `conv2d_7`.
pub static KERAS_AUTO: NamingLayout = NamingLayout {
    name: "keras-auto",
    first_stage: 0,
    first_block: 0,
    block: "",
    optional: "",
    axes: Axes::Keras,
    rows: &[],
};

/// A class name as Keras writes it into names of layers and paths: `GlobalAveragePooling2D` is
/// `global_average_pooling2d`. (Source: `to_snake_case` in Keras's `naming.py`.)
#[must_use]
pub fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let next_lower = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let starts = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() && next_lower || b.is_ascii_uppercase() && next_lower
            });
        if starts {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Tensors of a layer in the order in which Keras stores them, with Keras's names.
#[must_use]
pub fn fields(class: &str) -> &'static [(Field, &'static str)] {
    match class {
        "Conv2D" | "Dense" => &[(Field::Weight, "kernel"), (Field::Bias, "bias")],
        "BatchNormalization" => &[
            (Field::Scale, "gamma"),
            (Field::Offset, "beta"),
            (Field::Mean, "moving_mean"),
            (Field::Variance, "moving_variance"),
        ],
        _ => &[],
    }
}

pub(crate) const APPLICATIONS: Conventions = Conventions {
    layout: &KERAS_APPLICATIONS_V1,
    framework: Framework::Keras,
    norms: Norms::Batch,
    epsilon: 1.001e-5,
    activation: Activation::RELU,
    inner_activation: None,
    biases: Biases::All,
    gate_biases: true,
    standardised: None,
    stem_norm: true,
    pool_edge: PoolEdge::Zeros,
    first_stride: 1,
    projections: Projections::FirstBottleneck,
    shortcut_norm: true,
    shortcut_reads: Reads::Raw,
    pad_layers: true,
};

pub(crate) const APPLICATIONS_V2: Conventions = Conventions {
    layout: &KERAS_APPLICATIONS_V2,
    biases: Biases::BeforeSums,
    stem_norm: false,
    shortcut_norm: false,
    shortcut_reads: Reads::Preactivated,
    ..APPLICATIONS
};

pub(crate) const APPLICATIONS_OLD: Conventions =
    Conventions { layout: &KERAS_APPLICATIONS_OLD, epsilon: 1e-3, ..APPLICATIONS };

pub(crate) const CIFAR: Conventions =
    Conventions { layout: &KERAS_AUTO, epsilon: 1e-3, shortcut_norm: false, pad_layers: false, ..APPLICATIONS };

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_are_written_as_keras_writes_them() {
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("InputLayer", "input_layer"),
            ("Functional", "functional"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
