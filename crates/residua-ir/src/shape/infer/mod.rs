//! The type of each operator's result: what all operators share, and which module knows which.
//!
//! Element types are held to what an operator is defined for: truth values do not add, and integers do not mix with reals.
//! Reals of several widths do, since executors compute in one.

mod axes;
mod gather;
mod norm;
mod product;
mod quantised;
mod top_k;
mod window;

use super::{Dim, Shape, ShapeError, TensorType};
use crate::budget::Limit;
use crate::op::{Activation, Elementwise, Op};
use crate::tensor::DType;

type Result<T> = std::result::Result<T, ShapeError>;

fn arity(operands: &[TensorType], least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&operands.len()) {
        return Ok(());
    }
    let expected = match most {
        usize::MAX => format!("at least {least}"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    };
    Err(ShapeError::Arity { expected, found: operands.len() })
}

fn rank(operand: &'static str, shape: &Shape, expected: usize) -> Result<()> {
    if shape.rank() == expected {
        return Ok(());
    }
    Err(ShapeError::Rank { operand, expected: expected.to_string(), found: shape.clone() })
}

fn expect_shape(operand: &'static str, found: &Shape, expected: &[Dim]) -> Result<()> {
    if found.rank() == expected.len() && found.dims().iter().zip(expected).all(|(a, b)| a.may_equal(b)) {
        return Ok(());
    }
    Err(ShapeError::Shape { operand, expected: Shape::new(expected.to_vec()), found: found.clone() })
}

fn axis_in_range(axis: usize, shape: &Shape) -> Result<()> {
    if axis < shape.rank() {
        return Ok(());
    }
    Err(ShapeError::Attribute(format!("axis {axis} is out of range for shape {shape}").into()))
}

fn axes_in_range(axes: &[usize], shape: &Shape) -> Result<()> {
    if !axes.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(ShapeError::Attribute(format!("axes {axes:?} are not ascending").into()));
    }
    axes.iter().try_for_each(|&axis| axis_in_range(axis, shape))
}

fn float(operand: &'static str, ty: &TensorType) -> Result<()> {
    if ty.dtype.is_float() {
        return Ok(());
    }
    Err(ShapeError::Type { operand, expected: "real numbers", found: ty.dtype })
}

fn number(operand: &'static str, ty: &TensorType) -> Result<()> {
    if ty.dtype != DType::Bool {
        return Ok(());
    }
    Err(ShapeError::Type { operand, expected: "numbers", found: ty.dtype })
}

fn integer(operand: &'static str, ty: &TensorType) -> Result<()> {
    if !ty.dtype.is_float() && ty.dtype != DType::Bool {
        return Ok(());
    }
    Err(ShapeError::Type { operand, expected: "integers", found: ty.dtype })
}

fn truth(operand: &'static str, ty: &TensorType) -> Result<()> {
    if ty.dtype == DType::Bool {
        return Ok(());
    }
    Err(ShapeError::Type { operand, expected: "truth values", found: ty.dtype })
}

/// Refuses operands that cannot be computed with each other.
fn one_kind(operands: &[TensorType]) -> Result<()> {
    let Some(first) = operands.first() else { return Ok(()) };
    let fits = |ty: &&TensorType| ty.dtype == first.dtype || (ty.dtype.is_float() && first.dtype.is_float());
    match operands.iter().find(|ty| !fits(ty)) {
        None => Ok(()),
        Some(other) => Err(ShapeError::Attribute(
            format!("operands of type {} and {} do not fit together", first.dtype, other.dtype).into(),
        )),
    }
}

/// All shapes broadcast as numpy does.
fn broadcast_all(operands: &[TensorType]) -> Result<Shape> {
    let first = operands.first().map_or_else(|| Shape::new(Vec::new()), |operand| operand.shape.clone());
    operands.iter().skip(1).try_fold(first, |shape, operand| broadcast(&shape, &operand.shape))
}

/// Both shapes broadcast as numpy does.
fn broadcast(a: &Shape, b: &Shape) -> Result<Shape> {
    let rank = a.rank().max(b.rank());
    let at = |shape: &Shape, axis: usize| {
        (axis + shape.rank()).checked_sub(rank).map_or(Dim::Fixed(1), |axis| shape.dims()[axis].clone())
    };
    let dims = (0..rank).map(|axis| match (at(a, axis), at(b, axis)) {
        (Dim::Fixed(1), dim) | (dim, Dim::Fixed(1)) => Some(dim),
        (x, y) if !x.may_equal(&y) => None,
        // Where both are known to be the same, or one is free, the known size holds.
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Some(Dim::Fixed(size)),
        (x, Dim::Unknown) | (Dim::Unknown, x) => Some(x),
        (x, y) => Some(if x.is_equal(&y) { x } else { Dim::Unknown }),
    });
    let dims: Option<Vec<Dim>> = dims.collect();
    dims.map(Shape::new).ok_or_else(|| ShapeError::Broadcast { a: a.clone(), b: b.clone() })
}

