//! Functions applied to tensors without a layer: operations of Keras 3, and TensorFlow functions in Keras 2.
//!
//! Both are brought to the class names of Keras 3, with the keys of either.

use residua_ir::{Activation, DType, Elementwise, Extremum, IdentityReason, Op, Pad, Pads, PoolKind, SourceOrder};
use serde_json::Value;

use super::activation::{Function, apply, named};
use super::merge::{self, Alignment};
use super::{indexing, lengths, reduction, resample, reshape};
use crate::keras::config::Arg;
use crate::keras::json::{Constant, Fields};
use crate::keras::layer_call::{Generation, LayerCall, Lowered, Stop};
use crate::keras::order;

/// An operation of Keras 3.
pub(super) fn keras3(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    operation(layer_call, layer_call.layer.class, fields)
}

/// A TensorFlow function that Keras 2 wrapped as a layer.
pub(super) fn keras2(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let function = layer_call.fields().str("function")?.unwrap_or_default();
    let Some(class) = keras3_class(function) else {
        return Err(Stop::Opaque(format!("the TensorFlow function `{function}` is not known")));
    };
    let fields = Fields::new(layer_call.path, layer_call.call.keys.unwrap_or(layer_call.layer.keys()));
    operation(layer_call, class, fields)
}

fn keras3_class(function: &str) -> Option<&'static str> {
    Some(match function {
        "math.add" | "__operators__.add" => "Add",
        "math.subtract" | "__operators__.sub" => "Subtract",
        "math.multiply" | "__operators__.mul" => "Multiply",
        "math.truediv" | "math.divide" => "TrueDivide",
        "math.maximum" => "Maximum",
        "math.minimum" => "Minimum",
        "math.pow" => "Power",
        "math.square" => "Square",
        "math.rsqrt" => "Rsqrt",
        "math.sqrt" => "Sqrt",
        "math.abs" => "Absolute",
        "math.negative" => "Negative",
        "math.exp" => "Exp",
        "math.log" => "Log",
        "math.reciprocal" => "Reciprocal",
        "math.erf" => "Erf",
        "math.tanh" | "nn.tanh" => "Tanh",
        "math.sigmoid" | "nn.sigmoid" => "Sigmoid",
        "math.softplus" | "nn.softplus" => "Softplus",
        "nn.softsign" => "Softsign",
        "nn.relu" => "Relu",
        "nn.relu6" => "Relu6",
        "nn.elu" => "Elu",
        "nn.selu" => "Selu",
        "nn.silu" | "nn.swish" => "Silu",
        "nn.gelu" => "Gelu",
        "nn.leaky_relu" => "LeakyRelu",
        "nn.softmax" => "Softmax",
        "nn.log_softmax" => "LogSoftmax",
        "clip_by_value" => "Clip",
        "math.reduce_mean" => "Mean",
        "math.reduce_sum" => "Sum",
        "math.reduce_max" => "Max",
        "math.reduce_min" => "Min",
        "math.reduce_std" => "Std",
        "math.reduce_variance" => "Var",
        "math.argmax" | "argmax" => "Argmax",
        "math.argmin" | "argmin" => "Argmin",
        "math.l2_normalize" | "nn.l2_normalize" | "linalg.l2_normalize" => "L2Normalize",
        "cast" => "Cast",
        "reshape" => "Reshape",
        "transpose" => "Transpose",
        "concat" => "Concatenate",
        "squeeze" => "Squeeze",
        "expand_dims" => "ExpandDims",
        "pad" | "compat.v1.pad" => "Pad",
        "identity" => "Identity",
        "__operators__.getitem" => "GetItem",
        "stack" => "Stack",
        "reverse" => "Flip",
        "gather" | "compat.v1.gather" => "Take",
        "nn.bias_add" => "BiasAdd",
        _ => return None,
    })
}

