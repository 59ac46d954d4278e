//! Layers and operations with several operands, and how Keras brings their axes together.

use residua_ir::{Elementwise, Op, SourceOrder, Tensor};

use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val};
use crate::keras::order;

/// Where an operand with fewer axes gets axes of size 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    /// Behind the batch, as merging layers do: `[N, C]` meets `[N, H, W, C]` as `[N, 1, 1, C]`.
    Merge,
    /// Before all others, as numpy does.
    Numpy,
}

/// `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`.
pub(super) fn elementwise(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let op = match layer_call.layer.class {
        "Add" => Elementwise::Add,
        "Subtract" => Elementwise::Sub,
        "Multiply" => Elementwise::Mul,
        "Average" => Elementwise::Mean,
        "Maximum" => Elementwise::Max,
        _ => Elementwise::Min,
    };
    if layer_call.inputs.len() < 2 || (op == Elementwise::Sub && layer_call.inputs.len() != 2) {
        return Err(layer_call.misfit(format!("takes two tensors or more, found {}", layer_call.inputs.len())));
    }
    let inputs = layer_call.inputs.clone();
    let (operands, order) = aligned(layer_call, &inputs, Alignment::Merge)?;
    Ok(layer_call.finish(Op::Elementwise(op), &operands.iter().collect::<Vec<_>>(), order))
}

/// Operands whose axes fit together as numpy broadcasts, all in one order.
pub(super) fn aligned(
    layer_call: &mut LayerCall<'_, '_>,
    values: &[Val],
    how: Alignment,
) -> Lowered<(Vec<Val>, SourceOrder)> {
    let Some(ranks) = values.iter().map(Val::rank).collect::<Option<Vec<usize>>>() else {
        let order =
            values.iter().find(|value| value.ty.is_some()).map_or(SourceOrder::Same, |value| value.order.clone());
        return Ok((values.to_vec(), order));
    };
    let rank = ranks.iter().copied().max().unwrap_or(0);
    let widest = values.iter().zip(&ranks).find(|(_, r)| **r == rank).map(|(value, _)| value.order.clone());
    let widest = widest.unwrap_or_default();
    let flattened = matches!(widest, SourceOrder::FlattenedChannelsLast { .. });
    let order = if flattened && values.iter().any(|value| value.order != widest) { SourceOrder::Same } else { widest };
    let mut operands = Vec::with_capacity(values.len());
    for (value, r) in values.iter().zip(ranks) {
        operands.push(if r == rank {
            layer_call.reordered(value, order.clone())?
        } else {
            widened(layer_call, value, rank, &order, how)?
        });
    }
    Ok((operands, order))
}

/// A value with axes of size 1 put in, in the order of the wider ones.
fn widened(
    layer_call: &mut LayerCall<'_, '_>,
    value: &Val,
    rank: usize,
    order: &SourceOrder,
    how: Alignment,
) -> Lowered {
    let value = layer_call.plain(value)?;
    let own = layer_call.rank(&value)?;
    let Some(axes) = order::axes(order, rank) else { return Ok(value) };
    // For each axis of the result in the graph's order, the axis of the value that it is, if any.
    let mut sources: Vec<Option<usize>> = vec![None; rank];
    for axis in 0..own {
        let source = match how {
            Alignment::Merge if axis == 0 => 0,
            Alignment::Merge | Alignment::Numpy => axis + rank - own,
        };
        sources[axes[source]] = Some(axis);
    }
    let perm: Vec<usize> = sources.iter().copied().flatten().collect();
    let value = if perm.is_sorted() {
        value
    } else {
        layer_call.step("transpose", Op::Transpose { perm }, &[&value], SourceOrder::Same)
    };
    let new: Vec<usize> = sources.iter().enumerate().filter(|(_, axis)| axis.is_none()).map(|(at, _)| at).collect();
    Ok(layer_call.step("unsqueeze", Op::Unsqueeze { axes: new }, &[&value], order.clone()))
}

/// A constant with the axes of the source, seen so that it broadcasts against `value` as numpy does.
pub(super) fn literal(layer_call: &LayerCall<'_, '_>, tensor: &Tensor, value: &Val) -> Lowered<Tensor> {
    if tensor.len() == 1 && tensor.shape().len() <= 1 {
        return tensor.reshape(&[]).map_err(|error| layer_call.tensor_error(error));
    }
    let rank = layer_call.rank(value)?;
    let own = tensor.shape().len();
    let fits = own <= rank;
    let Some(axes) = value.axes().filter(|_| fits) else {
        if fits && own == 1 && Some(tensor.len()) == value.size(1) {
            return order::view(tensor, &value.order).map_err(|error| layer_call.tensor_error(error));
        }
        return Err(Stop::Opaque("a constant with more axes than its operand has no operator".to_owned()));
    };
    let shape: Vec<usize> = std::iter::repeat_n(1, rank - own).chain(tensor.shape().iter().copied()).collect();
    let view = tensor.reshape(&shape).and_then(|tensor| tensor.permute(&order::inverse(&axes)));
    view.map_err(|error| layer_call.tensor_error(error))
}

/// `Concatenate`.
pub(super) fn concatenate(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let axis = layer_call.fields().i64("axis")?.unwrap_or(-1);
    concat(layer_call, axis)
}

/// All operands joined along a source axis.
pub(super) fn concat(layer_call: &mut LayerCall<'_, '_>, axis: i64) -> Lowered {
    let inputs = layer_call.inputs.clone();
    let Some(first) = inputs.first() else { return Err(layer_call.misfit("takes at least one tensor")) };
    let order = match &first.order {
        SourceOrder::FlattenedChannelsLast { .. } => SourceOrder::Same,
        order @ (SourceOrder::Same | SourceOrder::Permuted(_)) => order.clone(),
    };
    let mut operands = Vec::with_capacity(inputs.len());
    for input in &inputs {
        operands.push(layer_call.reordered(input, order.clone())?);
    }
    let axis = layer_call.axis(&operands[0], axis)?;
    Ok(layer_call.finish(Op::Concat { axis }, &operands.iter().collect::<Vec<_>>(), order))
}
