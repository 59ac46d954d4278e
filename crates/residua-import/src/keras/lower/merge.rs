//! Layers and operations with several operands, and how Keras brings their axes together.

use residua_ir::{Elementwise, Op, SourceOrder, Tensor};

use crate::keras::order;
use crate::keras::site::{Lowered, Site, Stop, Val};

/// Where an operand with fewer axes gets axes of size 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    /// Behind the batch, as merging layers do: `[N, C]` meets `[N, H, W, C]` as `[N, 1, 1, C]`.
    Merge,
    /// Before all others, as numpy does.
    Numpy,
}

/// `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`.
pub(super) fn elementwise(site: &mut Site<'_, '_>) -> Lowered {
    let op = match site.layer.class {
        "Add" => Elementwise::Add,
        "Subtract" => Elementwise::Sub,
        "Multiply" => Elementwise::Mul,
        "Average" => Elementwise::Mean,
        "Maximum" => Elementwise::Max,
        _ => Elementwise::Min,
    };
    if site.inputs.len() < 2 || (op == Elementwise::Sub && site.inputs.len() != 2) {
        return Err(site.misfit(format!("takes two tensors or more, found {}", site.inputs.len())));
    }
    let inputs = site.inputs.clone();
    let (operands, order) = aligned(site, &inputs, Alignment::Merge)?;
    Ok(site.finish(Op::Elementwise(op), &operands.iter().collect::<Vec<_>>(), order))
}

/// Operands whose axes fit together as numpy broadcasts, all in one order.
pub(super) fn aligned(site: &mut Site<'_, '_>, values: &[Val], how: Alignment) -> Lowered<(Vec<Val>, SourceOrder)> {
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
            site.reordered(value, order.clone())?
        } else {
            widened(site, value, rank, &order, how)?
        });
    }
    Ok((operands, order))
}

/// A value with axes of size 1 put in, in the order of the wider ones.
fn widened(site: &mut Site<'_, '_>, value: &Val, rank: usize, order: &SourceOrder, how: Alignment) -> Lowered {
    let value = site.plain(value)?;
    let own = site.rank(&value)?;
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
        site.step("transpose", Op::Transpose { perm }, &[&value], SourceOrder::Same)
    };
    let new: Vec<usize> = sources.iter().enumerate().filter(|(_, axis)| axis.is_none()).map(|(at, _)| at).collect();
    Ok(site.step("unsqueeze", Op::Unsqueeze { axes: new }, &[&value], order.clone()))
}

/// A constant with the axes of the source, seen so that it broadcasts against `value` as numpy does.
pub(super) fn literal(site: &Site<'_, '_>, tensor: &Tensor, value: &Val) -> Lowered<Tensor> {
    if tensor.len() == 1 && tensor.shape().len() <= 1 {
        return tensor.reshape(&[]).map_err(|error| site.tensor_error(error));
    }
    let rank = site.rank(value)?;
    let own = tensor.shape().len();
    let fits = own <= rank;
    let Some(axes) = value.axes().filter(|_| fits) else {
        if fits && own == 1 && Some(tensor.len()) == value.size(1) {
            return order::view(tensor, &value.order).map_err(|error| site.tensor_error(error));
        }
        return Err(Stop::Opaque("a constant with more axes than its operand has no operator".to_owned()));
    };
    let shape: Vec<usize> = std::iter::repeat_n(1, rank - own).chain(tensor.shape().iter().copied()).collect();
    let view = tensor.reshape(&shape).and_then(|tensor| tensor.permute(&order::inverse(&axes)));
    view.map_err(|error| site.tensor_error(error))
}

/// `Concatenate`.
pub(super) fn concatenate(site: &mut Site<'_, '_>) -> Lowered {
    let axis = site.fields().i64("axis")?.unwrap_or(-1);
    concat(site, axis)
}

/// All operands joined along a source axis.
pub(super) fn concat(site: &mut Site<'_, '_>, axis: i64) -> Lowered {
    let inputs = site.inputs.clone();
    let Some(first) = inputs.first() else { return Err(site.misfit("takes at least one tensor")) };
    let order = match &first.order {
        SourceOrder::FlattenedChannelsLast { .. } => SourceOrder::Same,
        order @ (SourceOrder::Same | SourceOrder::Permuted(_)) => order.clone(),
    };
    let mut operands = Vec::with_capacity(inputs.len());
    for input in &inputs {
        operands.push(site.reordered(input, order.clone())?);
    }
    let axis = site.axis(&operands[0], axis)?;
    Ok(site.finish(Op::Concat { axis }, &operands.iter().collect::<Vec<_>>(), order))
}
