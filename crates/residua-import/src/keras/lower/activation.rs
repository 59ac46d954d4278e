//! Activations: the layers, the `activation` argument of other layers, by name or as a serialised layer.

use residua_ir::{Activation, Elementwise, Op, PoolKind, Reduce, SourceOrder};
use serde_json::Value;

use crate::keras::json::Fields;
use crate::keras::layer_call::{Generation, LayerCall, Lowered, Stop, Val, Weight};
use crate::keras::order;

/// Activations within activations: a layer as the activation of an `Activation` layer.
const MAX_NESTING: usize = 4;

/// What an activation computes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    Linear,
    Pointwise(Activation),
    /// Over source axes, usually one.
    Softmax(Vec<i64>),
    LogSoftmax(i64),
    /// `-softplus(-x)`.
    LogSigmoid,
    /// `x - tanh(x)`.
    TanhShrink,
    /// `x` beyond this on either side, 0 between.
    HardShrink(f64),
    /// `x - clamp(x, -t, t)`.
    SoftShrink(f64),
    /// The first half along the last axis times the sigmoid of the second.
    Glu,
    /// Of this name; not known.
    Unknown(String),
}

/// A layer that is an activation.
pub(super) fn layer(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let function = from_class(layer_call.layer.class, layer_call.fields(), layer_call.net.generation, 0)?;
    let x = layer_call.input()?;
    match function {
        Function::Unknown(name) => Err(Stop::Opaque(format!("the activation `{name}` is not known"))),
        known => apply(layer_call, &known, &x),
    }
}

/// `slope * x` below 0, with a slope an element or, along shared axes, fewer.
pub(super) fn prelu(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let mut x = layer_call.input()?;
    let rank = layer_call.rank(&x)?;
    if rank < 2 {
        return Err(layer_call.misfit("takes an input of at least 2 axes"));
    }
    if layer_call.shared || x.axes().is_some_and(|axes| axes[0] != 0) {
        x = layer_call.plain(&x)?;
    }
    let mut shape = x.source_sizes().unwrap_or_default().split_off(1);
    for axis in layer_call.fields().integers("shared_axes")?.unwrap_or_default() {
        match order::resolve(axis, rank) {
            Some(axis @ 1..) => shape[axis - 1] = Some(1),
            Some(0) | None => {
                return Err(layer_call.fields().error("shared_axes", "axes of the input but the batch").into());
            }
        }
    }
    if matches!(x.order, SourceOrder::FlattenedChannelsLast { .. }) && shape == [Some(1)] {
        let [slope] = layer_call.weights([Weight::new("alpha", &shape)])?;
        return Ok(layer_call.finish(Op::PRelu, &[&x, &slope], x.order.clone()));
    }
    let order = x.order.clone();
    let [slope] = layer_call.weights([Weight::new("alpha", &shape).view(|alpha| order::view(alpha, &order))])?;
    Ok(layer_call.finish(Op::PRelu, &[&x, &slope], order))
}

/// An operator, then the layer's `activation`; the operator is `<layer>/<part>` where an activation follows.
pub(super) fn activated(
    layer_call: &mut LayerCall<'_, '_>,
    part: &str,
    op: Op,
    inputs: &[&Val],
    order: SourceOrder,
) -> Lowered {
    let function = match layer_call.fields().get("activation") {
        None => Function::Linear,
        Some(value) => from_value(value, layer_call.path, layer_call.net.generation, 0)?,
    };
    if function == Function::Linear {
        return Ok(layer_call.finish(op, inputs, order));
    }
    let x = layer_call.step(part, op, inputs, order);
    apply(layer_call, &function, &x)
}

