//! What is to be known of tensors before they are compared: whether all are numbers, and which are likely to be the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{DType, Endian, Storage, Tensor, TensorError, element_count};
use crate::files;

/// Elements that a fingerprint is made of, at most.
const SAMPLED: usize = 16;
/// The same for a tensor of more than [`LARGE`] bytes: each is on a page of its own, and the system maps those around it
/// as well, so that many of them make most of a file count as memory of this process.
const FEW: usize = 3;
const LARGE: usize = 64 << 10;

impl Tensor {
    /// Whether the magnitude of every element is a number up to this limit.
    ///
    /// # Errors
    /// [`TensorError::Source`] where a file is damaged.
    pub fn is_within(&self, limit: f32) -> Result<bool, TensorError> {
        if self.stored == DType::F32 && self.casts.is_empty() && self.len() == element_count(&self.stored_shape)? {
            let largest = match self.largest.get() {
                Some(largest) => *largest,
                None => {
                    let found = largest(&self.stored_bytes()?, self.endian);
                    *self.largest.get_or_init(|| found)
                }
            };
            return Ok(largest <= limit);
        }
        Ok(self.to_f64()?.into_iter().all(|value| value.abs() <= f64::from(limit)))
    }

    /// Says that its elements are not asked for soon: where they lie in a mapped file, they need no memory until they are.
    pub fn let_go(&self) {
        if let Storage::Mapped(bytes) = &self.storage {
            files::let_go(bytes);
        }
    }

    /// A number from a few elements, which tells tensors apart that are likely to differ. Never to be trusted: others may have
    /// the same one, and a tensor that has to be decoded or converted has one that says nothing.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Storage::Mapped(bytes) = &self.storage else { return 0 };
        if !self.casts.is_empty() || self.is_empty() {
            return 0;
        }
        let (len, size) = (self.len(), self.stored.size());
        let most = if self.byte_len() > LARGE { FEW } else { SAMPLED };
        for sample in 0..most.min(len) {
            // The first and about the last are among them.
            let flat = if len <= most { sample } else { sample * ((len - 1) / (most - 1)) };
            let mut rest = flat;
            let mut at = self.offset;
            for (&dim, &stride) in self.dims.iter().zip(&self.strides).rev() {
                at += rest % dim * stride;
                rest /= dim;
            }
            let Some(element) = bytes.get(at * size..).and_then(|bytes| bytes.get(..size)) else { continue };
            match self.endian {
                Endian::Little => element.iter().for_each(|byte| byte.hash(&mut hasher)),
                Endian::Big => element.iter().rev().for_each(|byte| byte.hash(&mut hasher)),
            }
        }
        hasher.finish()
    }
}

/// The largest magnitude of all elements, in whatever order they lie; NaN where one is no number.
fn largest(bytes: &[u8], endian: Endian) -> f32 {
    // Without its sign, a number is larger where its bits are, and NaN is beyond infinity.
    let magnitude = |bytes: [u8; 4]| match endian {
        Endian::Little => u32::from_le_bytes(bytes) << 1,
        Endian::Big => u32::from_be_bytes(bytes) << 1,
    };
    let (elements, _) = bytes.as_chunks::<4>();
    f32::from_bits(elements.iter().fold(0, |largest, &element| magnitude(element).max(largest)) >> 1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_view_has_the_fingerprint_of_what_was_written_of_it_and_another_tensor_has_not() {
        let values: Vec<f32> = (0..3 * 3 * 5 * 7).map(|i| i as f32 - 20.0).collect();
        let view = Tensor::from_f32(vec![3, 3, 5, 7], &values).unwrap().permute(&[3, 2, 0, 1]).unwrap();
        let elements = view.to_f32().unwrap();
        let big: Vec<u8> = elements.iter().flat_map(|value| value.to_be_bytes()).collect();
        let big = Tensor::from_bytes(DType::F32, Endian::Big, view.shape().to_vec(), Bytes::from(big)).unwrap();
        let written = Tensor::from_f32(view.shape().to_vec(), &elements).unwrap();
        assert_eq!((view.fingerprint(), view.fingerprint()), (written.fingerprint(), big.fingerprint()));
        let other: Vec<f32> = elements.iter().map(|value| value + 1.0).collect();
        assert_ne!(view.fingerprint(), Tensor::from_f32(view.shape().to_vec(), &other).unwrap().fingerprint());
    }

    #[test]
    fn a_limit_holds_for_every_element_and_for_no_nan() {
        let of = |value: f32, endian| {
            let bytes: Vec<u8> = [1.0, value, -2.0]
                .iter()
                .flat_map(|v: &f32| if endian == Endian::Big { v.to_be_bytes() } else { v.to_le_bytes() })
                .collect();
            Tensor::from_bytes(DType::F32, endian, vec![3], Bytes::from(bytes)).unwrap()
        };
        for endian in [Endian::Little, Endian::Big] {
            for (value, within) in
                [(4.0, true), (-4.0, true), (4.5, false), (f32::NAN, false), (-f32::NAN, false), (f32::INFINITY, false)]
            {
                assert_eq!(of(value, endian).is_within(4.0).unwrap(), within, "{value}");
                assert_eq!(of(value, endian).cast(DType::F64).is_within(4.0).unwrap(), within, "{value}");
                // Whoever has looked at all values before knows as much.
                let seen = of(value, endian);
                seen.statistics().unwrap();
                assert_eq!(seen.reshape(&[1, 3]).unwrap().is_within(4.0).unwrap(), within, "{value}");
            }
        }
    }
}
