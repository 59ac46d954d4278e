//! What can be said about the values of a tensor without caring for their order.

use super::{DType, Endian, Storage, Tensor, TensorError};

/// Range of the values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Smallest finite value; +∞ where there is none.
    pub min: f64,
    /// Largest finite value; −∞ where there is none.
    pub max: f64,
    /// Values that are infinite or no number.
    pub non_finite: usize,
}

impl Statistics {
    const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, non_finite: 0 };

    fn of(values: impl Iterator<Item = f64>) -> Self {
        values.fold(Self::EMPTY, |s, v| {
            if v.is_finite() {
                Self { min: s.min.min(v), max: s.max.max(v), ..s }
            } else {
                Self { non_finite: s.non_finite + 1, ..s }
            }
        })
    }

    /// f32 values in eight lanes, so that the usual case runs at the speed of memory.
    fn of_f32(bytes: &[[u8; 4]]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<8>();
        let (mut min, mut max, mut non_finite) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8], [0usize; 8]);
        for block in blocks {
            for lane in 0..8 {
                let value = f32::from_le_bytes(block[lane]);
                let finite = value.is_finite();
                non_finite[lane] += usize::from(!finite);
                min[lane] = if finite && value < min[lane] { value } else { min[lane] };
                max[lane] = if finite && value > max[lane] { value } else { max[lane] };
            }
        }
        let rest = Self::of(rest.iter().map(|&b| f64::from(f32::from_le_bytes(b))));
        Self {
            min: min.iter().fold(rest.min, |a, &b| a.min(f64::from(b))),
            max: max.iter().fold(rest.max, |a, &b| a.max(f64::from(b))),
            non_finite: rest.non_finite + non_finite.iter().sum::<usize>(),
        }
    }
}

impl Tensor {
    /// Range of the values, and how many are infinite or no number.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    pub fn statistics(&self) -> Result<Statistics, TensorError> {
        match &self.storage {
            Storage::Mapped(bytes)
                if self.casts.is_empty() && self.stored == DType::F32 && self.endian == Endian::Little =>
            {
                Ok(Statistics::of_f32(bytes.as_chunks::<4>().0))
            }
            Storage::Mapped(_) | Storage::Lazy(_) => Ok(Statistics::of(self.to_f64()?.into_iter())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_wherever_it_lies() {
        for at in 0..19 {
            let mut values = vec![0.5f32; 19];
            values[at] = f32::NAN;
            values[(at + 1) % 19] = -3.0;
            values[(at + 2) % 19] = 7.0;
            let tensor = Tensor::from_f32(vec![19], &values).unwrap();
            let expected = Statistics { min: -3.0, max: 7.0, non_finite: 1 };
            assert_eq!(tensor.statistics().unwrap(), expected);
            assert_eq!(tensor.cast(DType::F16).statistics().unwrap(), expected);
        }
    }
}