fn remove_axes(shape: &Shape, axes: &[usize], keep: bool) -> Shape {
    let dims = shape.dims().iter().enumerate().filter_map(|(axis, dim)| match (axes.contains(&axis), keep) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::Fixed(1)),
        (true, false) => None,
    });
    Shape::new(dims.collect())
}

fn activation(function: Activation, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0];
    match function {
        Activation::Not => truth("x", x)?,
        Activation::Relu { .. } | Activation::Clip { .. } | Activation::Abs | Activation::Neg | Activation::Sign => {
            number("x", x)?
        }
        Activation::Elu { .. }
        | Activation::Celu { .. }
        | Activation::Selu
        | Activation::Gelu { .. }
        | Activation::Silu
        | Activation::Sigmoid
        | Activation::HardSigmoid { .. }
        | Activation::HardSwish
        | Activation::Tanh
        | Activation::Softplus
        | Activation::Softsign
        | Activation::Mish
        | Activation::Exp
        | Activation::Log
        | Activation::Sqrt
        | Activation::Reciprocal
        | Activation::Erf
        | Activation::Shrink { .. }
        | Activation::Floor
        | Activation::Ceil
        | Activation::Round
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
        | Activation::Atanh => float("x", x)?,
    }
    Ok(x.shape.clone())
}

fn elementwise(function: Elementwise, operands: &[TensorType]) -> Result<Shape> {
    let most = function.most_operands();
    arity(operands, if most == 2 { 2 } else { 1 }, most)?;
    match function {
        // The exponent may be of another type than the base.
        Elementwise::Pow => operands.iter().try_for_each(|operand| number("operand", operand))?,
        Elementwise::Add
        | Elementwise::Sub
        | Elementwise::Mul
        | Elementwise::Div
        | Elementwise::Max
        | Elementwise::Min
        | Elementwise::Mod
        | Elementwise::Rem => {
            operands.iter().try_for_each(|operand| number("operand", operand))?;
            one_kind(operands)?;
        }
        Elementwise::Mean => operands.iter().try_for_each(|operand| float("operand", operand))?,
        Elementwise::And | Elementwise::Or | Elementwise::Xor => {
            operands.iter().try_for_each(|operand| truth("operand", operand))?;
        }
    }
    broadcast_all(operands)
}

fn choice(operands: &[TensorType]) -> Result<TensorType> {
    arity(operands, 3, 3)?;
    truth("condition", &operands[0])?;
    one_kind(&operands[1..])?;
    Ok(TensorType { dtype: operands[1].dtype, shape: broadcast_all(operands)? })
}

