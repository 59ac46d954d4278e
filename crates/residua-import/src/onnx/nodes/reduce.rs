//! Reductions, whatever orders elements, and softmax.

use residua_ir::{ArgExtremum, CumSum, Dim, Extremum, Op, PoolKind, Reduce, TopK};

use super::super::{Misused, Reader};
use super::{Read, axes};

pub(super) fn reduce(r: &mut Reader<'_>, kind: PoolKind) -> Read {
    let since = if kind == PoolKind::Sum { 13 } else { 18 };
    let x = r.value(0)?;
    match kind {
        PoolKind::Mean | PoolKind::L2 | PoolKind::LogSum | PoolKind::LogSumExp => r.real(x)?,
        PoolKind::Max | PoolKind::Min | PoolKind::Sum | PoolKind::Product | PoolKind::L1 | PoolKind::SumSquare => {}
    }
    let rank = r.rank(x);
    let stated = axes::axes(r, since)?.unwrap_or_default();
    let nothing = r.opset >= since && r.attributes.flag("noop_with_empty_axes", false)?;
    let axes = match (stated.is_empty(), nothing) {
        (true, false) => (0..r.known_rank(x)?).collect(),
        (true, true) | (false, _) => Reader::axes(&stated, rank)?,
    };
    let keep_dims = r.attributes.flag("keepdims", true)?;
    r.end(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
}

pub(super) fn arg_extremum(r: &mut Reader<'_>, of: Extremum) -> Read {
    let x = r.value(0)?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(0), r.rank(x))?;
    let keep_dims = r.attributes.flag("keepdims", true)?;
    let last = r.attributes.flag("select_last_index", false)?;
    r.end(Op::ArgExtremum(ArgExtremum { of, axis, keep_dims, last }), &[x])
}

/// How many is an attribute before opset 10 and an operand from then on.
pub(super) fn top_k(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let k = if r.opset < 10 {
        r.attributes.int("k")?
    } else {
        let name = r.required(1)?;
        r.scope.ints(name, "number of elements")?.first().copied()
    };
    let k = k.and_then(|k| usize::try_from(k).ok()).ok_or_else(|| Misused("`k` is missing".to_owned()))?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), r.rank(x))?;
    let of = if r.attributes.flag("largest", true)? { Extremum::Largest } else { Extremum::Smallest };
    // In any order, if not in order.
    r.attributes.skip(&["sorted"]);
    r.attributes.finish()?;
    if r.wants(1) {
        r.give(1, Op::TopK(TopK { k, axis, of, indices: true }), &[x]);
    }
    r.end(Op::TopK(TopK { k, axis, of, indices: false }), &[x])
}

pub(super) fn cum_sum(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let name = r.required(1)?;
    let axis = match r.scope.ints(name, "axis")?[..] {
        [axis] => Reader::axis(axis, r.rank(x))?,
        ref axes => return Err(Misused(format!("`axis` has {} elements, it should be one", axes.len()))),
    };
    let (exclusive, reverse) = (r.attributes.flag("exclusive", false)?, r.attributes.flag("reverse", false)?);
    r.end(Op::CumSum(CumSum { axis, exclusive, reverse }), &[x])
}

/// Softmax and its kin. Before opset 13, the axes from `axis` on were taken as one.
pub(super) fn softmax(r: &mut Reader<'_>, op: impl Fn(usize) -> Op) -> Read {
    let x = r.value(0)?;
    let stated = r.attributes.int("axis")?.unwrap_or(if r.opset < 13 { 1 } else { -1 });
    let rank = r.rank(x);
    // One past the last axis leaves one element to each.
    let axis = match rank {
        Some(rank) if r.opset < 13 && usize::try_from(stated) == Ok(rank) => rank,
        rank => Reader::axis(stated, rank)?,
    };
    let single = |dim: &Dim| *dim == Dim::Fixed(1);
    if r.opset >= 13 || (rank != Some(axis) && r.scope.shape(x)?.dims().iter().skip(axis + 1).all(single)) {
        return r.end(op(axis), &[x]);
    }
    let sizes = r.sizes_of(0)?;
    r.attributes.finish()?;
    let flat = r.step("flat", Op::Flatten { axis }, &[x]);
    let result = r.step("rows", op(1), &[flat]);
    let (op, operands) = r.shaped_as(result, &sizes);
    r.end(op, &operands)
}
