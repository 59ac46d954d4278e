//! What moves elements without changing them, or only names axes and types otherwise.

use residua_ir::{Border, DType, Dim, Extent, Op, Pad, PadAxes, Pads, ReshapeDim, Trilu, ValueId};

use super::super::interface::dtype;
use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// Axes, an operand from `since` on and an attribute before.
pub(super) fn axes(r: &mut Reader<'_>, since: i64) -> Result<Option<Vec<i64>>, Unread> {
    if r.opset < since {
        return Ok(r.attributes.ints("axes")?.map(<[i64]>::to_vec));
    }
    r.operand(1).map(|name| r.scope.ints(name, "axes")).transpose()
}

pub(super) fn concat(r: &mut Reader<'_>) -> Read {
    let inputs = (0..r.node.input.len()).map(|index| r.value(index)).collect::<Result<Vec<ValueId>, _>>()?;
    let first = *inputs.first().ok_or_else(|| Misused("it has no operands".to_owned()))?;
    let axis = match r.attributes.int("axis")? {
        Some(axis) => axis,
        None if r.opset < 4 => 1,
        None => return Err(Misused("`axis` is missing".to_owned())),
    };
    let axis = Reader::axis(axis, r.rank(first))?;
    r.end(Op::Concat { axis }, &inputs)
}

pub(super) fn flatten(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axis = r.attributes.int("axis")?.unwrap_or(1);
    // One past the last axis is allowed here, and one counted from the end.
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
        r.attributes.ints("shape")?.map(|sizes| sizes.iter().map(|&size| Extent::Known(size)).collect())
    } else {
        let name = r.required(1)?;
        r.scope.extents(name)
    };
    let target: Vec<Extent> = target.ok_or_else(|| Unknown("its target is computed when it is run".to_owned()))?;
    let zero = r.opset >= 14 && r.attributes.flag("allowzero", false)?;
    let mut operands = vec![x];
    let shape = reshaped(r, target, zero, &mut operands)?;
    r.end(Op::Reshape { shape }, &operands)
}

/// A target, its free sizes as those of axes of the operand where they are the same.
fn reshaped(
    r: &mut Reader<'_>,
    target: Vec<Extent>,
    zero: bool,
    operands: &mut Vec<ValueId>,
) -> Result<Vec<ReshapeDim>, Unread> {
    let x = operands[0];
    let mut infer = target.contains(&Extent::Known(-1));
    let mut copied = Vec::new();
    let mut shape = Vec::with_capacity(target.len());
    for (axis, size) in target.into_iter().enumerate() {
        shape.push(match size {
            Extent::Known(-1) => ReshapeDim::Infer,
            Extent::Known(0) if !zero => ReshapeDim::Copy(axis),
            Extent::Known(size) => {
                ReshapeDim::Fixed(usize::try_from(size).map_err(|_| Unknown(format!("a size of {size}")))?)
            }
            free => match same_size(r, x, &free, axis).filter(|from| !copied.contains(from)) {
                Some(from) => {
                    copied.push(from);
                    ReshapeDim::Copy(from)
                }
                None if !infer => {
                    infer = true;
                    ReshapeDim::Infer
                }
                None => match &r.scope.extents_of(&[free], operands)[..] {
                    [only] => ReshapeDim::Computed(only.clone()),
                    _ => return Err(Unknown("its target is computed when it is run".to_owned())),
                },
            },
        });
    }
    Ok(shape)
}

/// The axis of a value that certainly has this size; the one at the same place where there are several.
fn same_size(r: &Reader<'_>, x: ValueId, size: &Extent, place: usize) -> Option<usize> {
    let &Extent::Of { operand, axis } = size else { return None };
    let of = r.scope.sized(operand)?;
    if of == x {
        return Some(axis);
    }
    let dim = r.scope.type_of(of)?.shape.dims().get(axis)?;
    let dims = r.scope.type_of(x)?.shape.dims();
    let same = |&axis: &usize| dims.get(axis).is_some_and(|other| other.is_equal(dim));
    [axis, place].into_iter().chain(0..dims.len()).find(same)
}

pub(super) fn transpose(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let perm = match r.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|&axis| Reader::axis(axis, r.rank(x))).collect::<Result<_, _>>()?,
        None => (0..r.known_rank(x)?).rev().collect(),
    };
    r.end(Op::Transpose { perm }, &[x])
}

pub(super) fn trilu(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let diagonal = match r.operand(1) {
        None => 0,
        Some(name) => match r.scope.ints(name, "diagonal")?[..] {
            [diagonal] => diagonal,
            ref found => return Err(Misused(format!("`k` has {} elements, it should be one", found.len()))),
        },
    };
    let upper = r.attributes.flag("upper", true)?;
    r.end(Op::Trilu(Trilu { upper, diagonal }), &[x])
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
    let stated = axes(r, 13)?.ok_or_else(|| Misused("its axes are missing".to_owned()))?;
    let axes = Reader::axes(&stated, r.rank(x).map(|rank| rank + stated.len()))?;
    r.end(Op::Unsqueeze { axes }, &[x])
}

