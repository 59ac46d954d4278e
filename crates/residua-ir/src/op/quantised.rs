//! Attributes of what rounds to integers and restores from them.

use serde::{Deserialize, Serialize};

use crate::tensor::DType;

/// Attributes of [`Op::Quantize`](super::Op::Quantize).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// Integer type of the result, which is that of the zero point where there is one.
    pub dtype: DType,
    /// What has a scale of its own.
    #[serde(rename = "grain")]
    pub granularity: Granularity,
}

/// What has a scale (and zero point) of its own in a quantised value. A scale of one element is that of the whole value;
/// one of several is a vector along `axis`, or with `block`s has the axes of the value, `axis` cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granularity {
    /// Axis along which scales differ.
    pub axis: usize,
    /// How many elements along it share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
}

/// What is taken from the range of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DynamicRange {
    /// `(max - min) / 255`, and 1 where all elements are 0.
    Scale,
    /// `saturate(round(-min / scale))`.
    ZeroPoint,
}
