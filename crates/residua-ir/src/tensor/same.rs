//! Whether two tensors are the same, through whatever views they are seen.
//!
//! Elements of both are walked in one order, a piece at a time, and compared as bytes: what is the same here is the same
//! bit for bit, NaNs and zeros of either sign included. Which order that is makes no difference to the answer, so it is
//! that in which the second one lies, where both are views of the same axes.

use std::io;

use super::{DType, Storage, Tensor, TensorError, row_major};
use crate::files;

/// Bytes of the first tensor that are gathered at a time: in smaller pieces, each page that they lie on is visited more
/// often.
const PIECE: usize = 1 << 20;
/// Bytes of the second that are read at a time: they stay in the second cache, beside the piece.
const READ: usize = 128 << 10;

/// The first thing in which two tensors differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorDifference {
    /// The element types.
    DType(DType, DType),
    /// The shapes.
    Shape(Vec<usize>, Vec<usize>),
    /// Elements; one of them has this index.
    Element(Vec<usize>),
}

impl Tensor {
    /// What differs between this tensor and one that was read back; [`None`] where both have the same element type, the
    /// same shape and the same bits at every index, whatever order they lie in and however they were cast.
    ///
    /// Bytes of `written` that lie in a mapped file are read from the file again. They are not looked at through the map,
    /// nor in any buffer that they were written from. So the answer is about what the file holds: bytes that were meant to
    /// be written and were not, or to another place, are found. And what was written does not count as memory of this
    /// process. A comparison holds two pieces, and of a tensor that has to be decoded all of it.
    ///
    /// # Errors
    /// [`TensorError::Source`] where one of both cannot be read, [`TensorError::Kind`] where a cast is not possible.
    pub fn first_difference(&self, written: &Self) -> Result<Option<TensorDifference>, TensorError> {
        if self.dtype() != written.dtype() {
            return Ok(Some(TensorDifference::DType(self.dtype(), written.dtype())));
        }
        if self.shape != written.shape {
            return Ok(Some(TensorDifference::Shape(self.shape.clone(), written.shape.clone())));
        }
        if self.is_empty() {
            return Ok(None);
        }
        let order = Order::of(self, written);
        let (own, other) = (order.walked(self).decoded()?, order.walked(written).decoded()?.readable_again()?);
        let mut pairs = Vec::new();
        cut(own, other, &mut pairs);
        let (mut gathered, mut read, mut before) = (Vec::new(), Vec::new(), 0);
        for (own, other) in &pairs {
            if let Some(at) = own.differs_at(other, &mut gathered, &mut read)? {
                let place = before + at / self.dtype().size();
                return Ok(Some(TensorDifference::Element(order.index(place, self))));
            }
            before += own.len();
        }
        Ok(None)
    }

    /// The first byte in which two pieces of the same elements differ.
    fn differs_at(
        &self,
        written: &Self,
        gathered: &mut Vec<u8>,
        read: &mut Vec<u8>,
    ) -> Result<Option<usize>, TensorError> {
        let own = self.bytes_in(gathered)?;
        let Some(bytes) = written.as_le_bytes() else {
            return Ok(first_differing(own, written.bytes_in(read)?));
        };
        for (number, (own, bytes)) in own.chunks(READ).zip(bytes.chunks(READ)).enumerate() {
            read.resize(bytes.len(), 0);
            let found = match files::read_again(bytes, read) {
                Some(done) => done.map_err(unreadable).map(|()| &read[..])?,
                None => bytes,
            };
            if let Some(at) = first_differing(own, found) {
                return Ok(Some(number * READ + at));
            }
        }
        Ok(None)
    }

    /// The same view on bytes that are at hand.
    fn decoded(self) -> Result<Self, TensorError> {
        match &self.storage {
            Storage::Mapped(_) => Ok(self),
            Storage::Lazy(_) => Ok(Self { storage: Storage::Mapped(self.stored_bytes()?), ..self }),
        }
    }

    /// The same view, on bytes that lie so that they can be read from their file piece by piece, or that were read now.
    fn readable_again(self) -> Result<Self, TensorError> {
        match &self.storage {
            Storage::Mapped(bytes) if self.as_le_bytes().is_none() => {
                let mut read = vec![0; bytes.len()];
                match files::read_again(bytes, &mut read) {
                    Some(done) => {
                        done.map_err(unreadable)?;
                        Ok(Self { storage: Storage::Mapped(read.into()), ..self })
                    }
                    None => Ok(self),
                }
            }
            Storage::Mapped(_) | Storage::Lazy(_) => Ok(self),
        }
    }