fn operation(layer_call: &mut LayerCall<'_, '_>, class: &str, fields: Fields<'_>) -> Lowered {
    if let Some(op) = binary(class) {
        return elementwise(layer_call, op);
    }
    if let Some(function) = pointwise(class, fields, layer_call.net.generation)? {
        let x = layer_call.input()?;
        return apply(layer_call, &function, &x);
    }
    match class {
        "Square" => {
            let x = layer_call.input()?;
            let order = x.order.clone();
            Ok(layer_call.finish(Op::Elementwise(Elementwise::Mul), &[&x, &x], order))
        }
        "Rsqrt" => {
            let x = layer_call.input()?;
            let ops = [("sqrt", Activation::Sqrt), ("reciprocal", Activation::Reciprocal)];
            let order = x.order.clone();
            Ok(layer_call.chain(&x, ops.map(|(part, op)| (part, Op::Activation(op))).into(), order))
        }
        "Identity" => {
            let x = layer_call.input()?;
            let order = x.order.clone();
            Ok(layer_call.finish(Op::Identity(IdentityReason::Linear), &[&x], order))
        }
        "Mean" => reduction::reduce(layer_call, PoolKind::Mean, fields),
        "Sum" => reduction::reduce(layer_call, PoolKind::Sum, fields),
        "Max" | "Amax" => reduction::reduce(layer_call, PoolKind::Max, fields),
        "Min" | "Amin" => reduction::reduce(layer_call, PoolKind::Min, fields),
        "Std" => reduction::deviation(layer_call, true, fields),
        "Var" => reduction::deviation(layer_call, false, fields),
        "Argmax" => reduction::place(layer_call, Extremum::Largest, fields),
        "Argmin" => reduction::place(layer_call, Extremum::Smallest, fields),
        "Normalize" => lengths::normalize(layer_call, fields),
        "L2Normalize" => lengths::l2_normalize(layer_call, fields),
        "Resize" => resample::resize_operation(layer_call, fields),
        "Cast" => cast(layer_call, fields),
        "Concatenate" => merge::concat(layer_call, fields.i64("axis")?.unwrap_or(0)),
        "Reshape" => batch_reshape(layer_call, fields),
        "Transpose" => {
            let x = layer_call.input()?;
            let rank = i64::try_from(layer_call.rank(&x)?).unwrap_or(0);
            let axes = either(fields.integers("axes")?, fields.integers("perm")?);
            reshape::transpose(layer_call, &x, &axes.unwrap_or_else(|| (0..rank).rev().collect()))
        }
        "Squeeze" => squeeze(layer_call, fields),
        "ExpandDims" => expand_dims(layer_call, fields),
        "GetItem" => indexing::get_item(layer_call),
        "Stack" => indexing::stack(layer_call, fields),
        "Flip" => indexing::flip(layer_call, fields),
        "Take" => indexing::take(layer_call, fields),
        "BiasAdd" => bias_add(layer_call, fields),
        "Pad" => pad(layer_call, fields),
        _ => Err(Stop::Opaque(format!("the operation {class} is not known"))),
    }
}

fn either<T>(first: Option<T>, second: Option<T>) -> Option<T> {
    first.or(second)
}

fn binary(class: &str) -> Option<Elementwise> {
    Some(match class {
        "Add" => Elementwise::Add,
        "Subtract" => Elementwise::Sub,
        "Multiply" => Elementwise::Mul,
        "Divide" | "TrueDivide" => Elementwise::Div,
        "Maximum" => Elementwise::Max,
        "Minimum" => Elementwise::Min,
        "Power" => Elementwise::Pow,
        _ => return None,
    })
}