/// The function, as the last node of the layer.
pub(super) fn apply(layer_call: &mut LayerCall<'_, '_>, function: &Function, x: &Val) -> Lowered {
    let order = x.order.clone();
    let unary = |activation| Op::Activation(activation);
    Ok(match function {
        Function::Linear => layer_call.chain(x, Vec::new(), order),
        Function::Pointwise(activation) => layer_call.finish(unary(*activation), &[x], order),
        Function::LogSigmoid => {
            let ops = vec![
                ("negative", unary(Activation::Neg)),
                ("softplus", unary(Activation::Softplus)),
                ("log_sigmoid", unary(Activation::Neg)),
            ];
            layer_call.chain(x, ops, order)
        }
        Function::TanhShrink => {
            let tanh = layer_call.step("tanh", unary(Activation::Tanh), &[x], order.clone());
            layer_call.finish(Op::Elementwise(Elementwise::Sub), &[x, &tanh], order)
        }
        Function::SoftShrink(limit) => {
            let clip = unary(Activation::Clip { min: Some(-limit), max: Some(*limit) });
            let clipped = layer_call.step("clip", clip, &[x], order.clone());
            layer_call.finish(Op::Elementwise(Elementwise::Sub), &[x, &clipped], order)
        }
        Function::HardShrink(limit) => {
            let beyond = Activation::Relu { negative_slope: 0.0, threshold: *limit, max_value: None };
            let above = layer_call.step("above", unary(beyond), &[x], order.clone());
            let negative = layer_call.step("negative", unary(Activation::Neg), &[x], order.clone());
            let below = layer_call.step("below", unary(beyond), &[&negative], order.clone());
            layer_call.finish(Op::Elementwise(Elementwise::Sub), &[&above, &below], order)
        }
        Function::Glu => return glu(layer_call, x),
        Function::Softmax(axes) => {
            let mut axes = axes.iter().map(|&axis| layer_call.axis(x, axis)).collect::<Lowered<Vec<usize>>>()?;
            axes.sort_unstable();
            match axes.as_slice() {
                &[axis] => layer_call.finish(Op::Softmax { axis }, &[x], order),
                _ => softmax(layer_call, x, &axes),
            }
        }
        Function::LogSoftmax(axis) => {
            let axis = layer_call.axis(x, *axis)?;
            log_softmax(layer_call, x, axis)
        }
        Function::Unknown(name) => {
            let reason = format!("the activation `{name}` is not known");
            let name = name.clone();
            layer_call.opaque(&name, reason, &[x])
        }
    })
}

/// `exp(d) / Σ exp(d)` over several axes at once, with `d = x - max(x)`.
fn softmax(layer_call: &mut LayerCall<'_, '_>, x: &Val, axes: &[usize]) -> Val {
    let order = x.order.clone();
    let reduce = |kind| Op::Reduce(Reduce { kind, axes: axes.to_vec(), keep_dims: true });
    let largest = layer_call.step("max", reduce(PoolKind::Max), &[x], order.clone());
    let below = layer_call.step("sub", Op::Elementwise(Elementwise::Sub), &[x, &largest], order.clone());
    let exp = layer_call.step("exp", Op::Activation(Activation::Exp), &[&below], order.clone());
    let sum = layer_call.step("sum", reduce(PoolKind::Sum), &[&exp], order.clone());
    layer_call.finish(Op::Elementwise(Elementwise::Div), &[&exp, &sum], order)
}

/// The first half along the last source axis times the sigmoid of the second.
fn glu(layer_call: &mut LayerCall<'_, '_>, x: &Val) -> Lowered {
    let x = if x.axes().is_none() { layer_call.plain(x)? } else { x.clone() };
    let order = x.order.clone();
    let axis = layer_call.axis(&x, -1)?;
    let Some(size) = x.size(axis).filter(|size| size % 2 == 0) else {
        return Err(layer_call.misfit("glu halves its last axis, whose size must be known and even"));
    };
    let half = |start, end| Op::slice(axis, start, Some(end), 1);
    let value = layer_call.step("first", half(0, size / 2), &[&x], order.clone());
    let gate = layer_call.step("second", half(size / 2, size), &[&x], order.clone());
    let gate = layer_call.step("sigmoid", Op::Activation(Activation::Sigmoid), &[&gate], order.clone());
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Mul), &[&value, &gate], order))
}

/// `d - log(Σ exp(d))` with `d = x - max(x)`, which neither overflows nor takes the logarithm of 0.
fn log_softmax(layer_call: &mut LayerCall<'_, '_>, x: &Val, axis: usize) -> Val {
    let order = x.order.clone();
    let reduce = |kind| Op::Reduce(Reduce { kind, axes: vec![axis], keep_dims: true });
    let largest = layer_call.step("max", reduce(PoolKind::Max), &[x], order.clone());
    let below = layer_call.step("sub", Op::Elementwise(Elementwise::Sub), &[x, &largest], order.clone());
    let exp = layer_call.step("exp", Op::Activation(Activation::Exp), &[&below], order.clone());
    let sum = layer_call.step("sum", reduce(PoolKind::Sum), &[&exp], order.clone());
    let log = layer_call.step("log", Op::Activation(Activation::Log), &[&sum], order.clone());
    layer_call.finish(Op::Elementwise(Elementwise::Sub), &[&below, &log], order)
}

/// An `activation` argument: a name, or a serialised layer.
fn from_value(value: &Value, at: &str, generation: Generation, depth: usize) -> Lowered<Function> {
    if let Some(name) = value.as_str() {
        return Ok(named(name, generation));
    }
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config");
    match (class, config.and_then(Value::as_object), config.and_then(Value::as_str)) {
        // A Python function: its name is all there is, and it need not be the one that Keras calls so.
        (Some("function"), _, Some(name)) => Ok(Function::Unknown(name.to_owned())),
        (Some(class), Some(config), _) if depth < MAX_NESTING => {
            from_class(class, Fields::new(at, config), generation, depth + 1)
        }
        (class, _, _) => Ok(Function::Unknown(class.unwrap_or("activation").to_owned())),
    }
}

