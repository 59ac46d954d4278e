//! Places in a residual network and the tensors in them: the one vocabulary that layouts, recipes and our own files share.
//!
//! A [`Position`] is filled by a layer, a [`Slot`] by a tensor of that layer. Stages and blocks count from 0, the
//! convolutions of a block from 1. Norm `n` is the one that belongs to convolution `n`: behind it in a post-activated
//! block, before it in a pre-activated one; activations likewise.

use std::fmt;

/// What a layer is within the stem or a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Convolution of the main path; 0 where there is only one.
    Conv(usize),
    /// Normalisation of that convolution.
    Norm(usize),
    /// Activation of that convolution.
    Activation(usize),
    /// Padding before that convolution, where it is a layer of its own.
    Pad(usize),
    /// Pool on the shortcut.
    ShortcutPool,
    /// Channels of zeros on the shortcut.
    ShortcutPad,
    /// Convolution of the shortcut.
    ShortcutConv,
    /// Normalisation of the shortcut.
    ShortcutNorm,
    /// Pool of a squeeze-and-excite gate.
    GatePool,
    /// Dense layer or 1x1 convolution of it.
    Gate(usize),
    /// Activation of that.
    GateActivation(usize),
    /// The product.
    GateProduct,
    /// The sum.
    Add,
    /// Activation behind the sum.
    Output,
}

/// What a layer is in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// The image.
    Input,
    /// Before the stem's pool.
    Stem(Component),
    /// Padding before the stem's pool.
    PoolPad,
    /// The stem's pool.
    Pool,
    /// Within a block.
    Block {
        /// Stage, from 0.
        stage: usize,
        /// Block in the stage, from 0.
        block: usize,
        /// What it is there.
        component: Component,
    },
    /// Normalisation behind the last block of a pre-activated network.
    FinalNorm,
    /// Its activation.
    FinalActivation,
    /// The pool behind the last block.
    HeadPool,
    /// What makes pixels features.
    Flatten,
    /// A dense layer; 0 where there is only one.
    Dense(usize),
    /// A layer of a head that is more than one dense layer, from 1.
    Head(usize),
    /// One of two pools of the head, from 1; [`Position::HeadPool`] joins what they give.
    OneHeadPool(usize),
}

/// Which tensor of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Kernel of a convolution, OIHW; matrix of a dense layer, `[out, in]`.
    Weight,
    /// Summand per output.
    Bias,
    /// Factor of a normalisation.
    Scale,
    /// Summand of a normalisation.
    Offset,
    /// Mean of a batch norm.
    Mean,
    /// Variance of a batch norm.
    Variance,
    /// Number of batches that a batch norm saw in training; no function reads it.
    Batches,
}

/// A tensor of a residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The layer.
    pub position: Position,
    /// Which of its tensors.
    pub field: Field,
}

/// A number that is left out where it is 0.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { self.0.fmt(f) }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Component::Conv(n) => write!(f, "conv{}", Count(n)),
            Component::Norm(n) => write!(f, "norm{}", Count(n)),
            Component::Activation(n) => write!(f, "act{}", Count(n)),
            Component::Pad(n) => write!(f, "pad{}", Count(n)),
            Component::ShortcutPool => f.write_str("shortcut.pool"),
            Component::ShortcutConv => f.write_str("shortcut.conv"),
            Component::ShortcutNorm => f.write_str("shortcut.norm"),
            Component::ShortcutPad => f.write_str("shortcut.pad"),
            Component::GatePool => f.write_str("se.pool"),
            Component::Gate(n) => write!(f, "se.fc{}", Count(n)),
            Component::GateActivation(n) => write!(f, "se.act{}", Count(n)),
            Component::GateProduct => f.write_str("se.mul"),
            Component::Add => f.write_str("add"),
            Component::Output => f.write_str("out"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Position::Input => f.write_str("input"),
            Position::Stem(component) => write!(f, "stem.{component}"),
            Position::PoolPad => f.write_str("stem.pool_pad"),
            Position::Pool => f.write_str("stem.pool"),
            Position::Block { stage, block, component } => write!(f, "stages.{stage}.blocks.{block}.{component}"),
            Position::FinalNorm => f.write_str("norm"),
            Position::FinalActivation => f.write_str("act"),
            Position::HeadPool => f.write_str("head.pool"),
            Position::Flatten => f.write_str("head.flatten"),
            Position::Dense(n) => write!(f, "head.fc{}", Count(n)),
            Position::Head(n) => write!(f, "head.{n}"),
            Position::OneHeadPool(n) => write!(f, "head.pool{n}"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Weight => "weight",
            Field::Bias => "bias",
            Field::Scale => "scale",
            Field::Offset => "offset",
            Field::Mean => "mean",
            Field::Variance => "variance",
            Field::Batches => "batches",
        })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.field)
    }
}
