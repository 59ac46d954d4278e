//! Whether a model may give values that are infinite or NaN, so that identity alone says nothing of what it gives.
//!
//! Two identical graphs are the same function also where they give nothing but NaN, and such a model is not proved: a run has
//! to find that. Seen without one: tensors that hold such values, norms that divide by zero, operators that make them of
//! numbers. Not seen: values that grow beyond f64, which takes weights beyond all that trained networks have.

use rayon::prelude::*;
use residua_ir::op::PoolKind;
use residua_ir::{Activation, Border, Checked, Elementwise, Graph, Op, Parameter, TensorError, ValueId};

use crate::error::{Context, Result};

/// Weights beyond this are looked at in a run.
const LARGE: f32 = 1e12;

const DIVIDES: &str = "may divide by 0";

/// Why values of a model may be infinite or NaN; `None` where nothing speaks for it.
///
/// # Errors
/// Where a tensor cannot be read.
pub(super) fn may_be_lost(model: &Checked) -> Result<Option<String>> {
    let graph = model.graph();
    let by_operator = graph.nodes().iter().find_map(|node| {
        let operator = loses(graph, &node.op, &node.inputs).transpose()?;
        Some(operator.map(|why| format!("`{}` {why}", node.name)))
    });
    if let Some(found) = by_operator {
        return found.map(Some).context("a tensor cannot be read");
    }
    let read = graph.parameters().iter().filter(|parameter| parameter.tensor.dtype().is_float());
    let lost = read.collect::<Vec<_>>().par_iter().find_map_first(|parameter| match is_tame(parameter) {
        Ok(true) => None,
        Ok(false) => Some(Ok(format!("`{}` holds values that are infinite, NaN or beyond {LARGE:e}", parameter.name))),
        Err(error) => Some(Err(error)),
    });
    lost.transpose().context("a tensor cannot be read")
}

fn is_tame(parameter: &Parameter) -> std::result::Result<bool, TensorError> {
    parameter.tensor.is_within(LARGE)
}

/// What an operator may do to numbers so that they are none any more.
fn loses(graph: &Graph, op: &Op, inputs: &[ValueId]) -> std::result::Result<Option<&'static str>, TensorError> {
    let values = |at: usize| inputs.get(at).and_then(|&input| graph.as_parameter(input)).map(|p| p.tensor.to_f64());
    let all = |at: usize, holds: &dyn Fn(f64) -> bool| {
        values(at).transpose().map(|values| values.is_some_and(|values| values.into_iter().all(holds)))
    };
    let found = |lost: bool, why: &'static str| if lost { Some(why) } else { None };
    Ok(match op {
        Op::BatchNorm(norm) => found(!all(4, &|variance| variance + norm.epsilon > 0.0)?, DIVIDES),
        Op::GroupNorm(norm) => found(norm.epsilon <= 0.0, DIVIDES),
        Op::LayerNorm(norm) => found(norm.epsilon <= 0.0, DIVIDES),
        Op::Lrn(lrn) => found(lrn.bias <= 0.0 || lrn.alpha < 0.0, DIVIDES),
        Op::Elementwise(op) => match op {
            Elementwise::Div | Elementwise::Mod | Elementwise::Rem => found(!all(1, &|by| by != 0.0)?, DIVIDES),
            Elementwise::Pow => Some("takes powers"),
            Elementwise::Add
            | Elementwise::Sub
            | Elementwise::Mul
            | Elementwise::Max
            | Elementwise::Min
            | Elementwise::Mean
            | Elementwise::And
            | Elementwise::Or
            | Elementwise::Xor => None,
        },
        Op::Activation(function) => found(has_poles(function), "is not a number everywhere"),
        Op::GlobalPool(pool) => found(takes_logarithm(pool.kind), "takes logarithms"),
        Op::Reduce(reduce) => found(takes_logarithm(reduce.kind), "takes logarithms"),
        Op::Quantize(_) => found(!all(1, &|scale| scale != 0.0)?, DIVIDES),
        Op::DynamicRange(_) => Some(DIVIDES),
        // A window may lie on padding alone.
        Op::MaxPool(_) | Op::AvgPool(_) | Op::LpPool(_) => None,
        Op::Pad(pad) => found(!pad.value.is_finite(), "pads with what is no number"),
        Op::PadAxes(pad) => match pad.border {
            Border::Constant(value) => found(!value.is_finite(), "pads with what is no number"),
            Border::Reflect | Border::Edge | Border::Wrap => None,
        },
        Op::Opaque(_) => Some("is not known"),
        Op::Conv(_)
        | Op::ConvTranspose(_)
        | Op::PRelu
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::Resize(_)
        | Op::Linear
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::ScatterNd
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::CumSum(_)
        | Op::Trilu(_)
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Dequantize(_) => None,
    })
}

fn takes_logarithm(kind: PoolKind) -> bool {
    match kind {
        PoolKind::LogSum | PoolKind::LogSumExp => true,
        PoolKind::Max
        | PoolKind::Mean
        | PoolKind::Sum
        | PoolKind::Min
        | PoolKind::Product
        | PoolKind::L1
        | PoolKind::L2
        | PoolKind::SumSquare => false,
    }
}

/// Whether a function is infinite or NaN for some number, or grows as fast as the exponential.
fn has_poles(function: &Activation) -> bool {
    match function {
        Activation::Exp
        | Activation::Log
        | Activation::Sqrt
        | Activation::Reciprocal
        | Activation::Tan
        | Activation::Asin
        | Activation::Acos
        | Activation::Sinh
        | Activation::Cosh
        | Activation::Acosh
        | Activation::Atanh => true,
        Activation::Celu { alpha } => *alpha == 0.0,
        Activation::Relu { .. }
        | Activation::Elu { .. }
        | Activation::Selu
        | Activation::Gelu { .. }
        | Activation::Silu
        | Activation::Sigmoid
        | Activation::HardSigmoid { .. }
        | Activation::HardSwish
        | Activation::Clip { .. }
        | Activation::Tanh
        | Activation::Softplus
        | Activation::Softsign
        | Activation::Mish
        | Activation::Abs
        | Activation::Neg
        | Activation::Erf
        | Activation::Shrink { .. }
        | Activation::Floor
        | Activation::Ceil
        | Activation::Round
        | Activation::Sign
        | Activation::Not
        | Activation::Sin
        | Activation::Cos
        | Activation::Atan
        | Activation::Asinh => false,
    }
}
