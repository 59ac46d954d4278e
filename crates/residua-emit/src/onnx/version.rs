//! Operator sets: their IR versions, and from which on an operator takes bfloat16.
//!
//! Source: `onnx.helper.VERSION_TABLE` and the operator schemas of onnx 1.23.

use residua_ir::DType;

/// Oldest operator set that is written.
pub const OLDEST: i64 = 13;
/// Newest operator set that is written.
pub const NEWEST: i64 = 28;
/// The one that every runtime of the last years takes.
pub const PORTABLE: i64 = 17;

/// IR version of the first release that had the operator set.
pub(crate) fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=14 => 7,
        15..=18 => 8,
        19 | 20 => 9,
        21 | 22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        28.. => 14,
    }
}

/// First operator set in which an operator takes bfloat16, of those that are written here.
fn bfloat16_since(op: &str) -> i64 {
    match op {
        "Conv"
        | "MaxPool"
        | "AveragePool"
        | "GlobalAveragePool"
        | "GlobalMaxPool"
        | "InstanceNormalization"
        | "ThresholdedRelu"
        | "Elu"
        | "Selu"
        | "HardSigmoid"
        | "HardSwish"
        | "Softplus"
        | "Softsign"
        | "Mish" => 22,
        "BatchNormalization" => 14,
        "LeakyRelu" | "PRelu" => 16,
        _ => OLDEST,
    }
}

/// The operator set that an operator needs for this float type, where that is newer than `opset`.
pub(crate) fn too_old_for(op: &str, float: DType, opset: i64) -> Option<i64> {
    (float == DType::BF16).then(|| bfloat16_since(op)).filter(|&since| since > opset)
}
