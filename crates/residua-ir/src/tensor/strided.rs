//! Views that a file stores itself: sizes, strides and an offset into a storage that several tensors may share.

use std::sync::Arc;

use bytes::Bytes;

use super::{DType, Endian, LazyBytes, Tensor, TensorError, element_count, row_major};

/// Elements that do not lie in a row.
struct Strided {
    bytes: Bytes,
    size: usize,
    dims: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
}

impl LazyBytes for Strided {
    fn load(&self) -> Result<Bytes, TensorError> {
        let count: usize = self.dims.iter().product();
        let mut out = Vec::with_capacity(count * self.size);
        let mut index = vec![0; self.dims.len()];
        let mut at = self.offset;
        for _ in 0..count {
            let start = at * self.size;
            let element = self.bytes.get(start..start + self.size);
            out.extend_from_slice(element.ok_or_else(|| TensorError::Source("an element beyond its storage".into()))?);
            for axis in (0..self.dims.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                at -= self.strides[axis] * self.dims[axis];
                index[axis] = 0;
            }
        }
        Ok(out.into())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }
}

impl Tensor {
    /// A view on a storage: `shape` with a step of `strides` elements along each axis, from element `offset` on. A
    /// stride of 0 repeats elements.
    ///
    /// What lies in a row stays in the storage; anything else is gathered when its elements are asked for.
    ///
    /// # Errors
    /// [`TensorError::TooLarge`]; [`TensorError::Source`] where there are not as many strides as axes, or where an
    /// element would lie beyond the storage.
    pub fn from_strided(
        dtype: DType,
        endian: Endian,
        shape: Vec<usize>,
        strides: &[usize],
        offset: usize,
        storage: &Bytes,
    ) -> Result<Self, TensorError> {
        let count = element_count(&shape)?;
        let held = storage.len() / dtype.size();
        if strides.len() != shape.len() {
            let text = format!("{} strides for {} axes", strides.len(), shape.len());
            return Err(TensorError::Source(text.into()));
        }
        if count == 0 {
            return Self::from_bytes(dtype, endian, shape, Bytes::new());
        }
        let steps = shape.iter().zip(strides);
        let last =
            steps.clone().try_fold(offset, |last, (&dim, &stride)| last.checked_add((dim - 1).checked_mul(stride)?));
        if last.is_none_or(|last| last >= held) {
            let text = format!(
                "shape {shape:?} with strides {strides:?} from element {offset} on reaches beyond a storage of {held} elements"
            );
            return Err(TensorError::Source(text.into()));
        }
        let in_a_row = row_major(&shape);
        if steps.zip(&in_a_row).all(|((&dim, stride), row)| dim == 1 || stride == row) {
            let bytes = storage.slice(offset * dtype.size()..(offset + count) * dtype.size());
            return Self::from_bytes(dtype, endian, shape, bytes);
        }
        let source = Strided {
            bytes: storage.clone(),
            size: dtype.size(),
            dims: shape.clone(),
            strides: strides.to_vec(),
            offset,
        };
        Self::from_lazy(dtype, endian, shape, Arc::new(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage() -> Bytes {
        (0..24u8).flat_map(|i| f32::from(i).to_be_bytes()).collect::<Vec<u8>>().into()
    }

    fn view(shape: &[usize], strides: &[usize], offset: usize) -> Result<Vec<f32>, TensorError> {
        Tensor::from_strided(DType::F32, Endian::Big, shape.to_vec(), strides, offset, &storage())?.to_f32()
    }

    #[test]
    fn views_walk_their_storage() {
        assert_eq!(view(&[2, 3], &[3, 1], 6).unwrap(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(view(&[3, 2], &[1, 3], 0).unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(view(&[2, 2], &[0, 1], 4).unwrap(), [4.0, 5.0, 4.0, 5.0]);
        assert_eq!(view(&[3], &[0], 23).unwrap(), [23.0; 3]);
        assert_eq!(view(&[], &[], 5).unwrap(), [5.0]);
        assert_eq!(view(&[0, 7], &[9, 9], 99).unwrap(), [0.0f32; 0]);
    }

    #[test]
    fn nothing_lies_beyond_the_storage() {
        for (shape, strides, offset) in [
            (&[25][..], &[1][..], 0),
            (&[2, 3], &[12, 6], 1),
            (&[1], &[1], 24),
            (&[2], &[usize::MAX], 1),
            (&[usize::MAX, 2], &[0, 1], 0),
            (&[2], &[1, 1], 0),
        ] {
            assert!(view(shape, strides, offset).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }
}
