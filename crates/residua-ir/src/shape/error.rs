//! What shape inference refuses.

use super::{Dim, Shape};
use crate::budget::Overrun;
use crate::name::Text;
use crate::tensor::DType;

/// Why an operator cannot be applied to its operands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too few or too many operands.
    #[error("takes {expected} operands, found {found}")]
    Arity {
        /// How many it takes.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// An operand of another rank.
    #[error("{operand} must have {expected} axes, found shape {found}")]
    Rank {
        /// Which operand.
        operand: &'static str,
        /// Axes it must have.
        expected: String,
        /// Its shape.
        found: Shape,
    },
    /// An operand of another shape.
    #[error("{operand}: expected shape {expected}, found {found}")]
    Shape {
        /// Which operand.
        operand: &'static str,
        /// The shape it must have.
        expected: Shape,
        /// Its shape.
        found: Shape,
    },
    /// An operand of another element type.
    #[error("{operand} must hold {expected}, found {found}")]
    Type {
        /// Which operand.
        operand: &'static str,
        /// What it must hold.
        expected: &'static str,
        /// Its element type.
        found: DType,
    },
    /// Operands that do not broadcast against each other.
    #[error("operands of shapes {a} and {b} do not fit together")]
    Broadcast {
        /// One shape.
        a: Shape,
        /// The other.
        b: Shape,
    },
    /// A window that does not fit into its operand.
    #[error(
        "a window of {kernel} with stride {stride} and dilation {dilation} does not fit into size {size} with padding {before}+{after}"
    )]
    Window {
        /// Taps.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Size of the operand along the axis.
        size: Dim,
        /// Padding before.
        before: usize,
        /// Padding after.
        after: usize,
    },
    /// An attribute that makes no sense here.
    #[error("{0}")]
    Attribute(Text),
    /// A result of more axes than any tensor may have.
    #[error(transparent)]
    Limit(Overrun),
}
