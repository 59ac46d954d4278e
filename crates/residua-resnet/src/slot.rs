//! Places in a residual network and the tensors in them: the one vocabulary that layouts, recipes and our own files share.
//!
//! A [`Place`] is filled by a layer, a [`Slot`] by a tensor of that layer. Stages and blocks count from 0, the
//! convolutions of a block from 1. Norm `n` is the one that belongs to convolution `n`: behind it in a post-activated
//! block, before it in a pre-activated one; activations likewise.

use std::fmt;

/// What a layer is within the stem or a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
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
pub enum Place {
    /// The picture.
    Input,
    /// Before the stem's pool.
    Stem(Part),
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
        part: Part,
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
    /// One of two pools of the head, from 1; [`Place::HeadPool`] joins what they give.
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
    pub place: Place,
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

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Part::Conv(n) => write!(f, "conv{}", Count(n)),
            Part::Norm(n) => write!(f, "norm{}", Count(n)),
            Part::Activation(n) => write!(f, "act{}", Count(n)),
            Part::Pad(n) => write!(f, "pad{}", Count(n)),
            Part::ShortcutPool => f.write_str("shortcut.pool"),
            Part::ShortcutConv => f.write_str("shortcut.conv"),
            Part::ShortcutNorm => f.write_str("shortcut.norm"),
            Part::ShortcutPad => f.write_str("shortcut.pad"),
            Part::GatePool => f.write_str("se.pool"),
            Part::Gate(n) => write!(f, "se.fc{}", Count(n)),
            Part::GateActivation(n) => write!(f, "se.act{}", Count(n)),
            Part::GateProduct => f.write_str("se.mul"),
            Part::Add => f.write_str("add"),
            Part::Output => f.write_str("out"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Place::Input => f.write_str("input"),
            Place::Stem(part) => write!(f, "stem.{part}"),
            Place::PoolPad => f.write_str("stem.pool_pad"),
            Place::Pool => f.write_str("stem.pool"),
            Place::Block { stage, block, part } => write!(f, "stages.{stage}.blocks.{block}.{part}"),
            Place::FinalNorm => f.write_str("norm"),
            Place::FinalActivation => f.write_str("act"),
            Place::HeadPool => f.write_str("head.pool"),
            Place::Flatten => f.write_str("head.flatten"),
            Place::Dense(n) => write!(f, "head.fc{}", Count(n)),
            Place::Head(n) => write!(f, "head.{n}"),
            Place::OneHeadPool(n) => write!(f, "head.pool{n}"),
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
        write!(f, "{}.{}", self.place, self.field)
    }
}