    /// The elements where they lie, or written into a buffer.
    fn bytes_in<'b>(&'b self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], TensorError> {
        if let Some(bytes) = self.as_le_bytes() {
            return Ok(bytes);
        }
        buffer.resize(self.byte_len(), 0);
        self.copy_le_bytes(buffer)?;
        Ok(buffer)
    }
}

/// The first byte in which two slices of one length differ.
fn first_differing(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b { None } else { a.iter().zip(b).position(|(a, b)| a != b) }
}

fn unreadable(error: io::Error) -> TensorError {
    TensorError::Source(format!("what was written cannot be read again: {error}").into())
}

/// The order in which the elements of two tensors are walked: places of their dims, outermost first.
struct Order(Option<Vec<usize>>);

impl Order {
    /// That in which the elements of the second lie; that of the view where both are views of other dims.
    fn of(own: &Tensor, written: &Tensor) -> Self {
        let mut order: Vec<usize> = (0..own.dims.len()).collect();
        order.sort_by_key(|&dim| std::cmp::Reverse(written.strides.get(dim).copied()));
        Self((own.dims == written.dims).then_some(order))
    }

    /// A tensor whose row-major order is this order of the elements of another.
    fn walked(&self, tensor: &Tensor) -> Tensor {
        let Some(order) = &self.0 else { return tensor.clone() };
        let dims: Vec<usize> = order.iter().map(|&dim| tensor.dims[dim]).collect();
        let strides = order.iter().map(|&dim| tensor.strides[dim]).collect();
        Tensor { shape: dims.clone(), dims, strides, ..tensor.clone() }
    }

    /// The index of the element that is walked as the `place`th.
    fn index(&self, place: usize, of: &Tensor) -> Vec<usize> {
        let mut flat = place;
        if let Some(order) = &self.0 {
            let dims: Vec<usize> = order.iter().map(|&dim| of.dims[dim]).collect();
            let (steps, places) = (row_major(&of.dims), unravel(place, &dims));
            flat = order.iter().zip(places).map(|(&dim, place)| place * steps[dim]).sum();
        }
        unravel(flat, &of.shape)
    }
}

fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &size) in index.iter_mut().zip(shape).rev() {
        *place = flat % size;
        flat /= size;
    }
    index
}

