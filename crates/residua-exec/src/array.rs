//! Arrays: what goes into a run and what comes out.
//!
//! Invariant: an [`Array`] holds exactly as many elements as its shape says, row-major.

use std::borrow::Cow;

use crate::error::ExecError;

/// Elements of an array.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Data {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Data::F32(values) => values.len(),
            Data::F64(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<f32>> for Data {
    fn from(values: Vec<f32>) -> Self {
        Data::F32(values)
    }
}

impl From<Vec<f64>> for Data {
    fn from(values: Vec<f64>) -> Self {
        Data::F64(values)
    }
}

/// A dense array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Data,
}

/// Number of elements of a shape, where it and its bytes fit in the address space.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
    count.checked_mul(size_of::<f64>()).filter(|&bytes| isize::try_from(bytes).is_ok()).map(|_| count)
}

/// Row-major strides of a shape, in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1].max(1);
    }
    strides
}

impl Array {
    /// An array of these elements, row-major.
    ///
    /// # Errors
    /// [`ExecError::ElementCount`] unless there are as many elements as the shape says.
    pub fn new(shape: Vec<usize>, data: impl Into<Data>) -> Result<Self, ExecError> {
        let data = data.into();
        if element_count(&shape) != Some(data.len()) {
            return Err(ExecError::ElementCount { shape, found: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// An f32 array of zeros.
    ///
    /// # Errors
    /// [`ExecError::ElementCount`] where a shape of so many elements cannot exist.
    pub fn zeros(shape: Vec<usize>) -> Result<Self, ExecError> {
        match element_count(&shape) {
            Some(count) => Ok(Self { shape, data: Data::F32(vec![0.0; count]) }),
            None => Err(ExecError::ElementCount { shape, found: 0 }),
        }
    }

    /// Sizes of the axes; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// All elements as f64.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Data::F64(values) => values.clone(),
        }
    }

    /// All elements as f64, where they are that already without a copy.
    #[must_use]
    pub fn wide(&self) -> Cow<'_, [f64]> {
        match &self.data {
            Data::F32(_) => Cow::Owned(self.to_f64()),
            Data::F64(values) => Cow::Borrowed(values),
        }
    }

    /// All elements as f32, rounded to the nearest.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(values) => values.clone(),
            Data::F64(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The same elements, row-major, under another shape.
    ///
    /// # Errors
    /// [`ExecError::ElementCount`] where the number of elements differs.
    pub fn reshape(self, shape: Vec<usize>) -> Result<Self, ExecError> {
        Self::new(shape, self.data)
    }

    /// Axis `i` of the result is axis `perm[i]` of this array.
    ///
    /// # Errors
    /// [`ExecError::Permutation`] where `perm` is no permutation of the axes.
    pub fn permute(&self, perm: &[usize]) -> Result<Self, ExecError> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.shape.len()) {
            return Err(ExecError::Permutation { perm: perm.to_vec(), shape: self.shape.clone() });
        }
        let shape = perm.iter().map(|&axis| self.shape[axis]).collect();
        let data = match &self.data {
            Data::F32(values) => Data::F32(permuted(values, &self.shape, perm)),
            Data::F64(values) => Data::F64(permuted(values, &self.shape, perm)),
        };
        Ok(Self { shape, data })
    }
}

/// The elements of a permuted array, row-major.
pub(crate) fn permuted<T: Copy>(values: &[T], shape: &[usize], perm: &[usize]) -> Vec<T> {
    let mut out = values.to_vec();
    permute_into(values, shape, perm, &mut out);
    out
}

/// Writes the elements of a permuted array, row-major.
pub(crate) fn permute_into<T: Copy>(values: &[T], shape: &[usize], perm: &[usize], out: &mut [T]) {
    if values.is_empty() {
        return;
    }
    let steps = strides(shape);
    let Some((&last, outer)) = perm.split_last() else {
        out.copy_from_slice(values);
        return;
    };
    let sizes: Vec<usize> = outer.iter().map(|&axis| shape[axis]).collect();
    let mut index = vec![0usize; outer.len()];
    for out in out.chunks_exact_mut(shape[last]) {
        let from: usize = index.iter().zip(outer).map(|(i, &axis)| i * steps[axis]).sum();
        out.iter_mut().zip(values[from..].iter().step_by(steps[last])).for_each(|(out, &x)| *out = x);
        advance(&mut index, &sizes);
    }
}

/// Steps a row-major index over these sizes, innermost last; false once it has wrapped around.
pub(crate) fn advance(index: &mut [usize], sizes: &[usize]) -> bool {
    for (i, &size) in index.iter_mut().zip(sizes).rev() {
        *i += 1;
        if *i < size {
            return true;
        }
        *i = 0;
    }
    false
}

/// Offsets of all indices over some axes of a value of this shape, row-major.
pub(crate) fn offsets(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    if axes.iter().any(|&axis| shape[axis] == 0) {
        return Vec::new();
    }
    let steps = strides(shape);
    let sizes: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let mut index = vec![0; sizes.len()];
    let mut offsets = Vec::new();
    loop {
        offsets.push(index.iter().zip(axes).map(|(i, &axis)| i * steps[axis]).sum());
        if !advance(&mut index, &sizes) {
            return offsets;
        }
    }
}

/// Elements in the type that is computed in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permute_moves_elements_where_index_arithmetic_says() {
        let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let nchw = Array::new(vec![1, 2, 3, 4], values).unwrap();
        let nhwc = nchw.permute(&[0, 2, 3, 1]).unwrap();
        assert_eq!(nhwc.shape(), [1, 3, 4, 2]);
        let Data::F32(out) = nhwc.data() else { panic!("dtype kept") };
        for (h, w, c) in [(0, 0, 1), (2, 3, 0), (1, 2, 1)] {
            assert_eq!(out[(h * 4 + w) * 2 + c], (c * 12 + h * 4 + w) as f32);
        }
        assert_eq!(nhwc.permute(&[0, 3, 1, 2]).unwrap(), nchw);
        assert!(matches!(nchw.permute(&[0, 0, 1, 2]), Err(ExecError::Permutation { .. })));
    }

    #[test]
    fn an_array_holds_as_many_elements_as_its_shape_says() {
        assert!(matches!(Array::new(vec![2, 2], vec![0.0f32; 3]), Err(ExecError::ElementCount { found: 3, .. })));
        assert!(Array::zeros(vec![usize::MAX, 2]).is_err());
        assert!(Array::zeros(vec![2, 0]).unwrap().is_empty());
    }
}
