//! Operators that gather elements.

use super::super::range::Range;
use super::super::{Dim, Shape, ShapeError, TensorType};
use super::{Result, arity, axis_in_range, integer, one_kind};
use crate::op::Extent;
use crate::op::extent::Resolved;

/// One size of a slice.
pub(super) fn slice(
    axis: usize,
    (start, end, step): (&Extent, Option<&Extent>, i64),
    operands: &[TensorType],
) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    let x = &operands[0].shape;
    axis_in_range(axis, x)?;
    if step == 0 {
        return Err(ShapeError::Attribute("a slice must have a step".into()));
    }
    let mut dims = x.dims().to_vec();
    let (start, end) = (start.resolve(operands)?, end.map(|end| end.resolve(operands)).transpose()?);
    dims[axis] = sliced(&dims[axis], &start, end.as_ref(), step);
    Ok(Shape::new(dims))
}

fn sliced(dim: &Dim, start: &Resolved, end: Option<&Resolved>, step: i64) -> Dim {
    let end = match end {
        None => Some(None),
        Some(Resolved::Number(end)) => Some(Some(*end)),
        // As far as the axis goes.
        Some(Resolved::Free(free)) if step > 0 && free.is_equal(dim) => Some(None),
        Some(Resolved::Free(_)) => None,
    };
    let (Resolved::Number(start), Some(end)) = (start, end) else { return Dim::Unknown };
    if let Some(size) = dim.fixed() {
        return Dim::Fixed(Range { start: *start, end, step }.of(size).count);
    }
    let size = match (start, end, step) {
        // ⌈(n - start - cut) / step⌉
        (0.., None, 1..) => step.checked_sub(1 + start).and_then(|add| dim.affine(add, step, 0)),
        (0.., Some(end @ ..=-1), 1..) => {
            end.checked_add(step - 1).and_then(|add| add.checked_sub(*start)).and_then(|add| dim.affine(add, step, 0))
        }
        // From the last element to the front: ⌈n / |step|⌉.
        (-1, None, ..=-1) => step.checked_neg().and_then(|step| dim.affine(step - 1, step, 0)),
        _ => None,
    };
    size.unwrap_or(Dim::Unknown)
}

pub(super) fn gather(axis: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 2)?;
    let (x, indices) = (&operands[0].shape, &operands[1].shape);
    integer("indices", &operands[1])?;
    axis_in_range(axis, x)?;
    let (before, after) = (&x.dims()[..axis], &x.dims()[axis + 1..]);
    Ok(Shape::new([before, indices.dims(), after].concat()))
}

pub(super) fn gather_elements(axis: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 2)?;
    let (x, indices) = (&operands[0].shape, &operands[1].shape);
    integer("indices", &operands[1])?;
    axis_in_range(axis, x)?;
    let larger = |i: usize| matches!((x.dims()[i].fixed(), indices.dims()[i].fixed()), (Some(x), Some(i)) if i > x);
    if indices.rank() != x.rank() || (0..x.rank()).any(|i| i != axis && larger(i)) {
        return Err(ShapeError::Broadcast { a: x.clone(), b: indices.clone() });
    }
    Ok(indices.clone())
}

pub(super) fn gather_nd(batch_dims: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 2)?;
    let (x, indices) = (&operands[0].shape, &operands[1].shape);
    integer("indices", &operands[1])?;
    let Some((depth, outer)) = indices.dims().split_last() else {
        return Err(ShapeError::Rank { operand: "indices", expected: "at least 1".to_owned(), found: indices.clone() });
    };
    let mismatch = || ShapeError::Broadcast { a: x.clone(), b: indices.clone() };
    let depth = depth.fixed().ok_or_else(mismatch)?;
    let picked = batch_dims.checked_add(depth).filter(|&picked| picked <= x.rank() && batch_dims <= outer.len());
    let picked = picked.filter(|_| x.dims().iter().zip(&outer[..batch_dims]).all(|(a, b)| a.may_equal(b)));
    let picked = picked.ok_or_else(mismatch)?;
    Ok(Shape::new([outer, &x.dims()[picked..]].concat()))
}

pub(super) fn scatter_nd(operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 3, 3)?;
    let (x, updates) = (&operands[0], &operands[2]);
    let places = gather_nd(0, &operands[..2])?;
    let fit = places.rank() == updates.shape.rank()
        && places.dims().iter().zip(updates.shape.dims()).all(|(a, b)| a.may_equal(b));
    if !fit {
        return Err(ShapeError::Broadcast { a: places, b: updates.shape.clone() });
    }
    one_kind(&[x.clone(), updates.clone()])?;
    Ok(x.shape.clone())
}
