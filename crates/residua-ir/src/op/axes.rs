//! Attributes of operators that move elements.

use serde::{Deserialize, Serialize};

use super::{Extent, Pads};

/// Attributes of [`Op::Pad`](super::Op::Pad).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Amounts on each side of H and W.
    pub pads: Pads,
    /// Amounts before and after the channels, for zero-padding shortcuts.
    pub channels: [usize; 2],
    /// What the padding holds.
    #[serde(with = "super::real")]
    pub value: f64,
}

/// Attributes of [`Op::PadAxes`](super::Op::PadAxes).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadAxes {
    /// Amounts before and after, for each axis.
    pub amounts: Vec<[usize; 2]>,
    /// What the padding holds.
    pub border: Border,
}

/// Attributes of [`Op::Trilu`](super::Op::Trilu).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trilu {
    /// Keep what lies on and above the diagonal; else what lies on and below it.
    pub upper: bool,
    /// Which diagonal: 0 starts at the first row and column, others so many columns right of it, or left.
    pub diagonal: i64,
}

/// What lies beyond the ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// A number.
    Constant(#[serde(with = "super::real")] f64),
    /// The elements before the end, mirrored; the one at the end is not repeated.
    Reflect,
    /// The element at the end.
    Edge,
    /// The elements from the other end.
    Wrap,
}

/// What becomes one axis of a reshaped tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReshapeDim {
    /// As large as this axis of the operand.
    Copy(usize),
    /// This size.
    Fixed(usize),
    /// What remains; at most one.
    Infer,
    /// What follows from the sizes of operands.
    Computed(Extent),
}