fn from_class(class: &str, fields: Fields<'_>, generation: Generation, depth: usize) -> Lowered<Function> {
    // Keras 2 says alpha, Keras 3 says negative_slope.
    let slope = |default| Ok::<_, Stop>(fields.f64("negative_slope")?.or(fields.f64("alpha")?).unwrap_or(default));
    let function = match class {
        "Activation" => match fields.get("activation") {
            Some(value) => from_value(value, class, generation, depth)?,
            None => Function::Linear,
        },
        "ReLU" => Function::Pointwise(Activation::Relu {
            negative_slope: slope(0.0)?,
            threshold: fields.f64_or("threshold", 0.0)?,
            max_value: fields.f64("max_value")?,
        }),
        "ThresholdedReLU" => Function::Pointwise(Activation::Relu {
            negative_slope: 0.0,
            threshold: fields.f64_or("theta", 1.0)?,
            max_value: None,
        }),
        "LeakyReLU" => Function::Pointwise(Activation::leaky_relu(slope(0.3)?)),
        "ELU" => Function::Pointwise(Activation::Elu { alpha: fields.f64_or("alpha", 1.0)? }),
        "Softmax" => Function::Softmax(fields.integers("axis")?.unwrap_or_else(|| vec![-1])),
        _ => Function::Unknown(class.to_owned()),
    };
    Ok(function)
}

/// The activations that Keras knows by name.
pub(super) fn named(name: &str, generation: Generation) -> Function {
    let hard_sigmoid = match generation {
        Generation::Keras2 => Activation::HardSigmoid { slope: 0.2, offset: 0.5 },
        Generation::Keras3 => Activation::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 },
    };
    Function::Pointwise(match name {
        "linear" => return Function::Linear,
        "softmax" => return Function::Softmax(vec![-1]),
        "log_softmax" => return Function::LogSoftmax(-1),
        "log_sigmoid" => return Function::LogSigmoid,
        "tanh_shrink" => return Function::TanhShrink,
        "hard_shrink" => return Function::HardShrink(0.5),
        "soft_shrink" => return Function::SoftShrink(0.5),
        "glu" => return Function::Glu,
        "relu" => Activation::RELU,
        "relu6" => Activation::RELU6,
        "leaky_relu" => Activation::leaky_relu(0.2),
        "elu" | "celu" => Activation::Elu { alpha: 1.0 },
        "selu" => Activation::Selu,
        "gelu" => Activation::Gelu { tanh_approximation: false },
        "silu" | "swish" => Activation::Silu,
        "sigmoid" => Activation::Sigmoid,
        "hard_sigmoid" => hard_sigmoid,
        "hard_silu" | "hard_swish" => Activation::HardSwish,
        "sparse_sigmoid" => Activation::HardSigmoid { slope: 0.5, offset: 0.5 },
        "hard_tanh" => Activation::Clip { min: Some(-1.0), max: Some(1.0) },
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus,
        "softsign" => Activation::Softsign,
        "mish" => Activation::Mish,
        "exponential" => Activation::Exp,
        other => return Function::Unknown(other.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn function(value: &Value, generation: Generation) -> Function {
        from_value(value, "layer", generation, 0).unwrap()
    }

    #[test]
    fn hard_sigmoid_has_the_slope_of_the_keras_that_wrote_the_file() {
        let slope = |generation| match named("hard_sigmoid", generation) {
            Function::Pointwise(Activation::HardSigmoid { slope, .. }) => slope,
            other => panic!("{other:?}"),
        };
        assert_eq!(slope(Generation::Keras2), 0.2);
        assert_eq!(slope(Generation::Keras3), 1.0 / 6.0);
    }

    #[test]
    fn a_layer_may_be_an_activation() {
        let k2 = json!({"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.1}});
        let k3 = json!({"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.1}});
        let leaky = Function::Pointwise(Activation::leaky_relu(0.1));
        assert_eq!(function(&k2, Generation::Keras2), leaky);
        assert_eq!(function(&k3, Generation::Keras3), leaky);
    }

    #[test]
    fn a_python_function_is_not_taken_for_the_activation_of_the_same_name() {
        let custom = json!({"module": "builtins", "class_name": "function", "config": "relu"});
        assert_eq!(function(&custom, Generation::Keras3), Function::Unknown("relu".to_owned()));
    }

    #[test]
    fn activations_within_activations_end() {
        let mut value = json!("relu");
        for _ in 0..50 {
            value = json!({"class_name": "Activation", "config": {"activation": value}});
        }
        assert_eq!(function(&value, Generation::Keras3), Function::Unknown("Activation".to_owned()));
    }
}