/// Cuts two tensors of one shape into the same pieces, in row-major order, each of about [`PIECE`] bytes where that can be
/// had.
fn cut(own: Tensor, written: Tensor, pairs: &mut Vec<(Tensor, Tensor)>) {
    let (bytes, rows) = (own.byte_len(), own.shape.first().copied().unwrap_or(1));
    if let (true, 1, Some((own, written))) = (bytes > PIECE, rows, own.only_row().zip(written.only_row())) {
        return cut(own, written, pairs);
    }
    let both = own.by_rows().zip(written.by_rows()).filter(|_| bytes > PIECE);
    let Some((by_rows, written_by_rows)) = both else { return pairs.push((own, written)) };
    let step = (PIECE / (bytes / rows)).max(1);
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        let (own, written) = (by_rows.rows(first, count), written_by_rows.rows(first, count));
        if count == 1 { cut(own, written, pairs) } else { pairs.push((own, written)) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::*;
    use crate::{Endian, map_file};

    /// Kernels of 3x3, more than a piece of them, with a NaN, infinities and zeros of both signs.
    fn values() -> Vec<f32> {
        let mut values: Vec<f32> = (0..3 * 3 * 140 * 300).map(|i| (i as f32 * 0.37).sin()).collect();
        for (at, value) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0].into_iter().enumerate() {
            values[at * 7001] = value;
        }
        values
    }

    /// As Keras stores it, seen as filters first.
    fn kernel(values: &[f32]) -> Tensor {
        Tensor::from_f32(vec![3, 3, 140, 300], values).unwrap().permute(&[3, 2, 0, 1]).unwrap()
    }

    /// The same elements as they are written.
    fn written(tensor: &Tensor) -> Tensor {
        let mut bytes = Vec::new();
        tensor.append_le_bytes(&mut bytes).unwrap();
        Tensor::from_bytes(tensor.dtype(), Endian::Little, tensor.shape().to_vec(), bytes.into()).unwrap()
    }

    #[test]
    fn a_tensor_is_the_same_through_every_view_and_one_bit_is_found_at_its_index() {
        let (source, other) = (values(), values());
        let views: [fn(&Tensor) -> Tensor; 5] = [
            Tensor::clone,
            |tensor| tensor.reshape(&[300, 1260]).unwrap(),
            |tensor| tensor.cast(DType::F16),
            |tensor| tensor.cast(DType::BF16).reshape(&[1260, 300]).unwrap(),
            |tensor| tensor.permute(&[2, 3, 1, 0]).unwrap(),
        ];
        for (number, view) in views.into_iter().enumerate() {
            let source = view(&kernel(&source));
            for back in [written(&source), view(&kernel(&other))] {
                assert_eq!(source.first_difference(&back).unwrap(), None, "view {number}");
                assert_eq!(back.first_difference(&source).unwrap(), None, "view {number}");
            }
        }
        for index in [[0, 0, 0, 0], [299, 139, 2, 2], [7, 3, 2, 1], [150, 0, 0, 2]] {
            let [o, i, h, w] = index;
            let mut changed = values();
            let value = &mut changed[((h * 3 + w) * 140 + i) * 300 + o];
            *value = f32::from_bits(value.to_bits() ^ 1);
            let (source, changed) = (kernel(&source), kernel(&changed));
            let found = Some(TensorDifference::Element(index.to_vec()));
            assert_eq!(source.first_difference(&changed).unwrap(), found);
            assert_eq!(source.first_difference(&written(&changed)).unwrap(), found);
            let rows = [source.reshape(&[300, 1260]).unwrap(), written(&changed).reshape(&[300, 1260]).unwrap()];
            let found = TensorDifference::Element(vec![o, (i * 3 + h) * 3 + w]);
            assert_eq!(rows[0].first_difference(&rows[1]).unwrap(), Some(found));
        }
    }

    #[test]
    fn zeros_of_both_signs_differ_and_so_do_nans() {
        let of = |value: f32| Tensor::from_f32(vec![2], &[1.0, value]).unwrap();
        for (a, b) in [(0.0, -0.0), (f32::NAN, -f32::NAN)] {
            assert_eq!(of(a).first_difference(&of(b)).unwrap(), Some(TensorDifference::Element(vec![1])));
        }
        assert_eq!(of(f32::NAN).first_difference(&of(f32::NAN)).unwrap(), None);
        let (wide, scalar) = (Tensor::from_f64(vec![2], &[1.0, 0.0]).unwrap(), Tensor::from_i64(vec![], &[7]).unwrap());
        assert_eq!(of(0.0).first_difference(&wide).unwrap(), Some(TensorDifference::DType(DType::F32, DType::F64)));
        let found = of(0.0).first_difference(&of(0.0).reshape(&[2, 1]).unwrap()).unwrap();
        assert_eq!(found, Some(TensorDifference::Shape(vec![2], vec![2, 1])));
        assert_eq!(scalar.first_difference(&scalar).unwrap(), None);
        let big = Tensor::from_bytes(DType::F32, Endian::Big, vec![1], 1.5f32.to_be_bytes().to_vec().into()).unwrap();
        assert_eq!(big.first_difference(&Tensor::from_f32(vec![1], &[1.5]).unwrap()).unwrap(), None);
    }

    /// Whatever was mapped, the file is asked what it holds.
    #[test]
    fn what_was_written_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written");
        let source = kernel(&values());
        let mut bytes = vec![0; 2 << 20];
        source.copy_le_bytes(&mut bytes[64..64 + source.byte_len()]).unwrap();
        fs::write(&path, &bytes).unwrap();
        let map = map_file(&path).unwrap();
        let of = |map: Bytes| Tensor::from_bytes(DType::F32, Endian::Little, source.shape().to_vec(), map).unwrap();
        let back = of(map.slice(64..64 + source.byte_len()));
        assert_eq!(source.first_difference(&back).unwrap(), None);
        let mut read = vec![0; 100];
        files::read_again(&map[60..160], &mut read).unwrap().unwrap();
        assert_eq!(read, bytes[60..160]);
        assert!(files::read_again(&bytes[60..160], &mut read).is_none(), "it is in no file");
        back.let_go();
        files::let_go(&bytes);
        assert_eq!(map[..], bytes[..], "it is read again where it is looked at");
        fs::File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        assert!(source.first_difference(&back).unwrap_err().to_string().contains("cannot be read again"));
    }
}
