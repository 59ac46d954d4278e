//! Operators that rank elements.

use super::super::{Dim, Shape, ShapeError, TensorType};
use super::{Result, arity, axis_in_range, number, remove_axes};
use crate::op::{ArgExtremum, TopK};

pub(super) fn arg_extremum(arg: &ArgExtremum, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    number("x", &operands[0])?;
    axis_in_range(arg.axis, x)?;
    if x.dims()[arg.axis] == Dim::Fixed(0) {
        return Err(ShapeError::Attribute(format!("axis {} of {x} has no element to point at", arg.axis).into()));
    }
    Ok(remove_axes(x, &[arg.axis], arg.keep_dims))
}

pub(super) fn top_k(top: &TopK, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    number("x", &operands[0])?;
    axis_in_range(top.axis, x)?;
    let mut dims = x.dims().to_vec();
    if dims[top.axis].fixed().is_some_and(|size| size < top.k) {
        return Err(ShapeError::Attribute(
            format!("axis {} of {x} has fewer than {} elements", top.axis, top.k).into(),
        ));
    }
    dims[top.axis] = Dim::Fixed(top.k);
    Ok(Shape::new(dims))
}
