//! How the values of a tensor are distributed, in one pass over them once their range is known.

use super::{DType, Endian, Statistics, Storage, Tensor, TensorError};

/// How finite values are distributed over their range.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Of the finite values.
    pub mean: f64,
    /// Of the values themselves, not estimated for more of their kind.
    pub std: f64,
    /// Values that are 0.
    pub zeros: usize,
    /// Finite values in each of equal parts of the range, the largest in the last; empty where all are the same.
    pub bars: Vec<u32>,
}

/// Sums over values, as distances from the middle of their range: so nothing is lost where a mean is far from 0.
struct Sums<'b> {
    min: f64,
    middle: f64,
    bars_per_unit: f64,
    bars: &'b mut [u32],
    count: usize,
    zeros: usize,
    sum: f64,
    squares: f64,
}

impl Sums<'_> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of bars")]
    fn see(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let distance = value - self.middle;
        self.sum += distance;
        self.squares += distance * distance;
        self.count += 1;
        self.zeros += usize::from(value == 0.0);
        let last = self.bars.len().saturating_sub(1);
        let bar = (((value - self.min) * self.bars_per_unit) as usize).min(last);
        if let Some(bar) = self.bars.get_mut(bar) {
            *bar = bar.saturating_add(1);
        }
    }
}

impl Tensor {
    /// How the finite values are distributed, in so many bars; [`None`] where there are none. `range` is what
    /// [`Tensor::statistics`] gave.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    pub fn distribution(&self, range: &Statistics, bars: usize) -> Result<Option<Distribution>, TensorError> {
        let (min, max) = (range.min, range.max);
        if self.is_empty() || min > max {
            return Ok(None);
        }
        #[expect(clippy::cast_precision_loss, reason = "bars are few")]
        let bars_per_unit = bars as f64 / (max - min);
        // The range of f64 values may be more than f64 holds.
        let has_bars = max > min && bars_per_unit.is_finite() && bars_per_unit > 0.0;
        let mut found = vec![0; if has_bars { bars } else { 0 }];
        let middle = min / 2.0 + max / 2.0;
        let mut sums =
            Sums { min, middle, bars_per_unit, bars: &mut found, count: 0, zeros: 0, sum: 0.0, squares: 0.0 };
        self.for_each(|value| sums.see(value))?;
        let Sums { count, zeros, sum, squares, .. } = sums;
        #[expect(clippy::cast_precision_loss, reason = "a mean of fewer than 2^53")]
        let count = count.max(1) as f64;
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        Ok(Some(Distribution { mean: middle + mean, std: variance.sqrt(), zeros, bars: found }))
    }

    /// Each value, in whatever order it lies.
    fn for_each(&self, mut see: impl FnMut(f64)) -> Result<(), TensorError> {
        let in_place = self.casts.is_empty() && self.stored == DType::F32 && self.endian == Endian::Little;
        let whole = self.offset == 0 && self.stored_shape.iter().product::<usize>() == self.len();
        if in_place && whole && self.dims_by_axis().is_some() {
            let loaded;
            let bytes = match &self.storage {
                Storage::Mapped(bytes) => &bytes[..],
                Storage::Lazy(_) => {
                    loaded = self.stored_bytes()?;
                    &loaded[..]
                }
            };
            let (values, _) = bytes.as_chunks::<4>();
            values.iter().for_each(|&bytes| see(f64::from(f32::from_le_bytes(bytes))));
        } else if matches!(self.dtype(), DType::F32 | DType::F16 | DType::BF16) {
            self.to_f32()?.into_iter().for_each(|value| see(f64::from(value)));
        } else {
            self.to_f64()?.into_iter().for_each(see);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tensor: &Tensor) -> Option<Distribution> {
        tensor.distribution(&tensor.statistics().unwrap(), 32).unwrap()
    }

    #[test]
    fn numbers_are_summed_up_and_fall_into_their_bars() {
        let values: Vec<f32> = (0..64).map(|n| n as f32).chain([f32::NAN, f32::INFINITY]).collect();
        let rows = Tensor::from_f32(vec![2, 33], &values).unwrap();
        for tensor in [rows.permute(&[1, 0]).unwrap(), rows.clone(), rows.cast(DType::F64), rows.cast(DType::F16)] {
            let found = of(&tensor).unwrap();
            assert_eq!((found.mean, found.zeros), (31.5, 1));
            assert!((found.std - (4095.0f64 / 12.0).sqrt()).abs() < 1e-12);
            assert_eq!(found.bars, [2; 32]);
        }
    }

    #[test]
    fn a_small_deviation_is_not_lost_beside_a_large_mean() {
        let values: Vec<f32> = (0..1000).map(|n| 8_000_000.0 + (n % 2) as f32).collect();
        let found = of(&Tensor::from_f32(vec![1000], &values).unwrap()).unwrap();
        assert_eq!((found.mean, found.std), (8_000_000.5, 0.5));
        assert_eq!((found.bars[0], found.bars[31]), (500, 500));
    }

    #[test]
    fn what_has_no_range_has_no_bars() {
        let same = of(&Tensor::from_f32(vec![7], &[2.5; 7]).unwrap()).unwrap();
        assert_eq!(same, Distribution { mean: 2.5, std: 0.0, zeros: 0, bars: Vec::new() });
        assert_eq!(of(&Tensor::from_f32(vec![2], &[f32::NAN, f32::INFINITY]).unwrap()), None);
        assert_eq!(of(&Tensor::from_f32(vec![0], &[]).unwrap()), None);
        let wide = of(&Tensor::from_f64(vec![2], &[f64::MIN, f64::MAX]).unwrap()).unwrap();
        assert_eq!((wide.mean, wide.bars.len()), (0.0, 0));
    }
}
