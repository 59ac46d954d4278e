//! Two tensors of one shape, element by element, and what tells tensors apart without reading all of them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use residua_ir::{DType, Tensor, TensorError};

/// Bytes that are compared at a time.
const PIECE: usize = 1 << 20;

/// How far two tensors are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distance {
    /// Largest difference of two finite elements.
    pub(super) max_abs: f64,
    /// Largest finite magnitude in the first tensor.
    pub(super) largest: f64,
    /// Elements that are not equal; a NaN equals a NaN here.
    pub(super) differing: usize,
    /// Elements of which one is finite and the other is not, or both are not and are not the same.
    pub(super) non_finite: usize,
}

impl Distance {
    const NONE: Self = Self { max_abs: 0.0, largest: 0.0, differing: 0, non_finite: 0 };

    /// Whether every element equals its counterpart.
    pub(super) fn is_none(&self) -> bool {
        self.differing == 0
    }

    fn and(self, other: Self) -> Self {
        Self {
            max_abs: self.max_abs.max(other.max_abs),
            largest: self.largest.max(other.largest),
            differing: self.differing + other.differing,
            non_finite: self.non_finite + other.non_finite,
        }
    }

    fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        pairs.fold(Self::NONE, |mut so_far, (x, y)| {
            if x.is_finite() {
                so_far.largest = so_far.largest.max(x.abs());
            }
            if x == y || x.is_nan() && y.is_nan() {
                return so_far;
            }
            so_far.differing += 1;
            if x.is_finite() && y.is_finite() {
                so_far.max_abs = so_far.max_abs.max((x - y).abs());
            } else {
                so_far.non_finite += 1;
            }
            so_far
        })
    }
}

/// Compares two tensors of one shape.
pub(super) fn distance(a: &Tensor, b: &Tensor) -> Result<Distance, TensorError> {
    if let (Some(x), Some(y)) = (a.as_le_bytes(), b.as_le_bytes())
        && a.dtype() == b.dtype()
    {
        return distance_of_bytes(a, b, x, y);
    }
    // Pieces of both have the same elements only where both are cut alike.
    let (left, right) = (a.pieces(PIECE), b.pieces(PIECE));
    let alike = left.len() == right.len() && left.iter().zip(&right).all(|(x, y)| x.shape() == y.shape());
    let (left, right) = if alike { (left, right) } else { (vec![a.clone()], vec![b.clone()]) };
    left.iter().zip(&right).try_fold(Distance::NONE, |so_far, (x, y)| {
        let pairs = x.to_f64()?.into_iter().zip(y.to_f64()?);
        Ok(so_far.and(Distance::of(pairs)))
    })
}

fn distance_of_bytes(a: &Tensor, b: &Tensor, x: &[u8], y: &[u8]) -> Result<Distance, TensorError> {
    if x == y {
        return Ok(Distance::NONE);
    }
    if a.dtype() == DType::F32 {
        let pairs = x.as_chunks::<4>().0.iter().zip(y.as_chunks::<4>().0);
        return Ok(Distance::of(pairs.map(|(&x, &y)| (f32::from_le_bytes(x).into(), f32::from_le_bytes(y).into()))));
    }
    Ok(Distance::of(a.to_f64()?.into_iter().zip(b.to_f64()?)))
}

/// Slices along the first axis that a sample looks at.
const SLICES: usize = 3;

/// Elements of each of them.
const ELEMENTS: usize = 16;

/// Tensors of up to so many bytes are decoded whole.
const SMALL: usize = 1 << 14;

/// A number for shape, type and a few elements: tensors of other samples differ, those of one sample are worth a look.
/// None for what does not tell anything, such as zeros.
pub(super) fn sample(tensor: &Tensor) -> Result<Option<u64>, TensorError> {
    if tensor.is_empty() {
        return Ok(None);
    }
    let rows = tensor.shape().first().copied().unwrap_or(1).max(1);
    let length = tensor.len() / rows;
    let pieces = if tensor.byte_len() > SMALL { tensor.pieces(tensor.byte_len() / rows) } else { Vec::new() };
    let whole = if pieces.len() == rows { Vec::new() } else { tensor.to_f64()? };
    let mut values = Vec::with_capacity(SLICES * ELEMENTS);
    for row in [0, (rows - 1) / 2, rows - 1] {
        let step = (length / ELEMENTS).max(1);
        let mut take = |slice: &[f64]| values.extend(slice.iter().step_by(step).take(ELEMENTS).map(|v| v.to_bits()));
        match pieces.get(row) {
            Some(piece) if pieces.len() == rows => take(&piece.to_f64()?),
            Some(_) | None => take(&whole[row * length..(row + 1) * length]),
        }
    }
    if values.iter().all(|value| Some(value) == values.first()) {
        return Ok(None);
    }
    let mut hasher = DefaultHasher::new();
    (tensor.shape(), tensor.dtype(), values).hash(&mut hasher);
    Ok(Some(hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_f32(vec![values.len()], values).unwrap()
    }

    #[test]
    fn every_element_counts() {
        let (a, b) = (tensor(&[1.0, -4.0, 0.0, f32::NAN, 2.0]), tensor(&[1.0, -4.5, -0.0, f32::NAN, f32::INFINITY]));
        let expected = Distance { max_abs: 0.5, largest: 4.0, differing: 2, non_finite: 1 };
        assert_eq!(distance(&a, &b).unwrap(), expected);
        // The same by way of f64, in another type.
        assert_eq!(distance(&a, &b.cast(DType::F16)).unwrap(), expected);
        assert!(distance(&a, &a).unwrap().is_none());
    }

    #[test]
    fn tensors_in_pieces_are_compared_whole_however_they_lie() {
        let values: Vec<f32> = (0..600_000).map(|i| i as f32).collect();
        let plain = Tensor::from_f32(vec![600, 1000], &values).unwrap();
        let turned = plain.permute(&[1, 0]).unwrap();
        let mut other = turned.to_f32().unwrap();
        other[599_999] += 1.0;
        let other = Tensor::from_f32(vec![1000, 600], &other).unwrap();
        let found = distance(&turned, &other).unwrap();
        assert_eq!((found.differing, found.max_abs), (1, 1.0));
    }

    #[test]
    fn a_sample_tells_tensors_apart_and_nothing_of_constants() {
        let values: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let other: Vec<f32> = values.iter().map(|v| v + 1.0).collect();
        let of = |values: &[f32]| sample(&Tensor::from_f32(vec![10, 10], values).unwrap()).unwrap();
        assert_eq!(of(&values), of(&values));
        assert_ne!(of(&values), of(&other));
        assert_eq!(of(&[0.0; 100]), None);
        let view = Tensor::from_f32(vec![10, 10], &values).unwrap().permute(&[1, 0]).unwrap();
        let moved = Tensor::from_f32(vec![10, 10], &view.to_f32().unwrap()).unwrap();
        assert_eq!(sample(&view).unwrap(), sample(&moved).unwrap());
    }
}
