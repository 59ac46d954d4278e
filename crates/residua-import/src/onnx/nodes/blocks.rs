//! Channels to pixels and back: blocks of an image as channels.

use residua_ir::{Arithmetic, Extent, Op, ReshapeDim, ValueId};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// The operand, the edge of a block, and the operand's sizes.
fn operand(r: &mut Reader<'_>) -> Result<(ValueId, i64, [Extent; 4]), Unread> {
    let x = r.value(0)?;
    let block = r.attributes.int("blocksize")?.filter(|&block| block > 0);
    let block = block.ok_or_else(|| Misused("`blocksize` must be at least 1".to_owned()))?;
    let sizes = <[Extent; 4]>::try_from(r.sizes_of(0)?);
    Ok((x, block, sizes.map_err(|_| Unknown("only images are known, of four axes".to_owned()))?))
}

fn compute(by: Arithmetic, a: &Extent, b: i64) -> Result<Extent, Unread> {
    let result = Extent::compute(by, a.clone(), Extent::Known(b));
    result.ok_or_else(|| Unknown("a size is out of range".to_owned()))
}

fn divided(size: &Extent, by: i64) -> Result<Extent, Unread> {
    if size.known().is_some_and(|size| size % by != 0) {
        return Err(Unknown(format!("{size:?} is no multiple of {by}")));
    }
    compute(Arithmetic::Div, size, by)
}

fn reshape(r: &mut Reader<'_>, x: ValueId, sizes: &[Extent]) -> (Op, Vec<ValueId>) {
    let mut operands = vec![x];
    let dim = |size: Extent| match size.known().and_then(|size| usize::try_from(size).ok()) {
        Some(size) => ReshapeDim::Fixed(size),
        None => ReshapeDim::Computed(size),
    };
    let shape = r.scope.extents_of(sizes, &mut operands).into_iter().map(dim).collect();
    (Op::Reshape { shape }, operands)
}

/// Splits axes, moves the parts, and joins them.
fn moved(r: &mut Reader<'_>, x: ValueId, split: &[Extent], perm: [usize; 6], joined: &[Extent]) -> Read {
    r.attributes.finish()?;
    let (op, operands) = reshape(r, x, split);
    let parts = r.step("split", op, &operands);
    let turned = r.step("turned", Op::Transpose { perm: perm.to_vec() }, &[parts]);
    let (op, operands) = reshape(r, turned, joined);
    r.end(op, &operands)
}

pub(super) fn depth_to_space(r: &mut Reader<'_>) -> Read {
    let (x, block, [n, c, h, w]) = operand(r)?;
    let area = block.checked_mul(block).ok_or_else(|| Unknown("`blocksize` is out of range".to_owned()))?;
    let depth = divided(&c, area)?;
    let edge = || Extent::Known(block);
    let joined = [n.clone(), depth.clone(), compute(Arithmetic::Mul, &h, block)?, compute(Arithmetic::Mul, &w, block)?];
    match r.attributes.text("mode")?.unwrap_or("DCR") {
        "DCR" => moved(r, x, &[n, edge(), edge(), depth, h, w], [0, 3, 4, 1, 5, 2], &joined),
        "CRD" => moved(r, x, &[n, depth, edge(), edge(), h, w], [0, 1, 4, 2, 5, 3], &joined),
        other => Err(Unknown(format!("the mode `{other}` is not known"))),
    }
}

pub(super) fn space_to_depth(r: &mut Reader<'_>) -> Read {
    let (x, block, [n, c, h, w]) = operand(r)?;
    let area = block.checked_mul(block).ok_or_else(|| Unknown("`blocksize` is out of range".to_owned()))?;
    let (rows, columns) = (divided(&h, block)?, divided(&w, block)?);
    let edge = || Extent::Known(block);
    let joined = [n.clone(), compute(Arithmetic::Mul, &c, area)?, rows.clone(), columns.clone()];
    let depth_first = r.attributes.text("mode")?.unwrap_or("DCR");
    let perm = match depth_first {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return Err(Unknown(format!("the mode `{other}` is not known"))),
    };
    moved(r, x, &[n, c, rows, edge(), columns, edge()], perm, &joined)
}
