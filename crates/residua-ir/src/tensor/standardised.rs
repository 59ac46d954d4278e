//! Kernels that are standardised when a network runs: mean 0 and variance 1 for each output channel (Qiao et al. 2019).
//!
//! Nothing is computed before elements are asked for, and what was standardised is kept: a framework that standardises
//! on its own must be given the tensor from before. Invariant: the history of a standardised tensor begins with its
//! standardisation, for the axes of what was standardised are those that the result is stored with.

use std::sync::Arc;

use bytes::Bytes;

use super::{DType, Endian, Lazy, Storage, Tensor, TensorError, Transform, element_count};

/// What is standardised, and how.
pub(super) struct Standardised {
    source: Tensor,
    epsilon: f64,
}

impl Standardised {
    /// All elements, f32 and little-endian.
    pub(super) fn load(&self) -> Result<Bytes, TensorError> {
        let mut values = self.source.to_f64()?;
        let channels = self.source.shape().first().copied().unwrap_or(1);
        if let Some(elements) = values.len().checked_div(channels).filter(|&count| count > 0) {
            for channel in values.chunks_exact_mut(elements) {
                standardise(channel, self.epsilon);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
        Ok(values.into_iter().flat_map(|value| (value as f32).to_le_bytes()).collect())
    }
}

/// `(w − mean) / sqrt(variance + epsilon)` with the biased variance.
#[expect(clippy::cast_precision_loss, reason = "no kernel has 2^53 elements")]
fn standardise(values: &mut [f64], epsilon: f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + epsilon).sqrt();
    for value in values {
        *value = (*value - mean) / deviation;
    }
}

impl Tensor {
    /// This kernel with mean 0 and variance 1 for each output channel (axis 0): `(w − mean) / sqrt(variance + epsilon)`
    /// with the biased variance, computed in f64 and rounded to f32, each time elements are asked for.
    ///
    /// # Errors
    /// [`TensorError::Kind`] for integers; [`TensorError::View`] for a scalar, which has no channels.
    pub fn standardised(&self, epsilon: f64) -> Result<Self, TensorError> {
        let transform = Transform::Computed(format!("standardised(eps={epsilon:e})"));
        if !self.dtype().is_float() {
            return Err(TensorError::Kind { dtype: self.dtype(), wanted: "floating point" });
        }
        if self.shape.is_empty() {
            return Err(TensorError::View { shape: Vec::new(), transform });
        }
        let shape = self.shape.clone();
        element_count(&shape)?;
        let made = Arc::new(Standardised { source: self.clone(), epsilon });
        let mut out = Self::with_storage(DType::F32, Endian::Little, shape, Storage::Lazy(Lazy::Standardised(made)));
        out.transforms.push(transform);
        Ok(out)
    }

