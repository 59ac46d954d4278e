//! Whole numbers that shapes are made of: known when the graph is built, or computed from the sizes of operands.
//!
//! Exporters compute the target of a reshape from the shapes of values. Where a size is free, what they compute is kept
//! as an expression in the operands of the node that uses it; such a node may have operands of which only sizes are read.
//! An expression becomes a number as soon as those sizes are known.
//!
//! Invariant: an expression shares its parts with those that it was computed from, so that a copy of it costs nothing, and it is no
//! larger than `MAX_PARTS` where it is written out; what would be is computed when the model is run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::shape::{Dim, Shape, ShapeError, TensorType};

/// Parts of an expression where it is written out, shared ones as often as they stand in it; exporters need a few.
const MAX_PARTS: usize = 128;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Extent {
    /// A number.
    Known(i64),
    /// The size of an axis of an operand.
    Of {
        /// Position of the operand.
        operand: usize,
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Computed from two others.
    Computed {
        /// How.
        by: Arithmetic,
        /// First operand.
        #[serde(with = "shared")]
        a: Arc<Extent>,
        /// Second operand.
        #[serde(with = "shared")]
        b: Arc<Extent>,
    },
}

/// A part is written as if it was not shared.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Extent;

    pub(super) fn serialize<S: Serializer>(part: &Arc<Extent>, to: S) -> Result<S::Ok, S::Error> {
        part.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Extent>, D::Error> {
        Extent::deserialize(from).map(Arc::new)
    }
}

/// Arithmetic on whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    /// Rounded towards zero.
    Div,
    Max,
    Min,
}

impl Arithmetic {
    /// The result; `None` where it overflows or is a division by 0.
    #[must_use]
    pub fn apply(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Sub => a.checked_sub(b),
            Arithmetic::Mul => a.checked_mul(b),
            Arithmetic::Div => a.checked_div(b),
            Arithmetic::Max => Some(a.max(b)),
            Arithmetic::Min => Some(a.min(b)),
        }
    }

    /// Name of the operator of ONNX.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::Add => "Add",
            Arithmetic::Sub => "Sub",
            Arithmetic::Mul => "Mul",
            Arithmetic::Div => "Div",
            Arithmetic::Max => "Max",
            Arithmetic::Min => "Min",
        }
    }

    fn apply_to_sizes(self, a: &Dim, b: &Dim) -> Option<Dim> {
        let amount = |dim: &Dim| dim.fixed().and_then(|size| i64::try_from(size).ok());
        match (self, amount(a), amount(b)) {
            (_, Some(a), Some(b)) => usize::try_from(self.apply(a, b)?).ok().map(Dim::Fixed),
            (Arithmetic::Add, None, Some(n)) => a.affine(n, 1, 0),
            (Arithmetic::Add, Some(n), None) => b.affine(n, 1, 0),
            (Arithmetic::Sub, None, Some(n)) => a.affine(n.checked_neg()?, 1, 0),
            (Arithmetic::Sub, None, None) if a.is_equal(b) => Some(Dim::Fixed(0)),
            (Arithmetic::Mul, None, Some(1)) => Some(a.clone()),
            (Arithmetic::Mul, Some(1), None) => Some(b.clone()),
            (Arithmetic::Div, None, Some(n)) if n > 0 => a.affine(0, n, 0),
            (Arithmetic::Max | Arithmetic::Min, None, None) if a.is_equal(b) => Some(a.clone()),
            _ => Some(Dim::Unknown),
        }
    }
}

impl From<usize> for Extent {
    fn from(size: usize) -> Self {
        Extent::Known(i64::try_from(size).unwrap_or(i64::MAX))
    }
}

impl Extent {
    /// The number, where it is known.
    #[must_use]
    pub fn known(&self) -> Option<i64> {
        match self {
            Extent::Known(number) => Some(*number),
            Extent::Of { .. } | Extent::Computed { .. } => None,
        }
    }

    /// What an operation gives; `None` where it overflows, divides by 0, or would be too large.
    #[must_use]
    pub fn compute(by: Arithmetic, a: Extent, b: Extent) -> Option<Extent> {
        match (by, &a, &b) {
            (_, Extent::Known(a), Extent::Known(b)) => return by.apply(*a, *b).map(Extent::Known),
            (Arithmetic::Add | Arithmetic::Sub, _, Extent::Known(0)) => return Some(a),
            (Arithmetic::Mul | Arithmetic::Div, _, Extent::Known(1)) => return Some(a),
            (Arithmetic::Add, Extent::Known(0), _) | (Arithmetic::Mul, Extent::Known(1), _) => return Some(b),
            (Arithmetic::Div, _, Extent::Known(0)) => return None,
            _ => {}
        }
        let result = Extent::Computed { by, a: Arc::new(a), b: Arc::new(b) };
        (result.parts() <= MAX_PARTS).then_some(result)
    }

