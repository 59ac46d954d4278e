//! Operators that gather elements, split or repeat them.

use residua_ir::{Arithmetic, Extent, IdentityReason, Op, ValueId};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// Beyond any size is all the way; exporters write the largest or smallest integer of 32 or 64 bits.
const BEYOND: i64 = i32::MAX as i64;

/// `starts`, `ends`, `axes` and `steps`: attributes before opset 10, operands from then on.
struct Ranges {
    starts: Vec<Extent>,
    ends: Vec<Extent>,
    axes: Vec<i64>,
    steps: Vec<i64>,
}

impl Ranges {
    fn read(r: &mut Reader<'_>) -> Result<Self, Unread> {
        let missing = || Unknown("its ranges are missing".to_owned());
        let computed = || Unknown("its ranges are computed when it is run".to_owned());
        let (starts, ends, axes, steps) = if r.opset < 10 {
            let list = |name: &str| r.attributes.ints(name)?.ok_or_else(missing);
            let known = |values: &[i64]| values.iter().map(|&value| Extent::Known(value)).collect::<Vec<_>>();
            let axes = r.attributes.ints("axes")?.map(<[i64]>::to_vec);
            (known(list("starts")?), known(list("ends")?), axes, None)
        } else {
            let (starts, ends) = (r.required(1)?, r.required(2)?);
            let mut extents = |name: &str| r.scope.extents(name).ok_or_else(computed);
            let (starts, ends) = (extents(starts)?, extents(ends)?);
            let mut list = |index: usize| r.operand(index).map(|name| r.scope.ints(name, "ranges")).transpose();
            (starts, ends, list(3)?, list(4)?)
        };
        let count = starts.len();
        let axes = axes.unwrap_or_else(|| (0..).take(count).collect());
        let steps = steps.unwrap_or_else(|| vec![1; count]);
        if [ends.len(), axes.len(), steps.len()] != [count; 3] {
            return Err(Unknown("its ranges are not as many as its axes".to_owned()));
        }
        Ok(Self { starts, ends, axes, steps })
    }
}

/// Bounds counted from the front where the size is known; none where they go all the way.
fn bounds(start: Extent, end: Extent, step: i64, size: Option<usize>) -> (Extent, Option<Extent>) {
    let size = size.and_then(|size| i64::try_from(size).ok());
    let place = |extent: Extent| match (extent.known(), size) {
        (Some(index), Some(size)) if index < 0 => {
            Extent::Known(index.saturating_add(size).max(if step > 0 { 0 } else { -1 }))
        }
        _ => extent,
    };
    let all_the_way = match (end.known(), size) {
        (Some(end), _) if step > 0 && end >= BEYOND => true,
        (Some(end), _) if step < 0 && end <= -BEYOND => true,
        (Some(end), Some(size)) => {
            if step > 0 {
                end >= size
            } else {
                end.saturating_add(size) < 0
            }
        }
        _ => false,
    };
    if step < 0 {
        // What is counted from the end stays so: -1 would be the last element, not the one before the first.
        return (start, (!all_the_way).then_some(end));
    }
    (place(start), (!all_the_way).then(|| place(end)))
}

pub(super) fn slice(r: &mut Reader<'_>) -> Read {
    let mut x = r.value(0)?;
    let rank = r.rank(x);
    let Ranges { starts, ends, axes, steps } = Ranges::read(r)?;
    let axes = axes.iter().map(|&axis| Reader::axis(axis, rank)).collect::<Result<Vec<usize>, _>>()?;
    if steps.contains(&0) {
        return Err(Unknown("a step of 0 is not known".to_owned()));
    }
    r.attributes.finish()?;
    let count = axes.len();
    if count == 0 {
        return r.end(Op::Identity(IdentityReason::Linear), &[x]);
    }
    for (index, (((start, end), axis), step)) in starts.into_iter().zip(ends).zip(axes).zip(steps).enumerate() {
        let (start, end) = bounds(start, end, step, r.scope.fixed(x, axis));
        let mut operands = vec![x];
        let mut own = |extent: Extent| r.scope.extents_of(&[extent], &mut operands).pop();
        let (Some(start), end) = (own(start), end.and_then(&mut own)) else { continue };
        let op = Op::Slice { axis, start, end, step };
        if index + 1 == count {
            return r.end(op, &operands);
        }
        x = r.step(&format!("slice{index}"), op, &operands);
    }
    Ok(x)
}

