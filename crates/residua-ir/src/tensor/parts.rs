//! Tensors from other tensors and from nothing: as they are stored, in pieces, and of one number.

use super::{DType, Endian, Storage, Tensor, TensorError, Transform, dtype, element_count, row_major};

impl Tensor {
    /// A floating-point tensor whose elements are all `value`.
    ///
    /// # Errors
    /// [`TensorError::TooLarge`]; [`TensorError::Kind`] for integer dtypes.
    pub fn filled(dtype: DType, shape: Vec<usize>, value: f64) -> Result<Self, TensorError> {
        let mut one = Vec::new();
        dtype::encode(&[value], dtype, &mut one)?;
        let count = element_count(&shape)?;
        let bytes = count.checked_mul(one.len()).ok_or_else(|| TensorError::TooLarge { shape: shape.clone() })?;
        let mut elements = Vec::with_capacity(bytes);
        elements.extend(one.iter().cycle().take(bytes));
        Self::from_bytes(dtype, Endian::Little, shape, elements.into())
    }

    /// The tensor with the axes that it has in the file, and the view operations that lead from it to this one, so
    /// that applying them in order ([`Tensor::apply`]) gives this tensor again.
    ///
    /// Casts and computed values are kept: they are about elements, not about axes.
    #[must_use]
    pub fn source_view(&self) -> (Self, Vec<Transform>) {
        let (views, kept) = self
            .transforms
            .iter()
            .cloned()
            .partition(|transform| matches!(transform, Transform::Permute(_) | Transform::Reshape(_)));
        let stored = Self {
            shape: self.stored_shape.clone(),
            dims: self.stored_shape.clone(),
            strides: row_major(&self.stored_shape),
            offset: 0,
            transforms: kept,
            ..self.clone()
        };
        (stored, views)
    }

    /// Consecutive pieces along the first axis, each of about `bytes` bytes; the tensor itself where it is small, or
    /// where its elements have to be decoded as a whole.
    ///
    /// Writing the pieces one after the other writes the tensor, without ever holding more than a piece.
    #[must_use]
    pub fn pieces(&self, bytes: usize) -> Vec<Self> {
        let whole = || vec![self.clone()];
        if self.byte_len() <= bytes || matches!(self.storage, Storage::Lazy(_)) {
            return whole();
        }
        let (Some(&rows), Some(&dim), Some(&stride)) = (self.shape.first(), self.dims.first(), self.strides.first())
        else {
            return whole();
        };
        // Only where the first axis is one strided run.
        if rows != dim || rows < 2 {
            return whole();
        }
        let step = (bytes / (self.byte_len() / rows)).max(1);
        (0..rows)
            .step_by(step)
            .map(|first| {
                let mut piece = self.clone();
                let rows = step.min(rows - first);
                (piece.shape[0], piece.dims[0]) = (rows, rows);
                piece.offset += first * stride;
                piece
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Tensor {
        let values: Vec<f32> = (0..3 * 3 * 20 * 40).map(|i| i as f32).collect();
        Tensor::from_f32(vec![3, 3, 20, 40], &values).unwrap()
    }

    #[test]
    fn a_view_goes_back_to_what_is_stored_and_forth_again() {
        let view = kernel().permute(&[3, 2, 0, 1]).unwrap().cast(DType::F16).reshape(&[40, 180]).unwrap();
        let (stored, transforms) = view.source_view();
        assert_eq!(stored.shape(), [3, 3, 20, 40]);
        assert_eq!(stored.to_f64().unwrap(), kernel().cast(DType::F16).to_f64().unwrap());
        assert_eq!(stored.transforms(), [Transform::Cast(DType::F16)]);
        let again = transforms.iter().try_fold(stored, |tensor, transform| tensor.apply(transform)).unwrap();
        assert_eq!(again.shape(), view.shape());
        assert_eq!(again.to_f64().unwrap(), view.to_f64().unwrap());
    }

    #[test]
    fn pieces_written_one_after_the_other_are_the_tensor() {
        for tensor in [kernel(), kernel().permute(&[3, 2, 0, 1]).unwrap(), kernel().reshape(&[9, 800]).unwrap()] {
            let mut whole = Vec::new();
            tensor.append_le_bytes(&mut whole).unwrap();
            for bytes in [1, 999, 5000, 1 << 20] {
                let mut pieced = Vec::new();
                for piece in tensor.pieces(bytes) {
                    piece.append_le_bytes(&mut pieced).unwrap();
                }
                assert!(pieced == whole, "{tensor:?} in pieces of {bytes}");
            }
        }
        assert!(kernel().pieces(5000).len() > 2);
    }
}