    /// What was standardised to get this tensor, and the epsilon; [`None`] where it was not, or where anything was done
    /// to it since.
    #[must_use]
    pub fn before_standardisation(&self) -> Option<(Self, f64)> {
        match (&self.storage, &self.transforms[..]) {
            (Storage::Lazy(Lazy::Standardised(made)), [_]) => Some((made.source.clone(), made.epsilon)),
            (Storage::Lazy(_) | Storage::Mapped(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::tensor::LazyBytes;

    /// Channel 0 is 1, 3: mean 2, variance 1. Channel 1 is 10, 2, with mean 6, variance 16.
    fn kernel() -> Tensor {
        Tensor::from_f32(vec![2, 2, 1, 1], &[1.0, 3.0, 10.0, 2.0]).unwrap()
    }

    #[test]
    fn each_output_channel_has_mean_0_and_variance_1() {
        let plain = kernel().standardised(0.0).unwrap();
        assert_eq!(plain.shape(), [2, 2, 1, 1]);
        assert_eq!(plain.dtype(), DType::F32);
        assert_eq!(plain.to_f32().unwrap(), [-1.0, 1.0, 1.0, -1.0]);
        // Variances 1 + 3 and 16 + 9 would be squares of 2 and 5.
        let with_three = kernel().standardised(3.0).unwrap();
        assert_eq!(with_three.to_f32().unwrap()[..2], [-0.5, 0.5]);
        let with_nine = kernel().standardised(9.0).unwrap();
        assert_eq!(with_nine.to_f32().unwrap()[2..], [0.8, -0.8]);
    }

    #[test]
    fn channels_are_those_that_the_user_sees_and_values_those_after_casts() {
        // Stored with the output channels last; 3 is rounded by no type, 1 + 2^-12 is by f16.
        let stored = Tensor::from_f32(vec![2, 2], &[1.0 + 1.0 / 4096.0, 10.0, 3.0, 2.0]).unwrap();
        let seen = stored.permute(&[1, 0]).unwrap().cast(DType::F16).standardised(0.0).unwrap();
        assert_eq!(seen.to_f32().unwrap(), [-1.0, 1.0, 1.0, -1.0]);
        // What leads back to the file is not part of its history: the axes are new.
        assert_eq!(seen.transforms(), [Transform::Computed("standardised(eps=0e0)".to_owned())]);
        assert_eq!(seen.source_view().1, []);
        assert_eq!(seen.source_view().0.to_f32().unwrap(), [-1.0, 1.0, 1.0, -1.0]);
    }

    #[test]
    fn views_of_what_was_standardised_are_views() {
        let turned = kernel().standardised(0.0).unwrap().permute(&[1, 0, 2, 3]).unwrap();
        assert_eq!(turned.to_f32().unwrap(), [-1.0, 1.0, 1.0, -1.0]);
        let rows = kernel().standardised(0.0).unwrap().reshape(&[4]).unwrap();
        assert_eq!(rows.pieces(4).len(), 1);
        let mut bytes = Vec::new();
        rows.append_le_bytes(&mut bytes).unwrap();
        assert_eq!(bytes, [-1.0f32, 1.0, 1.0, -1.0].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        assert_eq!(rows.statistics().unwrap().max, 1.0);
    }

    #[test]
    fn the_way_back_gives_the_very_tensor_and_ends_where_a_view_begins() {
        let source = kernel().permute(&[1, 0, 2, 3]).unwrap();
        let made = source.standardised(1e-8).unwrap();
        let (before, epsilon) = made.before_standardisation().unwrap();
        assert_eq!((before.shape(), before.transforms(), epsilon), (source.shape(), source.transforms(), 1e-8));
        assert_eq!(before.to_f32().unwrap(), source.to_f32().unwrap());
        assert!(source.before_standardisation().is_none());
        assert!(made.permute(&[1, 0, 2, 3]).unwrap().before_standardisation().is_none());
        assert!(made.reshape(&[4]).unwrap().before_standardisation().is_none());
        assert!(made.cast(DType::F16).before_standardisation().is_none());
        assert!(made.computed("something else").before_standardisation().is_none());
    }

    #[test]
    fn nothing_is_read_before_elements_are_asked_for() {
        struct Counted(AtomicUsize);
        impl LazyBytes for Counted {
            fn load(&self) -> Result<Bytes, TensorError> {
                self.0.fetch_add(1, Ordering::Relaxed);
                Ok([2.0f32, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        }
        let source = Arc::new(Counted(AtomicUsize::new(0)));
        let lazy = Tensor::from_lazy(DType::F32, Endian::Little, vec![1, 2], source.clone()).unwrap();
        let made = lazy.standardised(0.0).unwrap();
        assert_eq!((made.shape(), source.0.load(Ordering::Relaxed)), (&[1, 2][..], 0));
        assert_eq!(made.to_f32().unwrap(), [-1.0, 1.0]);
        assert_eq!(source.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_has_no_channels_or_no_fractions_is_refused_and_nothing_stays_nothing() {
        let scalar = Tensor::from_f32(Vec::new(), &[1.0]).unwrap();
        assert!(matches!(scalar.standardised(0.0), Err(TensorError::View { .. })));
        let whole = Tensor::from_i64(vec![2], &[1, 2]).unwrap();
        assert!(matches!(whole.standardised(0.0), Err(TensorError::Kind { .. })));
        for shape in [vec![0, 3], vec![3, 0]] {
            let empty = Tensor::from_f32(shape, &[]).unwrap();
            assert!(empty.standardised(1e-8).unwrap().to_f32().unwrap().is_empty());
        }
    }
}
