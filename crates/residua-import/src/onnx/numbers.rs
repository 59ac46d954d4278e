//! Small arrays of numbers that are known before anything runs, or follow from sizes: what exporters compute shapes from.
//!
//! Such arrays become attributes where an operator needs them known. Sizes that are free stay expressions in values
//! ([`Extent`], whose operands are positions in the list that [`Scope`](super::scope::Scope) keeps). [`arithmetic`](super::arithmetic)
//! computes with them.

use residua_ir::tensor::element_count;
use residua_ir::{DType, Extent, Tensor, TensorError};

/// Elements of an array that is looked at here; shapes, axes and amounts of padding have a few.
pub(super) const MOST: usize = 1024;

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Whole(Extent),
    Real(f64),
}

impl Number {
    pub(super) fn whole(&self) -> Option<&Extent> {
        match self {
            Number::Whole(extent) => Some(extent),
            Number::Real(_) => None,
        }
    }

    pub(super) fn known(&self) -> Option<i64> {
        match self {
            Number::Whole(extent) => extent.known(),
            Number::Real(_) => None,
        }
    }

    /// As a real number, where it is known.
    pub(super) fn real(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
            Number::Whole(extent) => extent.known().map(|number| number as f64),
            Number::Real(number) => Some(*number),
        }
    }
}

/// See the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    pub(super) list: Vec<Number>,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DType,
}

impl Numbers {
    /// A list of integers.
    pub(super) fn list(extents: Vec<Extent>) -> Self {
        let shape = vec![extents.len()];
        Self { list: extents.into_iter().map(Number::Whole).collect(), shape, dtype: DType::I64 }
    }

    /// The elements of a tensor, where it is small and of a type that is computed with here.
    pub(super) fn of_tensor(tensor: &Tensor) -> Option<Self> {
        if tensor.len() > MOST {
            return None;
        }
        let list = match tensor.dtype() {
            DType::I64 | DType::I32 | DType::Bool => {
                tensor.to_i64().ok()?.into_iter().map(|number| Number::Whole(Extent::Known(number))).collect()
            }
            DType::F32 | DType::F64 => tensor.to_f64().ok()?.into_iter().map(Number::Real).collect(),
            DType::F16 | DType::BF16 | DType::I16 | DType::I8 | DType::U64 | DType::U32 | DType::U16 | DType::U8 => {
                return None;
            }
        };
        Some(Self { list, shape: tensor.shape().to_vec(), dtype: tensor.dtype() })
    }

    /// As a tensor, where all is known.
    pub(super) fn tensor(&self) -> Option<Result<Tensor, TensorError>> {
        let tensor = if self.dtype.is_float() {
            let reals: Vec<f64> = self.list.iter().map(Number::real).collect::<Option<_>>()?;
            Tensor::from_f64(self.shape.clone(), &reals)
        } else {
            let whole: Vec<i64> = self.list.iter().map(Number::known).collect::<Option<_>>()?;
            Tensor::from_i64(self.shape.clone(), &whole)
        };
        Some(tensor.and_then(|tensor| stored(&tensor, self.dtype)))
    }

    /// The elements as whole numbers; `None` where they are reals.
    pub(super) fn extents(&self) -> Option<Vec<Extent>> {
        self.list.iter().map(|number| number.whole().cloned()).collect()
    }

    /// The elements as reals, where they are known.
    pub(super) fn reals(&self) -> Option<Vec<f64>> {
        self.list.iter().map(Number::real).collect()
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number at an index; axes of size 1 are stretched, and missing ones in front are of size 1.
    pub(super) fn at(&self, index: &[usize]) -> Option<&Number> {
        let behind = &index[index.len().checked_sub(self.shape.len())?..];
        let mut flat = 0;
        for (&at, &size) in behind.iter().zip(&self.shape) {
            flat = flat * size + if size == 1 { 0 } else { at };
        }
        self.list.get(flat)
    }

    /// An array of this shape, each number by its index; `None` where one is, or where there are too many.
    pub(super) fn make(
        shape: Vec<usize>,
        dtype: DType,
        mut number: impl FnMut(&[usize]) -> Option<Number>,
    ) -> Option<Self> {
        let count = element_count(&shape).ok().filter(|&count| count <= MOST)?;
        let mut index = vec![0; shape.len()];
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(rounded(number(&index)?, dtype));
            for (at, &size) in index.iter_mut().zip(&shape).rev() {
                *at += 1;
                if *at < size {
                    break;
                }
                *at = 0;
            }
        }
        let fits = |number: &Number| dtype != DType::I32 || number.known().is_none_or(|n| i32::try_from(n).is_ok());
        list.iter().all(fits).then_some(Self { list, shape, dtype })
    }
}

/// A number as its type holds it, so that what is computed here is what would be computed when the model is run.
fn rounded(number: Number, dtype: DType) -> Number {
    match number {
        #[expect(clippy::cast_possible_truncation, reason = "that is what rounding is")]
        Number::Real(real) if dtype == DType::F32 => Number::Real(f64::from(real as f32)),
        number => number,
    }
}

/// The same numbers as a tensor of this type, not a view.
pub(super) fn stored(tensor: &Tensor, dtype: DType) -> Result<Tensor, TensorError> {
    if tensor.dtype() == dtype {
        return Ok(tensor.clone());
    }
    let mut bytes = Vec::new();
    if tensor.dtype().is_float() {
        tensor.cast(dtype).append_le_bytes(&mut bytes)?;
    } else {
        // The low bytes of a whole number are the number in a narrower type.
        let narrow = |number: i64| if dtype == DType::Bool { i64::from(number != 0) } else { number };
        let low = tensor.to_i64()?.into_iter().map(|number| narrow(number).to_le_bytes());
        low.for_each(|number| bytes.extend_from_slice(&number[..dtype.size()]));
    }
    Tensor::from_bytes(dtype, residua_ir::Endian::Little, tensor.shape().to_vec(), bytes.into())
}
