//! The graph as ONNX can represent it: what a written model is to be compared with.

use residua_ir::rewrite::cast_weights;
use residua_ir::tensor::decimal;
use residua_ir::{
    Activation, Border, Checked, Coordinates, DType, Graph, Interpolation, Lrn, Op, Pad, PadAxes, Resize, ResizeTarget,
};

use super::options::{FloatTypes, OnnxOptions};
use super::types;
use crate::EmitError;
use crate::float;

/// An attribute as it is read again; attributes of ONNX are f32.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
fn attribute(value: f64) -> f64 {
    decimal(value as f32)
}

/// A number that is an operand in ONNX, of the type of all others.
fn operand(value: f64, float: DType) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "operands are written from f32")]
    let rounded =
        residua_ir::Tensor::filled(float, vec![1], f64::from(value as f32)).and_then(|tensor| tensor.to_f64());
    rounded.ok().and_then(|values| values.first().copied()).unwrap_or(value)
}

fn activation(function: Activation, float: DType) -> Activation {
    match function {
        Activation::Relu { negative_slope, threshold, max_value } => Activation::Relu {
            negative_slope: attribute(negative_slope),
            threshold: attribute(threshold),
            max_value: max_value.map(|max| operand(max, float)),
        },
        Activation::Elu { alpha } => Activation::Elu { alpha: attribute(alpha) },
        Activation::HardSigmoid { slope, offset } => {
            Activation::HardSigmoid { slope: attribute(slope), offset: attribute(offset) }
        }
        Activation::Clip { min, max } => {
            Activation::Clip { min: min.map(|v| operand(v, float)), max: max.map(|v| operand(v, float)) }
        }
        Activation::Celu { alpha } => Activation::Celu { alpha: attribute(alpha) },
        Activation::Shrink { limit, bias } => Activation::Shrink { limit: attribute(limit), bias: attribute(bias) },
        Activation::Selu
        | Activation::Gelu { .. }
        | Activation::Silu
        | Activation::Sigmoid
        | Activation::HardSwish
        | Activation::Tanh
        | Activation::Softplus
        | Activation::Softsign
        | Activation::Mish
        | Activation::Exp
        | Activation::Log
        | Activation::Sqrt
        | Activation::Reciprocal
        | Activation::Abs
        | Activation::Neg
        | Activation::Erf
        | Activation::Floor
        | Activation::Ceil
        | Activation::Round
        | Activation::Sign
        | Activation::Not
        | Activation::Sin
        | Activation::Cos
        | Activation::Tan
        | Activation::Asin
        | Activation::Acos
        | Activation::Atan
        | Activation::Sinh
        | Activation::Cosh
        | Activation::Asinh
        | Activation::Acosh
        | Activation::Atanh => function,
    }
}

fn op(op: &Op, float: DType) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::BatchNorm(norm) => norm.epsilon = attribute(norm.epsilon),
        Op::GroupNorm(norm) => norm.epsilon = attribute(norm.epsilon),
        Op::LayerNorm(norm) => norm.epsilon = attribute(norm.epsilon),
        Op::Activation(function) => *function = activation(*function, float),
        Op::Pad(Pad { value, .. }) | Op::PadAxes(PadAxes { border: Border::Constant(value), .. }) => {
            *value = operand(*value, float);
        }
        Op::Lrn(lrn) => {
            *lrn = Lrn {
                size: lrn.size,
                alpha: attribute(lrn.alpha),
                beta: attribute(lrn.beta),
                bias: attribute(lrn.bias),
            };
        }
        Op::Resize(resize) => round_resize(resize),
        Op::Conv(_)
        | Op::PRelu
        | Op::ConvTranspose(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::LpPool(_)
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::PadAxes(_)
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::CumSum(_)
        | Op::Elementwise(_)
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::Linear
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicRange(_)
        | Op::Opaque(_) => {}
    }
    op
}

/// Attributes to f32 in decimals, operands to f32 as they are.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
fn round_resize(resize: &mut Resize) {
    let narrow = |value: &mut f64| *value = f64::from(*value as f32);
    if let ResizeTarget::Scales(scales) = &mut resize.target {
        scales.iter_mut().for_each(narrow);
    }
    if let Interpolation::Cubic { coefficient } = &mut resize.interpolation {
        *coefficient = attribute(*coefficient);
    }
    if let Coordinates::Crop { region, outside } = &mut resize.coordinates {
        region.iter_mut().flatten().for_each(narrow);
        *outside = attribute(*outside);
    }
}

/// The same graph with every number rounded as ONNX has it: real attributes to f32, which is what frameworks compute
/// with as well, and weights to the float type that is asked for. Results of the written model are those of this graph,
/// bit for bit, unless operators were rearranged.
///
/// # Errors
/// [`EmitError::Option`], as [`super::stage`].
pub fn representable(model: &Checked, options: &OnnxOptions) -> Result<Graph, EmitError> {
    let float = float::check(options.float)?;
    let graph = model.graph().clone();
    if options.types == FloatTypes::Own {
        return Ok(graph.map_ops(|node| op(&node.op, types::of_node(model, node))));
    }
    let graph = if float::rounds(float::weights(&graph), float) { cast_weights(graph, float) } else { graph };
    Ok(graph.map_ops(|node| op(&node.op, float)))
}