    /// Numbers, sizes and operations in it where it is written out: what any walk over it takes.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            Extent::Known(_) | Extent::Of { .. } => 1,
            Extent::Computed { a, b, .. } => 1 + a.parts() + b.parts(),
        }
    }

    /// The number for operands of these types, as far as it follows.
    ///
    /// # Errors
    /// [`ShapeError`] where it refers to an axis that is not there, overflows, or is below 0 where it is no known number.
    pub fn resolve(&self, operands: &[TensorType]) -> Result<Resolved, ShapeError> {
        let out_of_range = || ShapeError::Attribute("a size that is computed from others is out of range".into());
        match self {
            Extent::Known(number) => Ok(Resolved::Number(*number)),
            Extent::Of { operand, axis } => {
                let dim = operands.get(*operand).and_then(|operand| operand.shape.dims().get(*axis));
                let missing = || ShapeError::Attribute(format!("axis {axis} of operand {operand} is not there").into());
                Ok(Resolved::of(dim.ok_or_else(missing)?))
            }
            Extent::Computed { by, a, b } => match (a.resolve(operands)?, b.resolve(operands)?) {
                (Resolved::Number(a), Resolved::Number(b)) => {
                    by.apply(a, b).map(Resolved::Number).ok_or_else(out_of_range)
                }
                (a, b) => match (a.dim(), b.dim()) {
                    (Some(a), Some(b)) => {
                        by.apply_to_sizes(&a, &b).map(|dim| Resolved::of(&dim)).ok_or_else(out_of_range)
                    }
                    _ => Ok(Resolved::Free(Dim::Unknown)),
                },
            },
        }
    }

    /// The size for operands of these types.
    ///
    /// # Errors
    /// As [`Extent::resolve`], and where it is below 0.
    pub fn size(&self, operands: &[TensorType]) -> Result<Dim, ShapeError> {
        let resolved = self.resolve(operands)?;
        resolved.dim().ok_or_else(|| ShapeError::Attribute(format!("{resolved:?} is no size").into()))
    }

    /// The same of other operands: `f` gives the new position of each.
    #[must_use]
    pub fn with_operands(&self, f: &mut impl FnMut(usize) -> usize) -> Extent {
        match self {
            Extent::Known(number) => Extent::Known(*number),
            Extent::Of { operand, axis } => Extent::Of { operand: f(*operand), axis: *axis },
            Extent::Computed { by, a, b } => {
                let (a, b) = (Arc::new(a.with_operands(f)), Arc::new(b.with_operands(f)));
                Extent::Computed { by: *by, a, b }
            }
        }
    }
}

/// What is known of an [`Extent`] once types of operands are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// All of it.
    Number(i64),
    /// It is a free size, or computed from one.
    Free(Dim),
}

impl Resolved {
    fn of(dim: &Dim) -> Self {
        match dim.fixed().and_then(|size| i64::try_from(size).ok()) {
            Some(size) => Resolved::Number(size),
            None => Resolved::Free(dim.clone()),
        }
    }

    /// The number, where it is known.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Resolved::Number(number) => Some(*number),
            Resolved::Free(_) => None,
        }
    }

    /// As a size; `None` below 0.
    #[must_use]
    pub fn dim(&self) -> Option<Dim> {
        match self {
            Resolved::Number(number) => usize::try_from(*number).ok().map(Dim::Fixed),
            Resolved::Free(dim) => Some(dim.clone()),
        }
    }
}

/// The shape that these sizes come to for operands of these types.
///
/// # Errors
/// As [`Extent::size`].
pub fn shape_of(extents: &[Extent], operands: &[TensorType]) -> Result<Shape, ShapeError> {
    extents.iter().map(|extent| extent.size(operands)).collect::<Result<Vec<Dim>, _>>().map(Shape::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn batch() -> Vec<TensorType> {
        vec![TensorType { dtype: DType::F32, shape: Shape::batch(&[8, 6]) }]
    }

    fn of(axis: usize) -> Extent {
        Extent::Of { operand: 0, axis }
    }

    #[test]
    fn what_is_known_is_computed_and_what_is_free_stays_an_expression() {
        let half = Extent::compute(Arithmetic::Div, of(1), Extent::Known(2)).unwrap();
        assert_eq!(half.size(&batch()).unwrap(), Dim::Fixed(4));
        let doubled = Extent::compute(Arithmetic::Mul, of(0), Extent::Known(2)).unwrap();
        assert_eq!(doubled.size(&batch()).unwrap(), Dim::Unknown);
        let next = Extent::compute(Arithmetic::Add, of(0), Extent::Known(1)).unwrap();
        assert_eq!(next.size(&batch()).unwrap().to_string(), "N+1");
        let fixed = [TensorType { dtype: DType::F32, shape: Shape::fixed(&[3]) }];
        assert_eq!(doubled.size(&fixed).unwrap(), Dim::Fixed(6));
        assert_eq!(Extent::compute(Arithmetic::Mul, of(0), Extent::Known(1)), Some(of(0)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_nothing_grows_without_end() {
        assert_eq!(Extent::compute(Arithmetic::Div, of(0), Extent::Known(0)), None);
        assert_eq!(Extent::compute(Arithmetic::Mul, Extent::Known(i64::MAX), Extent::Known(2)), None);
        assert!(of(9).size(&batch()).is_err());
        assert!(Extent::Known(-1).size(&batch()).is_err());
        let mut deep = Some(of(0));
        for _ in 0..100 {
            deep = deep.and_then(|deep| Extent::compute(Arithmetic::Add, deep, of(1)));
        }
        assert_eq!(deep, None);
        // A square of a square: each level is twice as large as the one before it.
        let square = |x: Extent| Extent::compute(Arithmetic::Mul, x.clone(), x);
        let sixty = (0..60).try_fold(of(0), |x, _| square(x));
        assert_eq!(sixty, None);
        let three = (0..3).try_fold(of(0), |x, _| square(x)).unwrap();
        assert_eq!(three.parts(), 15);
        let Extent::Computed { a, b, .. } = &three else { panic!("it is computed") };
        assert_eq!(a, b);
    }

    #[test]
    fn a_copy_shares_its_parts() {
        let half = Extent::compute(Arithmetic::Div, of(1), Extent::Known(2)).unwrap();
        let (Extent::Computed { a, .. }, Extent::Computed { a: copied, .. }) = (&half, &half.clone()) else {
            panic!("it is computed")
        };
        assert!(Arc::ptr_eq(a, copied));
    }
}
