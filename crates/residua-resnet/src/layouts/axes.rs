//! How frameworks name the tensors of a layer, and in which axis order they store them.

use crate::slot::{Component, Field, Position};

/// Names and axis orders of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// `conv1.weight`: kernels OIHW, matrices `[out, in]`.
    Torch,
    /// The same, with matrices in gates, where others have 1x1 convolutions.
    TorchGateMatrices,
    /// `conv1_conv/kernel`: kernels HWIO, matrices `[in, out]`.
    Keras,
    /// `conv1.weight`, but `bn1.gamma`: kernels OIHW, matrices `[in, out]`.
    Burn,
}

/// Fields of convolutions and dense layers, and their names.
type Names = &'static [(Field, &'static str)];

impl Axes {
    pub(super) fn fields(self, position: Position) -> Names {
        let Some(is_norm) = is_norm(position) else { return &[] };
        match (self, is_norm) {
            (Self::Torch | Self::TorchGateMatrices | Self::Burn, false) => {
                &[(Field::Weight, "weight"), (Field::Bias, "bias")]
            }
            (Self::Keras, false) => &[(Field::Weight, "kernel"), (Field::Bias, "bias")],
            (Self::Torch | Self::TorchGateMatrices, true) => &[
                (Field::Scale, "weight"),
                (Field::Offset, "bias"),
                (Field::Mean, "running_mean"),
                (Field::Variance, "running_var"),
                (Field::Batches, "num_batches_tracked"),
            ],
            (Self::Keras, true) => &[
                (Field::Scale, "gamma"),
                (Field::Offset, "beta"),
                (Field::Mean, "moving_mean"),
                (Field::Variance, "moving_variance"),
            ],
            (Self::Burn, true) => &[
                (Field::Scale, "gamma"),
                (Field::Offset, "beta"),
                (Field::Mean, "running_mean"),
                (Field::Variance, "running_var"),
            ],
        }
    }

    pub(super) fn separator(self) -> char {
        match self {
            Self::Torch | Self::TorchGateMatrices | Self::Burn => '.',
            Self::Keras => '/',
        }
    }
}

/// Whether the layer in a place normalises; [`None`] where it has no tensors.
fn is_norm(position: Position) -> Option<bool> {
    match position {
        Position::FinalNorm => Some(true),
        Position::Dense(_) => Some(false),
        Position::Stem(component) | Position::Block { component, .. } => match component {
            Component::Norm(_) | Component::ShortcutNorm => Some(true),
            Component::Conv(_) | Component::ShortcutConv | Component::Gate(_) => Some(false),
            Component::Activation(_)
            | Component::Pad(_)
            | Component::ShortcutPool
            | Component::ShortcutPad
            | Component::GatePool
            | Component::GateActivation(_)
            | Component::GateProduct
            | Component::Add
            | Component::Output => None,
        },
        Position::Input
        | Position::PoolPad
        | Position::Pool
        | Position::FinalActivation
        | Position::HeadPool
        | Position::OneHeadPool(_)
        | Position::Flatten
        // No layout has names for these.
        | Position::Head(_) => None,
    }
}
