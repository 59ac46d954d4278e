//! Operator sets: their IR versions, and from which on an operator takes a type of real numbers.
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

/// First operator set in which an operator takes bfloat16, of those that are written here; `None` where none does.
fn bfloat16_since(op: &str) -> Option<i64> {
    Some(match op {
        "Conv"
        | "ConvTranspose"
        | "MaxPool"
        | "AveragePool"
        | "LpPool"
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
        | "Mish"
        | "Round"
        | "Sin"
        | "Cos"
        | "Tan"
        | "Asin"
        | "Acos"
        | "Atan"
        | "Sinh"
        | "Cosh"
        | "Asinh"
        | "Acosh"
        | "Atanh" => 22,
        "BatchNormalization" => 14,
        "LeakyRelu" | "PRelu" | "LessOrEqual" | "GreaterOrEqual" | "Where" => 16,
        "IsInf" => 20,
        "TopK" => 24,
        "Celu" => 28,
        "Shrink" => return None,
        _ => OLDEST,
    })
}

/// First operator set in which an operator takes reals of this type; `None` where none does.
fn since(op: &str, float: DType) -> Option<i64> {
    match (op, float) {
        (_, DType::BF16) => bfloat16_since(op),
        ("IsInf", DType::F16) => Some(20),
        ("Celu", DType::F16 | DType::F64) => Some(28),
        _ => Some(OLDEST),
    }
}

/// Why an operator cannot be written for this float type at this operator set.
pub(crate) fn too_old_for(op: &str, float: DType, opset: i64) -> Option<String> {
    match since(op, float) {
        Some(since) if since <= opset => None,
        Some(since) => Some(format!(
            "it takes {float} from opset {since} on, and this is opset {opset}; ask for opset {since}, or for another float type"
        )),
        None => Some(format!("no operator set has it for {float}; ask for another float type")),
    }
}
