//! Operator sets that are written, and from which on there is an operator, for a type of numbers.
//!
//! Source: the operator schemas of onnx 1.23.

use residua_ir::DType;

/// Oldest operator set that is written.
pub const OLDEST: i64 = 7;
/// Newest operator set that is written.
pub const NEWEST: i64 = 28;
/// The one that every runtime of the last years takes.
pub const PORTABLE: i64 = 17;

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
        "BatchNormalization" | "CumSum" => 14,
        "LeakyRelu" | "PRelu" | "LessOrEqual" | "GreaterOrEqual" | "Where" => 16,
        "IsInf" => 20,
        "TopK" => 24,
        "Celu" => 28,
        "Shrink" => return None,
        _ => 13,
    })
}

/// First operator set that has an operator with the meaning it has today. How its operands were given is another matter
/// ([`super::legalise`]).
fn introduced(op: &str) -> i64 {
    match op {
        // Before, operands of one shape only.
        "Expand" | "Max" | "Min" | "Mean" => 8,
        "Where" | "Sign" | "Erf" | "Shrink" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" | "IsNaN" => 9,
        "Mod" | "IsInf" | "QuantizeLinear" | "DequantizeLinear" | "ThresholdedRelu" => 10,
        "Round" | "GatherElements" | "GatherND" | "ScatterND" | "DynamicQuantizeLinear" | "CumSum" => 11,
        "Celu" | "LessOrEqual" | "GreaterOrEqual" => 12,
        "Trilu" => 14,
        _ => OLDEST,
    }
}

/// First operator set in which an operator takes reals of this type; `None` where none does.
fn since(op: &str, float: DType) -> Option<i64> {
    let typed = match (op, float) {
        (_, DType::BF16) => bfloat16_since(op)?,
        ("CumSum", DType::F16) => 14,
        ("IsInf", DType::F16) => 20,
        ("Celu", DType::F16 | DType::F64) => 28,
        _ => OLDEST,
    };
    Some(typed.max(introduced(op)))
}

/// First operator set in which an operator takes operands of this type, where it took fewer types before. Types of reals
/// are those that all of an output's reals have, and [`since`] knows them.
pub(crate) fn takes_since(op: &str, operand: DType) -> i64 {
    if operand.is_float() {
        return if op == "Equal" { 11 } else { OLDEST };
    }
    let byte = operand.size() == 1;
    match op {
        "Less" | "Greater" | "MatMul" | "Gemm" | "Flatten" | "PRelu" => 9,
        "Pad" | "TopK" => 11,
        "Max" | "Min" | "Pow" | "Clip" => 12,
        "ReduceMax" | "ReduceMin" | "MaxPool" if byte => 12,
        "Relu" => 14,
        "Add" | "Sub" | "Mul" | "Div" if operand.size() < 4 => 14,
        _ => OLDEST,
    }
}

/// Why an operator cannot be written for this float type at this operator set.
pub(crate) fn too_old_for(op: &str, float: DType, opset: i64) -> Option<TooOld> {
    match since(op, float) {
        Some(since) if since <= opset => None,
        Some(since) if since == introduced(op) => Some(TooOld::new("it", since, opset)),
        Some(since) => {
            let TooOld { problem, since } = TooOld::new(&format!("{float} there"), since, opset);
            Some(TooOld { problem: format!("{problem}, or for another float type"), since })
        }
        None => Some(TooOld {
            problem: format!("no operator set has it for {float}; ask for another float type"),
            since: None,
        }),
    }
}

/// Why an operator set is too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooOld {
    pub(crate) problem: String,
    /// The first that is not; `None` where none is.
    pub(crate) since: Option<i64>,
}

impl TooOld {
    pub(crate) fn new(what: &str, since: i64, opset: i64) -> Self {
        let problem = format!("{what} needs opset {since}, and this is opset {opset}; ask for opset {since}");
        Self { problem, since: Some(since) }
    }
}
