//! Matrix products.

use super::super::{Shape, ShapeError, TensorType};
use super::{Result, arity, broadcast, expect_shape, rank};

pub(super) fn linear(operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 3)?;
    let (x, weight) = (&operands[0].shape, &operands[1].shape);
    rank("weight", weight, 2)?;
    let Some((last, batch)) = x.dims().split_last() else {
        return Err(ShapeError::Rank { operand: "x", expected: "at least 1".to_owned(), found: x.clone() });
    };
    if !last.may_equal(&weight.dims()[1]) {
        return Err(ShapeError::Attribute(
            format!("weight {weight} takes {} features, found x {x}", weight.dims()[1]).into(),
        ));
    }
    if let Some(bias) = operands.get(2) {
        expect_shape("bias", &bias.shape, &weight.dims()[..1])?;
    }
    Ok(Shape::new(batch.iter().chain(&weight.dims()[..1]).cloned().collect()))
}

pub(super) fn mat_mul(operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 2)?;
    let (a, b) = (&operands[0].shape, &operands[1].shape);
    let ([batch_a @ .., rows, inner_a], [batch_b @ .., inner_b, cols]) = (a.dims(), b.dims()) else {
        return Err(ShapeError::Rank {
            operand: "a and b",
            expected: "at least 2".to_owned(),
            found: if a.rank() < 2 { a.clone() } else { b.clone() },
        });
    };
    if !inner_a.may_equal(inner_b) {
        return Err(ShapeError::Broadcast { a: a.clone(), b: b.clone() });
    }
    let batch = broadcast(&Shape::new(batch_a.to_vec()), &Shape::new(batch_b.to_vec()))?;
    Ok(Shape::new(batch.dims().iter().chain([rows, cols]).cloned().collect()))
}
