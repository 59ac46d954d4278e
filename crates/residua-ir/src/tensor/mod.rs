//! Tensors as views: a dtype, a shape and a way to walk bytes that usually still lie in the mapped file.
//!
//! Making, permuting, reshaping or casting a [`Tensor`] touches no element. Elements are walked, converted and
//! rounded when they are asked for. Every view operation is remembered as a [`Transform`], so that whoever writes the
//! tensor can say what was done to it.
//!
//! Invariant: `shape` and `dims` have the same number of elements, and every element that `dims`, `strides` and
//! `offset` can reach lies inside a storage of `stored_shape`; constructors check it, so that walking cannot leave the
//! buffer.

mod distribution;
mod dtype;
mod gather;
mod known;
mod parts;
mod same;
mod standardised;
mod statistics;
mod strided;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::budget::{Limit, Overrun};
use crate::name::Text;

pub use distribution::Distribution;
pub use dtype::{DType, Endian, decimal};
pub use same::TensorDifference;
pub use statistics::{Channel, Statistics};

/// What was done to a source tensor to get this view of it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Axis `i` of the result is axis `perm[i]` of the operand.
    Permute(Vec<usize>),
    /// The same elements in row-major order under another shape.
    Reshape(Vec<usize>),
    /// Every element rounded to the nearest value of this dtype (ties to even).
    Cast(DType),
    /// Values were computed anew; the text says how.
    Computed(String),
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(axes: &[usize]) -> String {
            axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        match self {
            Transform::Permute(perm) => write!(f, "permute({})", list(perm)),
            Transform::Reshape(shape) => write!(f, "reshape({})", list(shape)),
            Transform::Cast(dtype) => write!(f, "cast({dtype})"),
            Transform::Computed(how) => write!(f, "computed({how})"),
        }
    }
}

/// What can be wrong with a tensor.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The bytes at hand are not as many as dtype and shape need.
    #[error("{dtype} tensor of shape {shape:?} needs {expected} bytes, found {found}")]
    Length {
        /// Element type.
        dtype: DType,
        /// Shape that was declared.
        shape: Vec<usize>,
        /// Bytes that shape and dtype need.
        expected: usize,
        /// Bytes at hand.
        found: usize,
    },
    /// The number of elements or bytes does not fit in the address space.
    #[error("a tensor of shape {shape:?} has too many elements")]
    TooLarge {
        /// Shape that was declared.
        shape: Vec<usize>,
    },
    /// More than is given to any tensor.
    #[error(transparent)]
    Limit(Overrun),
    /// A permutation that is none, or a reshape that changes the number of elements.
    #[error("cannot apply {transform} to a tensor of shape {shape:?}")]
    View {
        /// Shape of the operand.
        shape: Vec<usize>,
        /// What was asked for.
        transform: Transform,
    },
    /// Elements were asked for as a type that cannot hold them.
    #[error("{dtype} elements cannot be read as {wanted}")]
    Kind {
        /// Element type of the tensor.
        dtype: DType,
        /// Type that was asked for.
        wanted: &'static str,
    },
    /// The file could not give the bytes: a damaged chunk, a failed checksum.
    #[error("{0}")]
    Source(Text),
}

/// Bytes that have to be decoded before they can be walked, such as the compressed chunks of an HDF5 dataset.
pub trait LazyBytes: Send + Sync {
    /// Decodes all bytes, row-major, in the byte order that the tensor was declared with.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    fn load(&self) -> Result<Bytes, TensorError>;

    /// Bytes that a file holds for it, where they may be fewer than those that it gives: one number that is repeated, a view
    /// that is. [`None`] where both are about the same.
    fn stored(&self) -> Option<u64> {
        None
    }
}

/// Bytes that are cast at a time.
const CAST_AT_ONCE: usize = 64 << 10;

#[derive(Clone)]
enum Storage {
    Mapped(Bytes),
    Lazy(Lazy),
}

/// What makes bytes when they are asked for.
#[derive(Clone)]
enum Lazy {
    Decoded(Arc<dyn LazyBytes>),
    Standardised(Arc<standardised::Standardised>),
}

