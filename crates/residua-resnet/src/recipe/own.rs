//! What single layers and stages of a recipe have otherwise than its form and its conventions say.
//!
//! A network that was changed after it was built (pruned, dilated, given another stem) has the form of the one that it was, and
//! differs from it in single layers. Nothing here says how such a network is told from a file.

use std::collections::BTreeSet;

use residua_ir::{Activation, Pads};

use crate::conventions::{Conventions, PoolEdge};

/// What one layer has of its own; [`None`] where it has what form and conventions say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Own {
    /// Channels that a convolution gives.
    pub gives: Option<usize>,
    /// Rows and columns of its kernel.
    pub kernel: Option<usize>,
    /// Its strides over rows and columns.
    pub stride: Option<[usize; 2]>,
    /// Its dilations of rows and columns.
    pub dilation: Option<[usize; 2]>,
    /// What it adds on each side.
    pub pads: Option<Pads>,
    /// Its groups.
    pub groups: Option<usize>,
    /// The pool in this place, or that there is none.
    pub pool: Option<Option<Pool>>,
    /// What a norm adds to variances.
    pub epsilon: Option<f64>,
    /// The activation in this place, or that there is none.
    pub activation: Option<Option<Activation>>,
}

impl Own {
    /// Whether this is nothing but an epsilon: what shapes and sizes are is as form and conventions say.
    #[must_use]
    pub fn keeps_form(&self) -> bool {
        Self { epsilon: None, ..self.clone() } == Self::default()
    }

    /// What both say, where both say something what `self` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            gives: self.gives.or(other.gives),
            kernel: self.kernel.or(other.kernel),
            stride: self.stride.or(other.stride),
            dilation: self.dilation.or(other.dilation),
            pads: self.pads.or(other.pads),
            groups: self.groups.or(other.groups),
            pool: self.pool.or(other.pool),
            epsilon: self.epsilon.or(other.epsilon),
            activation: self.activation.or(other.activation),
        }
    }
}

/// A pool over windows; sizes are rows, then columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Distance between the pixels that it takes.
    pub dilation: [usize; 2],
    /// What is added on each side: −∞ for maxima, what does not count for means unless `counts_pads`.
    pub pads: Pads,
    /// Whether the last window may stick out; what sticks out does not count.
    pub ceil: bool,
    /// Whether a mean counts what was added.
    pub counts_pads: bool,
}

impl Pool {
    /// A window that pads by the same amount on each side.
    #[must_use]
    pub fn square(kernel: usize, stride: usize, pad: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pads: Pads::all(pad),
            ceil: false,
            counts_pads: false,
        }
    }
}

/// How the stages walk over pixels, where that is not as the form has it: a stride of 2 in all stages but the first, no dilation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// Stride of each stage; nothing where it is the form's.
    pub strides: Vec<usize>,
    /// Dilations of each stage; nothing where there are none.
    pub dilations: Vec<Vec<Dilations>>,
    /// Stages and blocks with a projection, where that does not follow from channels and strides.
    pub projecting: Option<BTreeSet<(usize, usize)>>,
}

/// Dilations of the wide convolutions of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dilations {
    /// Of the first.
    pub first: usize,
    /// Of those behind it.
    pub rest: usize,
}

impl Dilations {
    /// None.
    pub const NONE: Self = Self { first: 1, rest: 1 };
}

impl Pace {
    /// Dilations of a block; those of the last block that is listed hold for all behind it.
    #[must_use]
    pub fn dilations(&self, stage: usize, block: usize) -> Dilations {
        let stage = self.dilations.get(stage).map_or(&[][..], |blocks| &blocks[..]);
        stage.get(block).or(stage.last()).copied().unwrap_or(Dilations::NONE)
    }
}

impl Conventions {
    /// The pool behind a stem that has one: maxima of 3x3 with stride 2.
    #[must_use]
    pub fn stem_pool(&self) -> Pool {
        match self.pool_edge {
            PoolEdge::Nothing => Pool::square(3, 2, 1),
            PoolEdge::Zeros => Pool::square(3, 2, 0),
            PoolEdge::Ceil => Pool { ceil: true, ..Pool::square(3, 2, 0) },
        }
    }
}