fn pointwise(class: &str, fields: Fields<'_>, generation: Generation) -> Lowered<Option<Function>> {
    let axis = || Ok::<_, Stop>(fields.i64("axis")?.unwrap_or(-1));
    let axes = || Ok::<_, Stop>(fields.integers("axis")?.unwrap_or_else(|| vec![-1]));
    let slope = || Ok::<_, Stop>(either(fields.f64("negative_slope")?, fields.f64("alpha")?).unwrap_or(0.2));
    let plain = |name: &str| named(name, Generation::Keras3);
    // TensorFlow's gelu is exact unless told otherwise, that of Keras 3 is not.
    let approximate = fields.bool_or("approximate", generation == Generation::Keras3)?;
    Ok(Some(match class {
        "Relu" => plain("relu"),
        "Relu6" => plain("relu6"),
        "Selu" => plain("selu"),
        "Silu" => plain("silu"),
        "Sigmoid" => plain("sigmoid"),
        "LogSigmoid" => plain("log_sigmoid"),
        "HardSigmoid" => plain("hard_sigmoid"),
        "HardSilu" => plain("hard_silu"),
        "HardTanh" => plain("hard_tanh"),
        "TanhShrink" => plain("tanh_shrink"),
        "Tanh" => plain("tanh"),
        "Softplus" => plain("softplus"),
        "Softsign" => plain("softsign"),
        "Exp" => plain("exponential"),
        "Elu" => Function::Pointwise(Activation::Elu { alpha: fields.f64_or("alpha", 1.0)? }),
        "LeakyRelu" => Function::Pointwise(Activation::leaky_relu(slope()?)),
        "Gelu" => Function::Pointwise(Activation::Gelu { tanh_approximation: approximate }),
        "Softmax" => Function::Softmax(axes()?),
        "LogSoftmax" => Function::LogSoftmax(axis()?),
        "Absolute" | "Abs" => Function::Pointwise(Activation::Abs),
        "Negative" => Function::Pointwise(Activation::Neg),
        "Sqrt" => Function::Pointwise(Activation::Sqrt),
        "Log" => Function::Pointwise(Activation::Log),
        "Reciprocal" => Function::Pointwise(Activation::Reciprocal),
        "Erf" => Function::Pointwise(Activation::Erf),
        "Clip" => Function::Pointwise(Activation::Clip {
            min: either(fields.f64("x_min")?, fields.f64("clip_value_min")?),
            max: either(fields.f64("x_max")?, fields.f64("clip_value_max")?),
        }),
        _ => return Ok(None),
    }))
}

/// One tensor and a constant, in either order, or two tensors.
fn elementwise(layer_call: &mut LayerCall<'_, '_>, op: Elementwise) -> Lowered {
    let op = Op::Elementwise(op);
    if layer_call.inputs.len() == 2 {
        let inputs = layer_call.inputs.clone();
        let (operands, order) = merge::aligned(layer_call, &inputs, Alignment::Numpy)?;
        return Ok(layer_call.finish(op, &operands.iter().collect::<Vec<_>>(), order));
    }
    let x = layer_call.input()?;
    let constant_first = matches!(layer_call.call.args.first(), Some(Arg::Literal(_)));
    let second = ["x2", "y"];
    let value = if constant_first { layer_call.literal(0, &["x1", "x"]) } else { layer_call.literal(1, &second) };
    // `x + x` names the same tensor twice; anything else that is no constant is not known.
    let Some(constant) = value.and_then(Constant::parse) else {
        return Err(Stop::Opaque("its second operand is no tensor and no number".to_owned()));
    };
    let tensor = merge::literal(layer_call, &layer_call.constant(&constant)?, &x)?;
    let constant = layer_call.made("constant", residua_ir::Role::Literal, tensor);
    let order = x.order.clone();
    let operands = if constant_first { [&constant, &x] } else { [&x, &constant] };
    Ok(layer_call.finish(op, &operands, order))
}

/// TensorFlow's addition of a number to each channel.
fn bias_add(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let rank = layer_call.rank(&x)?;
    let bias = fields.constant("bias")?.filter(|bias| bias.shape.len() == 1);
    let Some(mut bias) = bias else {
        return Err(Stop::Opaque("its bias is no list of numbers".to_owned()));
    };
    let channels_first = fields.str("data_format")?.is_some_and(|format| format.starts_with("NC"));
    if channels_first {
        bias.shape.extend(std::iter::repeat_n(1, rank.saturating_sub(2)));
    }
    let tensor = merge::literal(layer_call, &layer_call.constant(&bias)?, &x)?;
    let bias = layer_call.made("bias", residua_ir::Role::Literal, tensor);
    let order = x.order.clone();
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Add), &[&x, &bias], order))
}

