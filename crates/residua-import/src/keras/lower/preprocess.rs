//! Layers that prepare images within the model: rescaling and normalisation by constants.

use residua_ir::{Activation, Elementwise, Op, Role, SourceOrder, Tensor};

use super::merge;
use crate::keras::json::Constant;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val, Weight};
use crate::keras::order;

/// What Keras puts below the standard deviation of a `Normalization`.
const SMALLEST_DEVIATION: f64 = 1e-7;

/// `Rescaling`: `x * scale + offset`.
pub(super) fn rescaling(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let fields = layer_call.fields();
    let scale = fields.constant("scale")?.unwrap_or_else(|| Constant::scalar(1.0));
    let offset = fields.constant("offset")?.unwrap_or_else(|| Constant::scalar(0.0));
    let scale = (!scale.is_all(1.0)).then_some(scale);
    let offset = (!offset.is_all(0.0)).then_some(offset);
    let steps = [("scale", Elementwise::Mul, scale), ("offset", Elementwise::Add, offset)];
    let steps: Vec<_> = steps.into_iter().filter_map(|(name, op, constant)| Some((name, op, constant?))).collect();
    let order = x.order.clone();
    let last = steps.len();
    let mut value = x;
    for (index, (name, op, constant)) in steps.into_iter().enumerate() {
        let tensor = per_channel(layer_call, layer_call.constant(&constant)?, &value)?;
        let operand = layer_call.made(name, Role::Literal, tensor);
        value = if index + 1 == last {
            return Ok(layer_call.finish(Op::Elementwise(op), &[&value, &operand], order));
        } else {
            layer_call.step("mul", Op::Elementwise(op), &[&value, &operand], order.clone())
        };
    }
    Ok(layer_call.chain(&value, Vec::new(), order))
}

/// A constant as it broadcasts; in a channels-first model Keras takes a list to be one number a channel.
fn per_channel(layer_call: &LayerCall<'_, '_>, tensor: Tensor, x: &Val) -> Lowered<Tensor> {
    let &[count] = tensor.shape() else { return merge::literal(layer_call, &tensor, x) };
    if layer_call.net.channels_first && x.rank() == Some(4) && x.order == SourceOrder::Same && x.size(1) == Some(count)
    {
        return tensor.reshape(&[1, count, 1, 1]).map_err(|error| layer_call.tensor_error(error));
    }
    merge::literal(layer_call, &tensor, x)
}

/// `Normalization`: `(x - mean) / max(√variance, 1e-7)`, or the inverse of that, with constants of the configuration or
/// those that `adapt` gathered.
pub(super) fn normalization(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let rank = layer_call.rank(&x)?;
    let fields = layer_call.fields();
    let mut kept = Vec::new();
    // `axis: null` is one mean for all; a key that is not there at all is the default.
    let axes = if layer_call.layer.says_null("axis") { Some(Vec::new()) } else { fields.integers("axis")? };
    for axis in axes.unwrap_or_else(|| vec![-1]) {
        kept.push(order::resolve(axis, rank).ok_or_else(|| fields.error("axis", "axes of its input"))?);
    }
    kept.sort_unstable();
    let [mean, variance] = match (fields.constant("mean")?, fields.constant("variance")?) {
        (Some(mean), Some(variance)) => {
            let made = |layer_call: &mut LayerCall<'_, '_>, name: &str, constant: &Constant| {
                let tensor = along(layer_call, &layer_call.constant(constant)?, &x, &kept)?;
                Ok::<_, Stop>(layer_call.made(name, Role::Literal, tensor))
            };
            [made(layer_call, "mean", &mean)?, made(layer_call, "variance", &variance)?]
        }
        (None, None) => adapted(layer_call, &x, &kept)?,
        (Some(_), None) | (None, Some(_)) => return Err(fields.error("mean", "mean and variance, or neither").into()),
    };
    let order = x.order.clone();
    let smallest = layer_call.constant(&Constant::scalar(SMALLEST_DEVIATION))?;
    let smallest = layer_call.made("smallest", Role::Literal, smallest);
    let root = layer_call.step("sqrt", Op::Activation(Activation::Sqrt), &[&variance], SourceOrder::Same);
    let deviation =
        layer_call.step("deviation", Op::Elementwise(Elementwise::Max), &[&root, &smallest], SourceOrder::Same);
    if fields.bool_or("invert", false)? {
        let scaled = layer_call.step("mul", Op::Elementwise(Elementwise::Mul), &[&x, &deviation], order.clone());
        return Ok(layer_call.finish(Op::Elementwise(Elementwise::Add), &[&scaled, &mean], order));
    }
    let centred = layer_call.step("sub", Op::Elementwise(Elementwise::Sub), &[&x, &mean], order.clone());
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Div), &[&centred, &deviation], order))
}

/// Statistics and counter that `adapt` left in the file.
fn adapted(layer_call: &mut LayerCall<'_, '_>, x: &Val, kept: &[usize]) -> Lowered<[Val; 2]> {
    let sizes = x.source_sizes().unwrap_or_default();
    let shape: Vec<Option<usize>> = kept.iter().map(|&axis| sizes[axis]).collect();
    let view = |tensor: &Tensor| broadcast(tensor, x, kept);
    let statistic = |name| Weight::new(name, &shape).role(Role::Statistic).view(view);
    let mut weights = vec![statistic("mean"), statistic("variance")];
    if layer_call.net.store.count(layer_call.path) > 2 {
        weights.push(Weight::new("count", &[]).role(Role::Counter));
    }
    let values = layer_call.weight_list(weights)?;
    match values.as_slice() {
        [mean, variance, ..] => Ok([mean.clone(), variance.clone()]),
        _ => Err(layer_call.wrong("its tensors cannot be bound")),
    }
}

/// A constant over the last of the kept axes, or over none of them.
fn along(layer_call: &LayerCall<'_, '_>, tensor: &Tensor, x: &Val, kept: &[usize]) -> Lowered<Tensor> {
    let own = tensor.shape().len();
    let Some(axes) = kept.len().checked_sub(own).map(|skipped| &kept[skipped..]) else {
        return Err(layer_call.wrong(format!("mean has {own} axes, its layer normalises along {}", kept.len())));
    };
    broadcast(tensor, x, axes).map_err(|error| layer_call.tensor_error(error))
}

/// A tensor over these source axes, seen as the graph's value lies, with size 1 elsewhere.
pub(super) fn broadcast(tensor: &Tensor, x: &Val, over: &[usize]) -> Result<Tensor, residua_ir::TensorError> {
    let axes = x.axes().unwrap_or_default();
    let mut shape = vec![1; axes.len()];
    for (&axis, &size) in over.iter().zip(tensor.shape()) {
        shape[axis] = size;
    }
    tensor.reshape(&shape)?.permute(&order::inverse(&axes))
}