pub(super) fn cast(r: &mut Reader<'_>) -> Read {
    // How values beyond the range of 8-bit floats are treated, which are not read.
    r.attributes.skip(&["saturate", "round_mode"]);
    let x = r.value(0)?;
    // Before opset 6 the type is a word.
    let to =
        if r.opset < 6 { r.attributes.text("to")?.and_then(named) } else { r.attributes.int("to")?.and_then(dtype) };
    let dtype = to.ok_or_else(|| Unknown("a cast to a type that is not read".to_owned()))?;
    r.end(Op::Cast { dtype }, &[x])
}

fn named(word: &str) -> Option<DType> {
    Some(match word {
        "DOUBLE" => DType::F64,
        "FLOAT" => DType::F32,
        "FLOAT16" => DType::F16,
        "INT64" => DType::I64,
        "INT32" => DType::I32,
        "INT16" => DType::I16,
        "INT8" => DType::I8,
        "UINT64" => DType::U64,
        "UINT32" => DType::U32,
        "UINT16" => DType::U16,
        "UINT8" => DType::U8,
        "BOOL" => DType::Bool,
        _ => return None,
    })
}

/// To the type of the second operand, of which nothing else matters.
pub(super) fn cast_like(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["saturate", "round_mode"]);
    let dtype = r.operand_dtype(1);
    let name = r.required(1)?;
    r.scope.constant(name);
    let dtype = dtype.ok_or_else(|| Unknown("the type of its second operand is not known".to_owned()))?;
    let x = r.value(0)?;
    r.end(Op::Cast { dtype }, &[x])
}

/// Amounts before and after each axis, and the number that stands there.
fn amounts(r: &mut Reader<'_>, rank: usize) -> Result<(Vec<[i64; 2]>, f64), Unread> {
    let (stated, value, axes) = if r.opset < 11 {
        let stated = r.attributes.ints(if r.opset < 2 { "paddings" } else { "pads" })?.unwrap_or_default();
        (stated.to_vec(), r.attributes.float("value")?.unwrap_or(0.0), None)
    } else {
        let name = r.required(1)?;
        let stated = r.scope.ints(name, "amounts")?;
        let value = r.operand(2).map_or(Ok(0.0), |_| r.number_like_first(2, "value"))?;
        let axes = r.operand(3).map(|name| r.scope.ints(name, "axes")).transpose()?;
        (stated, value, axes)
    };
    let axes = axes.unwrap_or_else(|| (0..).take(rank).collect());
    if stated.len() != 2 * axes.len() {
        return Err(Misused(format!("{} amounts for {} axes", stated.len(), axes.len())));
    }
    let mut all = vec![[0; 2]; rank];
    for (index, &axis) in axes.iter().enumerate() {
        all[Reader::axis(axis, Some(rank))?] = [stated[index], stated[axes.len() + index]];
    }
    Ok((all, value))
}

/// Amounts below 0 cut off.
pub(super) fn pad(r: &mut Reader<'_>) -> Read {
    let mut x = r.value(0)?;
    let rank = r.known_rank(x)?;
    let (amounts, value) = amounts(r, rank)?;
    let border = match r.attributes.text("mode")?.unwrap_or("constant") {
        "constant" => Border::Constant(value),
        "reflect" => Border::Reflect,
        "edge" => Border::Edge,
        "wrap" => Border::Wrap,
        other => return Err(Unknown(format!("padding by `{other}` is not known"))),
    };
    r.attributes.finish()?;
    for (axis, &[before, after]) in amounts.iter().enumerate().filter(|(_, amounts)| amounts.iter().any(|&a| a < 0)) {
        let start = Extent::Known(before.saturating_neg().max(0));
        let end = (after < 0).then_some(Extent::Known(after));
        x = r.step(&format!("cut{axis}"), Op::Slice { axis, start, end, step: 1 }, &[x]);
    }
    let amounts: Vec<[usize; 2]> =
        amounts.iter().map(|amounts| amounts.map(|amount| usize::try_from(amount).unwrap_or(0))).collect();
    let op = match (&amounts[..], border) {
        (&[[0, 0], channels, [top, bottom], [left, right]], Border::Constant(value)) if value.is_finite() => {
            Op::Pad(Pad { pads: Pads { top, left, bottom, right }, channels, value })
        }
        _ => Op::PadAxes(PadAxes { amounts, border }),
    };
    r.end(op, &[x])
}
