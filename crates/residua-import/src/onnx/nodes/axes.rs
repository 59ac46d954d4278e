//! Reductions, and whatever moves elements without changing them.

use residua_ir::{Activation, Dim, Op, PoolKind, Reduce, ReshapeDim, ValueId};

use super::super::interface::dtype;
use super::super::scope::Size;
use super::super::{Reader, Unknown};
use super::Read;

/// Axes, an operand from `since` on and an attribute before.
fn axes(r: &mut Reader<'_>, since: i64) -> Result<Option<Vec<i64>>, Unknown> {
    if r.opset < since {
        return Ok(r.attributes.ints("axes")?.map(<[i64]>::to_vec));
    }
    r.operand(1).map(|name| r.scope.ints(name, "axes")).transpose()
}

pub(super) fn reduce(r: &mut Reader<'_>, kind: PoolKind) -> Read {
    let since = if kind == PoolKind::Sum { 13 } else { 18 };
    let x = r.value(0)?;
    r.real(x)?;
    let rank = r.rank(x);
    let stated = axes(r, since)?.unwrap_or_default();
    let nothing = r.opset >= since && r.attributes.flag("noop_with_empty_axes", false)?;
    let axes = match (stated.is_empty(), nothing) {
        (true, false) => (0..r.known_rank(x)?).collect(),
        (true, true) | (false, _) => Reader::axes(&stated, rank)?,
    };
    let keep_dims = r.attributes.flag("keepdims", true)?;
    r.end(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
}

pub(super) fn concat(r: &mut Reader<'_>) -> Read {
    let inputs = (0..r.node.input.len()).map(|index| r.value(index)).collect::<Result<Vec<ValueId>, _>>()?;
    let first = *inputs.first().ok_or_else(|| Unknown("it has no operands".to_owned()))?;
    let axis = match r.attributes.int("axis")? {
        Some(axis) => axis,
        None if r.opset < 4 => 1,
        None => return Err(Unknown("`axis` is missing".to_owned())),
    };
    let axis = Reader::axis(axis, r.rank(first))?;
    r.end(Op::Concat { axis }, &inputs)
}

pub(super) fn flatten(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axis = r.attributes.int("axis")?.unwrap_or(1);
    // One past the last axis is allowed here.
    let axis = match r.rank(x) {
        Some(rank) if usize::try_from(axis) == Ok(rank) => rank,
        rank => Reader::axis(axis, rank)?,
    };
    r.end(Op::Flatten { axis }, &[x])
}

pub(super) fn reshape(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let target = if r.opset < 5 {
        r.attributes.skip(&["consumed_inputs"]);
        r.attributes.ints("shape")?.map(|sizes| sizes.iter().map(|&size| Size::Known(size)).collect())
    } else {
        let name = r.required(1)?;
        r.scope.sizes(name)
    };
    let target: Vec<Size> = target.ok_or_else(|| Unknown("its target is computed when it is run".to_owned()))?;
    let zero = r.opset >= 14 && r.attributes.flag("allowzero", false)?;
    let mut infer = target.contains(&Size::Known(-1));
    let mut shape = Vec::with_capacity(target.len());
    for (axis, size) in target.into_iter().enumerate() {
        shape.push(match size {
            Size::Known(-1) => ReshapeDim::Infer,
            Size::Known(0) if !zero => ReshapeDim::Copy(axis),
            Size::Known(size) => {
                let size = usize::try_from(size).map_err(|_| Unknown(format!("a size of {size}")))?;
                ReshapeDim::Fixed(size)
            }
            Size::Of(value, from) if same_size(r, (x, from), (value, from)) => ReshapeDim::Copy(from),
            Size::Of(..) if !infer => {
                infer = true;
                ReshapeDim::Infer
            }
            Size::Of(..) => return Err(Unknown("its target has more than one free size of another value".to_owned())),
        });
    }
    r.end(Op::Reshape { shape }, &[x])
}

/// Whether two axes certainly have the same size.
fn same_size(r: &Reader<'_>, a: (ValueId, usize), b: (ValueId, usize)) -> bool {
    let dim = |(id, axis): (ValueId, usize)| r.scope.type_of(id).and_then(|ty| ty.shape.dims().get(axis));
    a == b || matches!((dim(a), dim(b)), (Some(a), Some(b)) if a.is_equal(b))
}

pub(super) fn transpose(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let perm = match r.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|&axis| Reader::axis(axis, r.rank(x))).collect::<Result<_, _>>()?,
        None => (0..r.known_rank(x)?).rev().collect(),
    };
    r.end(Op::Transpose { perm }, &[x])
}