/// The type of each result of `op`; empty where it cannot be known ([`Op::Opaque`]).
///
/// # Errors
/// [`ShapeError`] where the operator cannot be applied to these operands.
pub fn infer(op: &Op, operands: &[TensorType]) -> Result<Vec<TensorType>> {
    let dtype = operands.first().map_or(DType::F32, |operand| operand.dtype);
    let (dtype, shape) = match op {
        Op::Opaque(_) => return Ok(Vec::new()),
        Op::Quantize(quantize) => return Ok(vec![quantised::quantize(*quantize, operands)?]),
        Op::Dequantize(granularity) => return Ok(vec![quantised::dequantize(*granularity, operands)?]),
        Op::DynamicRange(part) => return Ok(vec![quantised::dynamic_range(*part, operands)?]),
        Op::Cast { dtype } => {
            arity(operands, 1, 1)?;
            (*dtype, operands[0].shape.clone())
        }
        Op::Where => {
            let ty = choice(operands)?;
            (ty.dtype, ty.shape)
        }
        Op::Compare(_) => {
            arity(operands, 2, 2)?;
            one_kind(operands)?;
            (DType::Bool, broadcast_all(operands)?)
        }
        Op::Is(_) => {
            arity(operands, 1, 1)?;
            float("x", &operands[0])?;
            (DType::Bool, operands[0].shape.clone())
        }
        Op::ArgExtremum(arg) => (DType::I64, top_k::arg_extremum(arg, operands)?),
        Op::TopK(top) => (if top.indices { DType::I64 } else { dtype }, top_k::top_k(top, operands)?),
        Op::Sizes { sizes, scalar } => (DType::I64, axes::sizes(sizes, *scalar, operands)?),
        Op::Conv(conv) => (dtype, window::conv(conv, operands)?),
        Op::ConvTranspose(conv) => (dtype, window::conv_transpose(conv, operands)?),
        Op::MaxPool(p) => (dtype, window::pool(operands, p.kernel, p.strides, p.dilations, (p.padding, p.ceil_mode))?),
        Op::AvgPool(p) => (dtype, window::pool(operands, p.kernel, p.strides, p.dilations, (p.padding, p.ceil_mode))?),
        Op::LpPool(p) => (dtype, window::pool(operands, p.kernel, p.strides, p.dilations, (p.padding, p.ceil_mode))?),
        Op::Pad(pad) => (dtype, window::pad(pad, operands)?),
        Op::PadAxes(pad) => (dtype, axes::pad(pad, operands)?),
        Op::Resize(resize) => (dtype, axes::resize(resize, operands)?),
        Op::BatchNorm(_) => (dtype, norm::batch_norm(operands)?),
        Op::GroupNorm(norm) => (dtype, norm::group_norm(norm.groups, operands)?),
        Op::LayerNorm(norm) => (dtype, norm::layer_norm(norm, operands)?),
        Op::Lrn(lrn) => (dtype, norm::lrn(lrn, operands)?),
        Op::Activation(function) => (dtype, activation(*function, operands)?),
        Op::Identity(_) => {
            arity(operands, 1, 1)?;
            (dtype, operands[0].shape.clone())
        }
        Op::PRelu => {
            arity(operands, 2, 2)?;
            let shape = broadcast(&operands[0].shape, &operands[1].shape)?;
            expect_shape("slope", &shape, operands[0].shape.dims())?;
            (dtype, operands[0].shape.clone())
        }
        Op::Elementwise(function) => (dtype, elementwise(*function, operands)?),
        Op::GlobalPool(pool) => {
            arity(operands, 1, 1)?;
            rank("x", &operands[0].shape, 4)?;
            (dtype, remove_axes(&operands[0].shape, &[2, 3], pool.keep_dims))
        }
        Op::Reduce(reduce) => {
            arity(operands, 1, 1)?;
            axes_in_range(&reduce.axes, &operands[0].shape)?;
            (dtype, remove_axes(&operands[0].shape, &reduce.axes, reduce.keep_dims))
        }
        Op::Linear => (dtype, product::linear(operands)?),
        Op::MatMul => (dtype, product::mat_mul(operands)?),
        Op::Concat { axis } => (dtype, axes::concat(*axis, operands)?),
        Op::Flatten { axis } => (dtype, axes::flatten(*axis, operands)?),
        Op::Reshape { shape } => (dtype, axes::reshape(shape, operands)?),
        Op::Transpose { perm } => (dtype, axes::transpose(perm, operands)?),
        Op::Squeeze { axes } => (dtype, axes::squeeze(axes, operands)?),
        Op::Unsqueeze { axes } => (dtype, axes::unsqueeze(axes, operands)?),
        Op::Slice { axis, start, end, step } => (dtype, gather::slice(*axis, (start, end.as_ref(), *step), operands)?),
        Op::Gather { axis } => (dtype, gather::gather(*axis, operands)?),
        Op::GatherElements { axis } => (dtype, gather::gather_elements(*axis, operands)?),
        Op::GatherNd { batch_dims } => (dtype, gather::gather_nd(*batch_dims, operands)?),
        Op::ScatterNd => (dtype, gather::scatter_nd(operands)?),
        Op::Expand { shape } => (dtype, axes::expand(shape, operands)?),
        Op::Tile { repeats } => (dtype, axes::tile(repeats, operands)?),
        Op::CumSum(sum) => {
            arity(operands, 1, 1)?;
            number("x", &operands[0])?;
            axis_in_range(sum.axis, &operands[0].shape)?;
            (dtype, operands[0].shape.clone())
        }
        Op::Trilu(_) => (dtype, axes::trilu(operands)?),
        Op::Softmax { axis } | Op::LogSoftmax { axis } | Op::Hardmax { axis } => {
            arity(operands, 1, 1)?;
            float("x", &operands[0])?;
            axis_in_range(*axis, &operands[0].shape)?;
            (dtype, operands[0].shape.clone())
        }
    };
    Limit::Rank.check_here(shape.rank()).map_err(ShapeError::Limit)?;
    Ok(vec![TensorType { dtype, shape }])
}
