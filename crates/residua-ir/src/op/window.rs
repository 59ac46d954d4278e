//! Attributes of convolutions and pools. Pairs are (vertical, horizontal).

use serde::{Deserialize, Serialize};

/// Amounts added on each side of the spatial axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pads {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

impl Pads {
    /// The same amount on every side.
    #[must_use]
    pub fn all(amount: usize) -> Self {
        Self { top: amount, left: amount, bottom: amount, right: amount }
    }

    /// Whether nothing is added.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Whether both sides of each axis get the same.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.top == self.bottom && self.left == self.right
    }
}

/// Padding of a window operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Known amounts.
    Explicit(Pads),
    /// So much that the output is `ceil(n / stride)`, the odd one after. Only where the amounts depend on a free size;
    /// readers write [`Padding::Explicit`] where they do not.
    SameUpper,
    /// As [`Padding::SameUpper`] with the odd one before.
    SameLower,
}

impl Default for Padding {
    fn default() -> Self {
        Padding::Explicit(Pads::default())
    }
}

/// Attributes of [`Op::Conv`](super::Op::Conv).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Conv {
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilations: [usize; 2],
    pub groups: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Self { strides: [1, 1], padding: Padding::default(), dilations: [1, 1], groups: 1 }
    }
}

/// Attributes of [`Op::ConvTranspose`](super::Op::ConvTranspose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose {
    /// How far apart the kernels of neighbouring elements lie.
    pub strides: [usize; 2],
    /// What is cut off each side of the result.
    pub pads: Pads,
    /// Rows and columns of nothing but bias that are added below and on the right.
    pub output_padding: [usize; 2],
    /// Step between the taps of a kernel.
    pub dilations: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

/// Attributes of [`Op::MaxPool`](super::Op::MaxPool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct MaxPool {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilations: [usize; 2],
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
}

/// Attributes of [`Op::AvgPool`](super::Op::AvgPool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AvgPool {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    #[serde(default = "undilated", skip_serializing_if = "is_undilated")]
    pub dilations: [usize; 2],
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
    /// Divide by the whole window instead of the part of it that lies on `x`.
    pub count_include_pad: bool,
}

fn undilated() -> [usize; 2] {
    [1, 1]
}

fn is_undilated(dilations: &[usize; 2]) -> bool {
    *dilations == undilated()
}

/// Attributes of [`Op::LpPool`](super::Op::LpPool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LpPool {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilations: [usize; 2],
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
    /// Power, at least 1.
    pub p: u32,
}
