//! Attributes of reductions and of whatever ranks elements.

use serde::{Deserialize, Serialize};

/// What a pooling or reduction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PoolKind {
    Max,
    Mean,
    Sum,
    Min,
    Product,
    /// Sum of absolute values.
    L1,
    /// Square root of the sum of squares.
    L2,
    SumSquare,
    /// Logarithm of the sum.
    LogSum,
    /// Logarithm of the sum of exponentials.
    LogSumExp,
}

/// Attributes of [`Op::GlobalPool`](super::Op::GlobalPool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalPool {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// `[N,C,1,1]` instead of `[N,C]`.
    pub keep_dims: bool,
}

/// Attributes of [`Op::Reduce`](super::Op::Reduce).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// What is computed.
    pub kind: PoolKind,
    /// Axes, ascending.
    pub axes: Vec<usize>,
    /// Leave reduced axes in place with size 1.
    pub keep_dims: bool,
}

/// Attributes of [`Op::CumSum`](super::Op::CumSum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CumSum {
    /// Axis, counted from the front.
    pub axis: usize,
    /// Leave the element itself out of its sum.
    pub exclusive: bool,
    /// Start at the end of the axis.
    pub reverse: bool,
}

/// Which end of an order is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Extremum {
    Largest,
    Smallest,
}

/// Attributes of [`Op::ArgExtremum`](super::Op::ArgExtremum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgExtremum {
    /// What is looked for.
    pub of: Extremum,
    /// Axis, counted from the front.
    pub axis: usize,
    /// Leave the axis in place with size 1.
    pub keep_dims: bool,
    /// Of equal elements the last instead of the first.
    pub last: bool,
}

/// Attributes of [`Op::TopK`](super::Op::TopK).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopK {
    /// How many.
    pub k: usize,
    /// Axis, counted from the front.
    pub axis: usize,
    /// Which end of the order; the first of the result is the end itself.
    pub of: Extremum,
    /// Positions along the axis instead of elements.
    pub indices: bool,
}