/// `cast`. What follows computes in reals again, as Keras's layers do.
fn cast(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let dtype = match fields.str("dtype")?.or(layer_call.literal(1, &["dtype"]).and_then(Value::as_str)) {
        Some("float32") => DType::F32,
        Some("float64") => DType::F64,
        Some("float16") => DType::F16,
        Some("bfloat16") => DType::BF16,
        Some("int64") => DType::I64,
        Some("int32") => DType::I32,
        Some("int16") => DType::I16,
        Some("int8") => DType::I8,
        Some("uint64") => DType::U64,
        Some("uint32") => DType::U32,
        Some("uint16") => DType::U16,
        Some("uint8") => DType::U8,
        Some("bool") => DType::Bool,
        Some(other) => return Err(Stop::Opaque(format!("a cast to {other} has no operator"))),
        None => return Err(Stop::Opaque("what it casts to is not said".to_owned())),
    };
    let order = x.order.clone();
    Ok(layer_call.finish(Op::Cast { dtype }, &[&x], order))
}

/// A reshape whose first size is the batch.
fn batch_reshape(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let shape = either(fields.integers("newshape")?, fields.integers("shape")?);
    let shape = shape.ok_or_else(|| fields.error("newshape", "sizes"))?;
    let Some((&batch, rest)) = shape.split_first() else { return Err(fields.error("newshape", "sizes").into()) };
    let own = reshape::count(x.source_sizes().unwrap_or_default().into_iter().skip(1));
    let wanted = reshape::count(rest.iter().map(|&size| usize::try_from(size).ok()));
    let keeps_batch = match batch {
        -1 => own.is_some() && own == wanted,
        batch => x.size(0).is_some() && usize::try_from(batch).ok() == x.size(0),
    };
    if !keeps_batch {
        return Err(Stop::Opaque("a reshape across the batch has no operator".to_owned()));
    }
    reshape::reshape_to(layer_call, &x, rest)
}

fn squeeze(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let rank = layer_call.rank(&x)?;
    let map = x.axes().unwrap_or_default();
    let mut axes = match fields.integers("axis")? {
        None => (0..rank).filter(|&axis| x.size(axis) == Some(1)).collect(),
        Some(axes) => axes.into_iter().map(|axis| layer_call.axis(&x, axis)).collect::<Lowered<Vec<usize>>>()?,
    };
    axes.sort_unstable();
    let order = order::without(&map, &axes);
    Ok(layer_call.finish(Op::Squeeze { axes }, &[&x], order))
}

fn expand_dims(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.plain(&x)?;
    let rank = layer_call.rank(&x)? + 1;
    let axis = fields.i64("axis")?.and_then(|axis| order::resolve(axis, rank));
    let axis = axis.ok_or_else(|| fields.error("axis", "an axis of the result"))?;
    Ok(layer_call.finish(Op::Unsqueeze { axes: vec![axis] }, &[&x], SourceOrder::Same))
}

/// Constant padding of an image's pixels or channels, as shortcuts without weights have it.
fn pad(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let constant = || Stop::Opaque("only padding of images with a constant has an operator".to_owned());
    let mode = fields.str("mode")?.unwrap_or("constant").to_ascii_lowercase();
    let amounts = either(fields.constant("pad_width")?, fields.constant("paddings")?);
    let amounts = amounts.filter(|amounts| amounts.shape == [4, 2] && mode == "constant" && x.rank() == Some(4));
    let (Some(amounts), Some(axes)) = (amounts, x.axes()) else { return Err(constant()) };
    let mut by_axis = [[0usize; 2]; 4];
    for (source, pair) in amounts.values.chunks(2).enumerate() {
        for (side, amount) in pair.iter().enumerate() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be a small integer"
            )]
            let amount = (amount.fract() == 0.0 && (0.0..1e9).contains(amount)).then_some(*amount as usize);
            by_axis[axes[source]][side] = amount.ok_or_else(constant)?;
        }
    }
    let [[0, 0], channels, [top, bottom], [left, right]] = by_axis else { return Err(constant()) };
    let value =
        either(fields.f64("constant_values")?, layer_call.literal(2, &["constant_values"]).and_then(Value::as_f64));
    let pad = Pad { pads: Pads { top, left, bottom, right }, channels, value: value.unwrap_or(0.0) };
    let order = x.order.clone();
    Ok(layer_call.finish(Op::Pad(pad), &[&x], order))
}