pub(super) fn squeeze(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axes = match (axes(r, 13)?, r.scope.type_of(x)) {
        (Some(stated), _) => Reader::axes(&stated, r.rank(x))?,
        (None, Some(ty)) if ty.shape.as_fixed().is_some() => {
            let ones = ty.shape.dims().iter().enumerate().filter(|(_, dim)| **dim == Dim::Fixed(1));
            ones.map(|(axis, _)| axis).collect()
        }
        (None, _) => return Err(Unknown("which axes it removes depends on sizes that are not known".to_owned())),
    };
    r.end(Op::Squeeze { axes }, &[x])
}

pub(super) fn unsqueeze(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let stated = axes(r, 13)?.ok_or_else(|| Unknown("its axes are missing".to_owned()))?;
    let axes = Reader::axes(&stated, r.rank(x).map(|rank| rank + stated.len()))?;
    r.end(Op::Unsqueeze { axes }, &[x])
}

/// `starts`, `ends`, `axes` and `steps`: attributes before opset 10, operands from then on.
fn ranges(r: &mut Reader<'_>) -> Result<[Option<Vec<i64>>; 4], Unknown> {
    if r.opset < 10 {
        let list = |name: &str| Ok(r.attributes.ints(name)?.map(<[i64]>::to_vec));
        return Ok([list("starts")?, list("ends")?, list("axes")?, None]);
    }
    let mut list = |index: usize| r.operand(index).map(|name| r.scope.ints(name, "ranges")).transpose();
    Ok([list(1)?, list(2)?, list(3)?, list(4)?])
}

pub(super) fn slice(r: &mut Reader<'_>) -> Read {
    let mut x = r.value(0)?;
    let rank = r.rank(x);
    let [starts, ends, axes, steps] = ranges(r)?;
    let (Some(starts), Some(ends)) = (starts, ends) else { return Err(Unknown("its ranges are missing".to_owned())) };
    let count = starts.len();
    let axes = axes.unwrap_or_else(|| (0..).take(count).collect());
    let steps = steps.unwrap_or_else(|| vec![1; count]);
    if count == 0 || [ends.len(), axes.len(), steps.len()] != [count; 3] {
        return Err(Unknown("its ranges are not as many as its axes".to_owned()));
    }
    r.attributes.finish()?;
    for index in 0..count {
        let axis = Reader::axis(axes[index], rank)?;
        let size = r.scope.fixed(x, axis);
        let place = |value: i64| match (usize::try_from(value), size) {
            (Ok(value), _) => Ok(value),
            // Counted from the end.
            (Err(_), Some(size)) => {
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                Ok(usize::try_from(value.saturating_add(size)).unwrap_or(0))
            }
            (Err(_), None) => Err(Unknown("a range is counted from the end of an axis of free size".to_owned())),
        };
        let step = usize::try_from(steps[index]).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| Unknown(format!("a step of {} is not known", steps[index])))?;
        let (start, end) = (place(starts[index])?, place(ends[index])?);
        // Beyond any size is to the end; exporters write the largest integer of 32 or 64 bits.
        let end = (end < i32::MAX as usize && size.is_none_or(|size| end < size)).then_some(end);
        let op = Op::slice(axis, start, end, step);
        if index + 1 == count {
            return r.end(op, &[x]);
        }
        x = r.step(&format!("slice{index}"), op, &[x]);
    }
    Ok(x)
}

/// Before opset 13, the axes from `axis` on were taken as one.
pub(super) fn softmax(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let stated = r.attributes.int("axis")?.unwrap_or(if r.opset < 13 { 1 } else { -1 });
    let axis = Reader::axis(stated, r.rank(x))?;
    if r.opset < 13 && r.scope.shape(x)?.dims().iter().skip(axis + 1).any(|dim| *dim != Dim::Fixed(1)) {
        let shape = r.scope.shape(x)?;
        return Err(Unknown(format!("a softmax over several axes of {shape} is not known")));
    }
    if r.node.op_type == "Softmax" {
        return r.end(Op::Softmax { axis }, &[x]);
    }
    r.attributes.finish()?;
    let soft = r.step("softmax", Op::Softmax { axis }, &[x]);
    r.end(Op::Activation(Activation::Log), &[soft])
}

pub(super) fn cast(r: &mut Reader<'_>) -> Read {
    // How values beyond the range of 8-bit floats are treated, which are not read.
    r.attributes.skip(&["saturate", "round_mode"]);
    let x = r.value(0)?;
    let to = r.attributes.int("to")?.and_then(dtype);
    let dtype = to.ok_or_else(|| Unknown("a cast to a type that is not read".to_owned()))?;
    r.end(Op::Cast { dtype }, &[x])
}
