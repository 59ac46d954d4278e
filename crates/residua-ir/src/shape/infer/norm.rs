//! Normalisations.

use super::super::{Dim, Shape, ShapeError, TensorType};
use super::{Result, arity, axes_in_range, expect_shape};
use crate::op::{LayerNorm, Lrn};

/// Channels of a normalised value: axis 1, or the last axis of a matrix, which is the same one.
fn channels(x: &Shape) -> Result<Dim> {
    if x.rank() < 2 {
        return Err(ShapeError::Rank { operand: "x", expected: "at least 2".to_owned(), found: x.clone() });
    }
    Ok(x.dims()[1].clone())
}

pub(super) fn batch_norm(operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 5, 5)?;
    let channels = channels(&operands[0].shape)?;
    for (name, operand) in ["scale", "offset", "mean", "variance"].into_iter().zip(&operands[1..]) {
        expect_shape(name, &operand.shape, std::slice::from_ref(&channels))?;
    }
    Ok(operands[0].shape.clone())
}

pub(super) fn group_norm(groups: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 3, 3)?;
    let channels = channels(&operands[0].shape)?;
    if groups == 0 || channels.fixed().is_some_and(|c| c % groups != 0) {
        return Err(ShapeError::Attribute(
            format!("{channels} channels cannot be split into {} groups", groups).into(),
        ));
    }
    for (name, operand) in ["scale", "offset"].into_iter().zip(&operands[1..]) {
        expect_shape(name, &operand.shape, std::slice::from_ref(&channels))?;
    }
    Ok(operands[0].shape.clone())
}

pub(super) fn layer_norm(norm: &LayerNorm, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 3, 3)?;
    let x = &operands[0].shape;
    axes_in_range(&norm.axes, x)?;
    let dims: Vec<Dim> = norm.axes.iter().map(|&axis| x.dims()[axis].clone()).collect();
    expect_shape("scale", &operands[1].shape, &dims)?;
    expect_shape("offset", &operands[2].shape, &dims)?;
    Ok(x.clone())
}

pub(super) fn lrn(lrn: &Lrn, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    channels(&operands[0].shape)?;
    if lrn.size == 0 {
        return Err(ShapeError::Attribute("it must sum over at least one channel".into()));
    }
    Ok(operands[0].shape.clone())
}