/// A view on the elements of one tensor. Cheap to clone.
#[derive(Clone)]
pub struct Tensor {
    stored: DType,
    endian: Endian,
    storage: Storage,
    stored_shape: Vec<usize>,
    /// Shape that the user of the tensor sees.
    shape: Vec<usize>,
    /// Iteration space: row-major order over `dims` is row-major order over `shape`.
    dims: Vec<usize>,
    /// Step of each of `dims`, in elements.
    strides: Vec<usize>,
    /// First element.
    offset: usize,
    casts: Vec<DType>,
    transforms: Vec<Transform>,
    /// The largest magnitude of all stored elements, once somebody has seen them all; that of every view.
    largest: Arc<OnceLock<f32>>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?}", self.dtype(), self.shape)?;
        for transform in &self.transforms {
            write!(f, " {transform}")?;
        }
        f.write_str(")")
    }
}

/// The number of elements of `shape`, or an error where it overflows.
///
/// # Errors
/// [`TensorError::TooLarge`]; [`TensorError::Limit`] where there are more axes than a tensor may have.
pub fn element_count(shape: &[usize]) -> Result<usize, TensorError> {
    Limit::Rank.check_here(shape.len()).map_err(TensorError::Limit)?;
    shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .filter(|count| count.checked_mul(8).is_some_and(|bytes| bytes <= isize::MAX as usize))
        .ok_or_else(|| TensorError::TooLarge { shape: shape.to_vec() })
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1].max(1);
    }
    strides
}

impl Tensor {
    /// A view on `bytes`, row-major.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless `bytes` is exactly as long as dtype and shape say.
    pub fn from_bytes(dtype: DType, endian: Endian, shape: Vec<usize>, bytes: Bytes) -> Result<Self, TensorError> {
        let expected = element_count(&shape)? * dtype.size();
        if bytes.len() != expected {
            return Err(TensorError::Length { dtype, shape, expected, found: bytes.len() });
        }
        Ok(Self::with_storage(dtype, endian, shape, Storage::Mapped(bytes)))
    }

    /// A tensor whose bytes are decoded when they are needed, each time they are needed.
    ///
    /// # Errors
    /// [`TensorError::TooLarge`].
    pub fn from_lazy(
        dtype: DType,
        endian: Endian,
        shape: Vec<usize>,
        source: Arc<dyn LazyBytes>,
    ) -> Result<Self, TensorError> {
        element_count(&shape)?;
        Ok(Self::with_storage(dtype, endian, shape, Storage::Lazy(Lazy::Decoded(source))))
    }

    fn with_storage(stored: DType, endian: Endian, shape: Vec<usize>, storage: Storage) -> Self {
        let strides = row_major(&shape);
        Self {
            stored,
            endian,
            storage,
            stored_shape: shape.clone(),
            dims: shape.clone(),
            strides,
            shape,
            offset: 0,
            casts: Vec::new(),
            transforms: Vec::new(),
            largest: Arc::default(),
        }
    }

    /// A tensor of these f32 values, row-major.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless there are as many values as the shape says.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Result<Self, TensorError> {
        Self::from_bytes(DType::F32, Endian::Little, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A tensor of these f64 values, row-major.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless there are as many values as the shape says.
    pub fn from_f64(shape: Vec<usize>, values: &[f64]) -> Result<Self, TensorError> {
        Self::from_bytes(DType::F64, Endian::Little, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A tensor of these i64 values, row-major.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless there are as many values as the shape says.
    pub fn from_i64(shape: Vec<usize>, values: &[i64]) -> Result<Self, TensorError> {
        Self::from_bytes(DType::I64, Endian::Little, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Element type, after any cast.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.casts.last().copied().unwrap_or(self.stored)
    }

    /// Element type in the file.
    #[must_use]
    pub fn stored_dtype(&self) -> DType {
        self.stored
    }

    /// Shape; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Bytes that the elements take when written row-major in [`Tensor::dtype`].
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype().size()
    }

    /// Of [`Tensor::byte_len`], how many a file holds: fewer where elements are made or repeated.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        let stored = match &self.storage {
            Storage::Lazy(Lazy::Decoded(source)) => source.stored(),
            Storage::Lazy(Lazy::Standardised(_)) | Storage::Mapped(_) => None,
        };
        let whole = self.byte_len() as u64;
        stored.map_or(whole, |stored| stored.min(whole))
    }

    /// What was done to the stored tensor to get this view, in order.
    #[must_use]
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// The same tensor with one more entry in its history, for values that were computed.
    #[must_use]
    pub fn computed(mut self, how: impl Into<String>) -> Self {
        self.transforms.push(Transform::Computed(how.into()));
        self
    }

    /// Axis `i` of the result is axis `perm[i]` of this tensor.
    ///
    /// # Errors
    /// [`TensorError::View`] where `perm` is no permutation of the axes or the view cannot be expressed.
    pub fn permute(&self, perm: &[usize]) -> Result<Self, TensorError> {
        let transform = Transform::Permute(perm.to_vec());
        let mut seen = vec![false; self.shape.len()];
        let valid = perm.len() == self.shape.len()
            && perm.iter().all(|&axis| seen.get_mut(axis).is_some_and(|s| !std::mem::replace(s, true)));
        let error = || TensorError::View { shape: self.shape.clone(), transform: transform.clone() };
        if !valid {
            return Err(error());
        }
        if perm.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(self.clone());
        }
        let axes = self.dims_by_axis().ok_or_else(error)?;
        let mut out = self.clone();
        out.shape = perm.iter().map(|&axis| self.shape[axis]).collect();
        (out.dims, out.strides) = perm.iter().flat_map(|&axis| axes[axis].iter().copied()).unzip();
        out.transforms.push(transform);
        Ok(out)
    }

