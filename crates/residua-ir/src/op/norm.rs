//! Attributes of normalisations.

use serde::{Deserialize, Serialize};

/// Attributes of [`Op::BatchNorm`](super::Op::BatchNorm).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    #[serde(with = "super::real")]
    pub epsilon: f64,
}

/// Attributes of [`Op::GroupNorm`](super::Op::GroupNorm).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    #[serde(with = "super::real")]
    pub epsilon: f64,
}

/// Attributes of [`Op::LayerNorm`](super::Op::LayerNorm).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Axes that are normalised over, ascending.
    pub axes: Vec<usize>,
    /// Added to the variance.
    #[serde(with = "super::real")]
    pub epsilon: f64,
}

/// Attributes of [`Op::Lrn`](super::Op::Lrn).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lrn {
    /// Channels that are summed over: `⌊(size - 1) / 2⌋` before and `⌈(size - 1) / 2⌉` after.
    pub size: usize,
    /// Factor of the mean square, before it is divided by `size`.
    #[serde(with = "super::real")]
    pub alpha: f64,
    /// Exponent.
    #[serde(with = "super::real")]
    pub beta: f64,
    /// Added to the mean square.
    #[serde(with = "super::real")]
    pub bias: f64,
}
