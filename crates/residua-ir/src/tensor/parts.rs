//! Tensors from other tensors and from nothing: as they are stored, in pieces, and of one number.

use super::{DType, Endian, Storage, Tensor, TensorError, Transform, dtype, element_count, gather, row_major};

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
        let Some(by_rows) = self.by_rows() else { return whole() };
        let rows = by_rows.shape[0];
        let step = (bytes / (self.byte_len() / rows)).max(1);
        (0..rows).step_by(step).map(|first| by_rows.rows(first, step.min(rows - first))).collect()
    }

    /// The same view where its first axis is one strided run of at least two elements; [`None`] where it cannot be that.
    pub(super) fn by_rows(&self) -> Option<Self> {
        let rows = *self.shape.first().filter(|&&rows| rows > 1)?;
        if self.dims.first() == Some(&rows) {
            return Some(self.clone());
        }
        // What lies in a row lies so under any shape.
        let in_a_row = gather::is_row_major(&self.dims, &self.strides) && !self.is_empty();
        in_a_row.then(|| Self { dims: self.shape.clone(), strides: row_major(&self.shape), ..self.clone() })
    }

    /// The only row of a tensor that has one, and more axes; [`None`] for any other.
    pub(super) fn only_row(&self) -> Option<Self> {
        let single = self.shape.len() > 1 && self.shape[0] == 1 && self.dims.first() == Some(&1);
        single.then(|| {
            let mut row = self.clone();
            row.shape.remove(0);
            row.dims.remove(0);
            row.strides.remove(0);
            row
        })
    }

    /// So many rows of a view that [`Tensor::by_rows`] gave.
    pub(super) fn rows(&self, first: usize, count: usize) -> Self {
        let mut piece = self.clone();
        (piece.shape[0], piece.dims[0]) = (count, count);
        piece.offset += first * self.strides[0];
        piece
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
        let turned = kernel().permute(&[3, 2, 0, 1]).unwrap();
        for tensor in [kernel(), turned.clone(), turned.cast(DType::F16), kernel().reshape(&[9, 800]).unwrap()] {
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
        assert!(kernel().pieces(5000).len() > 2 && kernel().reshape(&[60, 120]).unwrap().pieces(5000).len() > 2);
    }
}