    /// The same elements, row-major, under another shape.
    ///
    /// # Errors
    /// [`TensorError::View`] where the number of elements differs.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self, TensorError> {
        if shape == self.shape {
            return Ok(self.clone());
        }
        let transform = Transform::Reshape(shape.to_vec());
        if element_count(shape)? != self.len() {
            return Err(TensorError::View { shape: self.shape.clone(), transform });
        }
        let mut out = self.clone();
        out.shape = shape.to_vec();
        out.transforms.push(transform);
        Ok(out)
    }

    /// Every element rounded to the nearest value of `dtype`.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        let mut out = self.clone();
        if dtype != self.dtype() {
            out.casts.push(dtype);
            out.transforms.push(Transform::Cast(dtype));
        }
        out
    }

    /// Applies one recorded view operation; how a graph that was written with its transforms is built again.
    ///
    /// # Errors
    /// [`TensorError::View`] where it does not fit, and for [`Transform::Computed`], which cannot be repeated.
    pub fn apply(&self, transform: &Transform) -> Result<Self, TensorError> {
        match transform {
            Transform::Permute(perm) => self.permute(perm),
            Transform::Reshape(shape) => self.reshape(shape),
            Transform::Cast(dtype) => Ok(self.cast(*dtype)),
            Transform::Computed(_) => {
                Err(TensorError::View { shape: self.shape.clone(), transform: transform.clone() })
            }
        }
    }

    /// For each axis of `shape`, the iteration dims it consists of; `None` where an axis ends inside a dim that does
    /// not divide.
    fn dims_by_axis(&self) -> Option<Vec<Vec<(usize, usize)>>> {
        if self.is_empty() {
            return Some(self.shape.iter().map(|&dim| vec![(dim, 0)]).collect());
        }
        // Walk both factorisations from the innermost end, cutting a dim where an axis ends.
        let mut pending: Vec<(usize, usize)> =
            self.dims.iter().copied().zip(self.strides.iter().copied()).filter(|&(dim, _)| dim != 1).collect();
        let mut axes = vec![Vec::new(); self.shape.len()];
        for (axis, &size) in self.shape.iter().enumerate().rev() {
            let mut open = size;
            while open > 1 {
                let (dim, stride) = pending.pop()?;
                let take = if dim <= open { dim } else { open };
                if open % take != 0 || dim % take != 0 {
                    return None;
                }
                axes[axis].insert(0, (take, stride));
                if dim > take {
                    pending.push((dim / take, stride * take));
                }
                open /= take;
            }
        }
        pending.is_empty().then_some(axes)
    }

    fn stored_bytes(&self) -> Result<Bytes, TensorError> {
        let bytes = match &self.storage {
            Storage::Mapped(bytes) => bytes.clone(),
            Storage::Lazy(Lazy::Decoded(source)) => source.load()?,
            Storage::Lazy(Lazy::Standardised(made)) => made.load()?,
        };
        let expected = element_count(&self.stored_shape)? * self.stored.size();
        if bytes.len() != expected {
            return Err(TensorError::Length {
                dtype: self.stored,
                shape: self.stored_shape.clone(),
                expected,
                found: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// The elements as they lie in the file, where they already are row-major, little-endian and of [`Tensor::dtype`].
    #[must_use]
    pub fn as_le_bytes(&self) -> Option<&[u8]> {
        self.before_casts().filter(|_| self.casts.is_empty())
    }

    /// The elements as they lie in the file, where they already are row-major and little-endian; before any cast.
    fn before_casts(&self) -> Option<&[u8]> {
        let size = self.stored.size();
        match &self.storage {
            Storage::Mapped(bytes)
                if (self.endian == Endian::Little || size == 1) && gather::is_row_major(&self.dims, &self.strides) =>
            {
                bytes.get(self.offset * size..)?.get(..self.len() * size)
            }
            Storage::Mapped(_) | Storage::Lazy(_) => None,
        }
    }

    /// Appends all elements to `out`: row-major, little-endian, in [`Tensor::dtype`].
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged, [`TensorError::Kind`] where a cast is not possible; `out` is what
    /// it was then.
    pub fn append_le_bytes(&self, out: &mut Vec<u8>) -> Result<(), TensorError> {
        if let Some(bytes) = self.as_le_bytes() {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let start = out.len();
        out.resize(start + self.byte_len(), 0);
        self.copy_le_bytes(&mut out[start..]).inspect_err(|_| out.truncate(start))
    }

    /// Writes all elements over what is in `out`: row-major, little-endian, in [`Tensor::dtype`].
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged, [`TensorError::Kind`] where a cast is not possible,
    /// [`TensorError::Length`] where `out` is not of [`Tensor::byte_len`].
    pub fn copy_le_bytes(&self, out: &mut [u8]) -> Result<(), TensorError> {
        let (expected, found) = (self.byte_len(), out.len());
        if expected != found {
            return Err(TensorError::Length { dtype: self.dtype(), shape: self.shape.clone(), expected, found });
        }
        if let Some(bytes) = self.as_le_bytes() {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        if !self.casts.is_empty() {
            return self.copy_cast(out);
        }
        let size = self.stored.size();
        gather::copy(&self.stored_bytes()?, size, &self.dims, &self.strides, self.offset, out);
        if self.endian == Endian::Big {
            dtype::swap_bytes(out, size);
        }
        Ok(())
    }

    /// Writes elements that are cast, so many at a time that they stay in cache.
    fn copy_cast(&self, out: &mut [u8]) -> Result<(), TensorError> {
        let mut out = out;
        for piece in self.pieces(CAST_AT_ONCE) {
            let (target, rest) = out.split_at_mut(piece.byte_len());
            dtype::convert(&piece.gathered()?, self.stored, &self.casts, target)?;
            out = rest;
        }
        Ok(())
    }

    /// All elements, row-major, in the file's dtype, little-endian; before any cast.
    fn gathered(&self) -> Result<Cow<'_, [u8]>, TensorError> {
        if let Some(bytes) = self.before_casts() {
            return Ok(Cow::Borrowed(bytes));
        }
        let uncast = Self { casts: Vec::new(), ..self.clone() };
        let mut out = vec![0; uncast.byte_len()];
        uncast.copy_le_bytes(&mut out)?;
        Ok(Cow::Owned(out))
    }

    /// All elements as f64, row-major.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    pub fn to_f64(&self) -> Result<Vec<f64>, TensorError> {
        let mut values = dtype::decode_f64(&self.gathered()?, self.stored);
        for &dtype in &self.casts {
            dtype::round_to(&mut values, dtype);
        }
        Ok(values)
    }

    /// All elements as f32, row-major, rounded where the dtype is wider.
    ///
    /// # Errors
    /// [`TensorError::Source`] where the file is damaged.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        if self.casts.is_empty() && self.stored == DType::F32 {
            let bytes = self.gathered()?;
            let (chunks, _) = bytes.as_chunks::<4>();
            return Ok(chunks.iter().map(|&b| f32::from_le_bytes(b)).collect());
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
        Ok(self.to_f64()?.into_iter().map(|v| v as f32).collect())
    }

    /// All elements as i64, row-major.
    ///
    /// # Errors
    /// [`TensorError::Kind`] for floating-point tensors.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        if self.dtype().is_float() || !self.casts.is_empty() {
            return Err(TensorError::Kind { dtype: self.dtype(), wanted: "i64" });
        }
        Ok(dtype::decode_i64(&self.gathered()?, self.stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iota(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
        Tensor::from_f32(shape.to_vec(), &values).unwrap()
    }

    /// Index arithmetic written out, to hold the strided walk against.
    fn permuted(shape: &[usize], perm: &[usize]) -> Vec<f32> {
        let strides = row_major(shape);
        let out_shape: Vec<usize> = perm.iter().map(|&a| shape[a]).collect();
        let n: usize = shape.iter().product();
        (0..n)
            .map(|flat| {
                let mut rest = flat;
                let mut source = 0;
                for axis in (0..out_shape.len()).rev() {
                    source += (rest % out_shape[axis]) * strides[perm[axis]];
                    rest /= out_shape[axis];
                }
                source as f32
            })
            .collect()
    }

    proptest! {
        #[test]
        fn permute_moves_each_element_where_index_arithmetic_says(
            shape in prop::collection::vec(1usize..20, 4),
            seed in 0usize..24,
        ) {
            let mut axes = vec![0, 1, 2, 3];
            let mut perm = Vec::new();
            let mut rest = seed;
            for n in (1..=4).rev() {
                perm.push(axes.remove(rest % n));
                rest /= n;
            }
            prop_assert_eq!(iota(&shape).permute(&perm).unwrap().to_f32().unwrap(), permuted(&shape, &perm));
        }
    }

    #[test]
    fn dense_rows_behind_a_channels_last_flatten_are_a_view() {
        // (H W C, out) rows to (C H W): reshape, permute, reshape back, and transpose on top.
        let (h, w, c, out) = (2, 3, 4, 5);
        let t = iota(&[h * w * c, out]);
        let view = t
            .reshape(&[h, w, c, out])
            .and_then(|t| t.permute(&[2, 0, 1, 3]))
            .and_then(|t| t.reshape(&[c * h * w, out]))
            .and_then(|t| t.permute(&[1, 0]))
            .unwrap();
        assert_eq!(view.shape(), [out, c * h * w]);
        let values = view.to_f32().unwrap();
        for o in 0..out {
            for ci in 0..c {
                for hi in 0..h {
                    for wi in 0..w {
                        let row = (ci * h + hi) * w + wi;
                        let expected = (((hi * w + wi) * c + ci) * out + o) as f32;
                        assert_eq!(values[o * c * h * w + row], expected);
                    }
                }
            }
        }
        assert_eq!(view.transforms().len(), 4);
    }

    #[test]
    fn a_cast_rounds_once_to_the_nearest_value() {
        let t = Tensor::from_f32(vec![3], &[1.0 + 1.0 / 4096.0, 65504.0, 1e-9]).unwrap().cast(DType::F16);
        assert_eq!(t.to_f64().unwrap(), [1.0, 65504.0, 0.0]);
        let mut bytes = Vec::new();
        t.append_le_bytes(&mut bytes).unwrap();
        assert_eq!(bytes, [0x00, 0x3c, 0xff, 0x7b, 0x00, 0x00]);
    }

    #[test]
    fn big_endian_elements_are_read_and_written_little_endian() {
        let bytes: Bytes = [1.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        let t = Tensor::from_bytes(DType::F32, Endian::Big, vec![2], bytes).unwrap();
        assert_eq!(t.to_f32().unwrap(), [1.5, -2.0]);
        assert!(t.as_le_bytes().is_none());
    }

    #[test]
    fn a_shape_that_does_not_fit_its_bytes_is_refused() {
        let short = Tensor::from_bytes(DType::F32, Endian::Little, vec![3], Bytes::from_static(&[0; 8]));
        assert!(matches!(short, Err(TensorError::Length { expected: 12, found: 8, .. })));
        let huge = Tensor::from_bytes(DType::F32, Endian::Little, vec![usize::MAX, 2], Bytes::new());
        assert!(matches!(huge, Err(TensorError::TooLarge { .. })));
        assert!(iota(&[4]).reshape(&[3]).is_err());
        assert!(iota(&[4, 2]).permute(&[0, 0]).is_err());
    }
}
