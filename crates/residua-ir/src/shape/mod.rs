//! Shapes with free sizes, and the only shape inference.
//!
//! [`infer`] gives the type of each result of an operator; nothing else in the workspace computes shapes.

mod dim;
mod error;
mod infer;
pub mod range;
pub mod window;

use std::fmt;

use crate::tensor::DType;

pub use dim::Dim;
pub use error::ShapeError;
pub use infer::infer;

/// Sizes of the axes of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of these sizes.
    #[must_use]
    pub fn new(dims: Vec<Dim>) -> Self {
        Self(dims)
    }

    /// A shape of known sizes.
    #[must_use]
    pub fn fixed(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&size| Dim::Fixed(size)).collect())
    }

    /// A free batch `N` before known sizes.
    #[must_use]
    pub fn batch(dims: &[usize]) -> Self {
        Self(std::iter::once(Dim::symbol("N")).chain(dims.iter().map(|&size| Dim::Fixed(size))).collect())
    }

    /// Sizes.
    #[must_use]
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// Number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// All sizes, where all are known.
    #[must_use]
    pub fn as_fixed(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::fixed).collect()
    }

    /// Number of elements, where all sizes are known and the number fits.
    #[must_use]
    pub fn element_count(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// Element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Shape.
    pub shape: Shape,
}
