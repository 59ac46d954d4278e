//! Types of quantised values, and whether scales fit them.

use super::{Dim, Result, Shape, ShapeError, TensorType, arity, float};
use crate::op::{DynamicRange, Granularity, Quantize};
use crate::tensor::DType;

/// Whether a value of this type can be what a number is rounded to.
fn is_step(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16)
}

/// Holds a scale against the value it is for.
fn fits(x: &Shape, scale: &Shape, granularity: Granularity) -> Result<()> {
    let misfit = |expected: Vec<Dim>| {
        Err(ShapeError::Shape { operand: "scale", expected: Shape::new(expected), found: scale.clone() })
    };
    if scale.element_count() == Some(1) {
        return Ok(());
    }
    let Some(along) = x.dims().get(granularity.axis) else {
        return Err(ShapeError::Attribute(format!("axis {} is out of range for shape {x}", granularity.axis).into()));
    };
    let expected = match granularity.block {
        None => vec![along.clone()],
        Some(0) => return Err(ShapeError::Attribute("a block must have at least 1 element".into())),
        Some(block) => {
            let mut dims = x.dims().to_vec();
            let blocks = i64::try_from(block).ok().and_then(|block| along.affine(block - 1, block, 0));
            dims[granularity.axis] = blocks.unwrap_or(Dim::Unknown);
            dims
        }
    };
    let same = scale.rank() == expected.len() && scale.dims().iter().zip(&expected).all(|(a, b)| a.may_equal(b));
    if same { Ok(()) } else { misfit(expected) }
}

/// Holds scale and zero point against each other and against the value; the scale's type.
fn grid(operands: &[TensorType], granularity: Granularity, steps: DType) -> Result<DType> {
    let (x, scale) = (&operands[0].shape, &operands[1]);
    float("scale", scale)?;
    fits(x, &scale.shape, granularity)?;
    if let Some(zero) = operands.get(2) {
        if zero.dtype != steps {
            return Err(ShapeError::Attribute(format!("the zero point must be {steps}, found {}", zero.dtype).into()));
        }
        let both = [&zero.shape, &scale.shape].map(Shape::element_count);
        let same = zero.shape.rank() == scale.shape.rank()
            && zero.shape.dims().iter().zip(scale.shape.dims()).all(|(a, b)| a.may_equal(b));
        if !same && both != [Some(1); 2] {
            let (expected, found) = (scale.shape.clone(), zero.shape.clone());
            return Err(ShapeError::Shape { operand: "zero point", expected, found });
        }
    }
    Ok(scale.dtype)
}

pub(super) fn quantize(quantize: Quantize, operands: &[TensorType]) -> Result<TensorType> {
    arity(operands, 2, 3)?;
    if !is_step(quantize.dtype) {
        return Err(ShapeError::Attribute(format!("{} is no type to quantise to", quantize.dtype).into()));
    }
    grid(operands, quantize.granularity, quantize.dtype)?;
    Ok(TensorType { dtype: quantize.dtype, shape: operands[0].shape.clone() })
}

pub(super) fn dequantize(granularity: Granularity, operands: &[TensorType]) -> Result<TensorType> {
    arity(operands, 2, 3)?;
    let x = &operands[0];
    if !(is_step(x.dtype) || x.dtype == DType::I32) {
        return Err(ShapeError::Attribute(format!("{} is no type of quantised numbers", x.dtype).into()));
    }
    Ok(TensorType { dtype: grid(operands, granularity, x.dtype)?, shape: x.shape.clone() })
}

pub(super) fn dynamic_range(part: DynamicRange, operands: &[TensorType]) -> Result<TensorType> {
    arity(operands, 1, 1)?;
    float("x", &operands[0])?;
    let dtype = match part {
        DynamicRange::Scale => operands[0].dtype,
        DynamicRange::ZeroPoint => DType::U8,
    };
    Ok(TensorType { dtype, shape: Shape::new(Vec::new()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::shape::infer;

    fn ty(dtype: DType, dims: &[usize]) -> TensorType {
        TensorType { dtype, shape: Shape::fixed(dims) }
    }

    fn of(scale: &[usize], zero: Option<(DType, &[usize])>, axis: usize, block: Option<usize>) -> Result<TensorType> {
        let mut operands = vec![ty(DType::I8, &[2, 6, 3]), ty(DType::F32, scale)];
        operands.extend(zero.map(|(dtype, dims)| ty(dtype, dims)));
        Ok(infer(&Op::Dequantize(Granularity { axis, block }), &operands)?.remove(0))
    }

    #[test]
    fn a_scale_is_one_number_one_an_index_of_the_axis_or_one_a_block() {
        let float = ty(DType::F32, &[2, 6, 3]);
        assert_eq!(of(&[], None, 9, None).unwrap(), float);
        assert_eq!(of(&[1], Some((DType::I8, &[])), 0, None).unwrap(), float);
        assert_eq!(of(&[6], Some((DType::I8, &[6])), 1, None).unwrap(), float);
        assert_eq!(of(&[2, 2, 3], None, 1, Some(4)).unwrap(), float);
        for wrong in [
            of(&[6], None, 0, None),
            of(&[6], None, 3, None),
            of(&[6], Some((DType::U8, &[6])), 1, None),
            of(&[6], Some((DType::I8, &[3])), 1, None),
            of(&[2, 1, 3], None, 1, Some(4)),
            of(&[2, 6, 3], None, 1, Some(0)),
        ] {
            assert!(wrong.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_integers_of_8_and_16_bits_are_quantised_to() {
        let operands = [ty(DType::F32, &[2]), ty(DType::F32, &[])];
        let quantize = |dtype| infer(&Op::Quantize(Quantize { dtype, granularity: Granularity::default() }), &operands);
        assert_eq!(quantize(DType::U16).unwrap(), [ty(DType::U16, &[2])]);
        assert!(quantize(DType::I32).is_err() && quantize(DType::F16).is_err());
        assert!(infer(&Op::Dequantize(Granularity::default()), &operands).is_err());
        let sums = [ty(DType::I32, &[2]), ty(DType::F16, &[])];
        assert_eq!(infer(&Op::Dequantize(Granularity::default()), &sums).unwrap(), [ty(DType::F16, &[2])]);
    }
}