/// Where the parts begin, and where the last one ends; `None` where that is the end of the axis.
fn cuts(r: &mut Reader<'_>, x: ValueId, axis: usize, parts: usize) -> Result<Vec<Option<Extent>>, Unread> {
    let stated = if r.opset < 2 && r.operand(1).is_some() || r.opset >= 13 {
        r.operand(1).map(|name| r.scope.ints(name, "sizes")).transpose()?
    } else {
        r.attributes.ints("split")?.map(<[i64]>::to_vec)
    };
    let out_of_range = || Unknown("its sizes are out of range".to_owned());
    if let Some(stated) = stated {
        if stated.len() != parts || stated.iter().any(|&size| size < 0) {
            return Err(Misused(format!("sizes {stated:?} for {parts} results")));
        }
        let mut sum = 0i64;
        let mut cuts = vec![Some(Extent::Known(0))];
        for size in stated {
            sum = sum.checked_add(size).ok_or_else(out_of_range)?;
            cuts.push(Some(Extent::Known(sum)));
        }
        if let Some(size) = r.scope.fixed(x, axis)
            && i64::try_from(size) != Ok(sum)
        {
            return Err(Misused(format!("its sizes come to {sum}, the axis has {size}")));
        }
        return Ok(cuts);
    }
    // Equal parts; from opset 18 on the last one may be smaller.
    let count = i64::try_from(parts).map_err(|_| out_of_range())?;
    if let Some(stated) = r.attributes.int("num_outputs")?
        && stated != count
    {
        return Err(Unknown(format!("`num_outputs` {stated} for {parts} results")));
    }
    let size = match r.scope.fixed(x, axis) {
        Some(size) => Extent::from(size),
        None => {
            let name = r.required(0)?;
            let all = r.scope.sizes_of(name).and_then(|sizes| sizes.get(axis).cloned());
            all.ok_or_else(|| Unknown("the shape of its operand is not known".to_owned()))?
        }
    };
    if r.opset < 18 && size.known().is_some_and(|size| size % count != 0) {
        return Err(Unknown(format!("{size:?} elements cannot be split into {parts} equal parts")));
    }
    let compute = |by, a, b| Extent::compute(by, a, Extent::Known(b)).ok_or_else(out_of_range);
    let rounded = compute(Arithmetic::Add, size, if r.opset < 18 { 0 } else { count - 1 })?;
    let part = compute(Arithmetic::Div, rounded, count)?;
    let inner = (0..count).map(|index| compute(Arithmetic::Mul, part.clone(), index).map(Some));
    inner.chain([Ok(None)]).collect()
}

pub(super) fn split(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(0), r.rank(x))?;
    let parts = r.node.output.len();
    let cuts = cuts(r, x, axis, parts)?;
    r.attributes.finish()?;
    let size = r.scope.fixed(x, axis).and_then(|size| i64::try_from(size).ok());
    let part = |r: &mut Reader<'_>, index: usize| {
        let mut operands = vec![x];
        let mut own = |extent: &Option<Extent>| r.scope.extents_of(extent.as_slice(), &mut operands).pop();
        let start = own(&cuts[index]).unwrap_or(Extent::Known(0));
        let end = own(&cuts[index + 1]).filter(|end| size.is_none() || end.known() != size);
        (Op::Slice { axis, start, end, step: 1 }, operands)
    };
    for index in (1..parts).filter(|&index| r.wants(index)).collect::<Vec<_>>() {
        let (op, operands) = part(r, index);
        r.give(index, op, &operands);
    }
    let (op, operands) = part(r, 0);
    r.end(op, &operands)
}

/// The axis that indices run along; a whole number each.
fn picked(r: &mut Reader<'_>) -> Result<([ValueId; 2], usize), Unread> {
    let operands = [r.value(0)?, r.value(1)?];
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(0), r.rank(operands[0]))?;
    Ok((operands, axis))
}

pub(super) fn gather(r: &mut Reader<'_>) -> Read {
    let (operands, axis) = picked(r)?;
    r.end(Op::Gather { axis }, &operands)
}

pub(super) fn gather_elements(r: &mut Reader<'_>) -> Read {
    let (operands, axis) = picked(r)?;
    r.end(Op::GatherElements { axis }, &operands)
}

pub(super) fn gather_nd(r: &mut Reader<'_>) -> Read {
    let operands = [r.value(0)?, r.value(1)?];
    let batch_dims = r.attributes.int("batch_dims")?.unwrap_or(0);
    let batch_dims = usize::try_from(batch_dims).map_err(|_| Unknown(format!("`batch_dims` is {batch_dims}")))?;
    r.end(Op::GatherNd { batch_dims }, &operands)
}

pub(super) fn scatter_nd(r: &mut Reader<'_>) -> Read {
    match r.attributes.text("reduction")? {
        None | Some("none") => {}
        Some(other) => return Err(Unknown(format!("its reduction `{other}`"))),
    }
    let operands = [r.value(0)?, r.value(1)?, r.value(2)?];
    r.end(Op::ScatterNd, &operands)
}

pub(super) fn choose(r: &mut Reader<'_>) -> Read {
    let operands = [r.value(0)?, r.value(1)?, r.value(2)?];
    r.end(Op::Where, &operands)
}

pub(super) fn expand(r: &mut Reader<'_>) -> Read {
    let name = r.required(1)?;
    let target = r.scope.extents(name).ok_or_else(|| Unknown("its target is computed when it is run".to_owned()))?;
    let mut operands = vec![r.value(0)?];
    let shape = r.scope.extents_of(&target, &mut operands);
    r.end(Op::Expand { shape }, &operands)
}

/// Before opset 6 one axis is repeated, and both are operands.
pub(super) fn tile(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let rank = r.known_rank(x)?;
    let name = r.required(1)?;
    let stated = r.scope.extents(name).ok_or_else(|| Unknown("its repeats are computed when it is run".to_owned()))?;
    let repeats = if r.opset < 6 {
        let name = r.required(2)?;
        let axis = r.scope.ints(name, "axis")?.first().copied().unwrap_or(0);
        let axis = Reader::axis(axis, Some(rank))?;
        let times = stated.first().cloned().unwrap_or(Extent::Known(1));
        (0..rank).map(|at| if at == axis { times.clone() } else { Extent::Known(1) }).collect()
    } else {
        stated
    };
    let mut operands = vec![x];
    let repeats = r.scope.extents_of(&repeats, &mut operands);
    r.end(Op::Tile { repeats }, &operands)
}
