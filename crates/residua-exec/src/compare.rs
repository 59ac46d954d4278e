//! Numeric comparison of two arrays.
//!
//! All figures are computed in f64, whatever the arrays hold. What difference is acceptable is the caller's business.

use crate::array::{Array, Data};
use crate::error::ExecError;

/// How far one array is from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Largest absolute difference of two finite elements.
    pub max_abs: f64,
    /// The same, relative to the largest absolute value of the reference; 0 where both are 0.
    pub max_rel: f64,
    /// Largest number of f32 values that lie between two finite elements, once both are rounded to f32.
    pub max_ulp: u32,
    /// Cosine of the angle between the two as vectors; 1 where both are 0.
    pub cosine: f64,
    /// Elements that are infinite or NaN, in one array or both: nothing is known of how far these are apart.
    pub non_finite: NonFinite,
    /// Index of the first element where the two differ most: non-finite against finite before any finite difference.
    /// [`None`] where no element differs.
    pub worst: Option<Vec<usize>>,
}

/// Elements of two arrays that are infinite or NaN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NonFinite {
    /// How many of the reference are.
    pub reference: usize,
    /// How many of the other are.
    pub other: usize,
    /// Places where one is, or both are.
    pub places: usize,
    /// Those of the places where the two have not the same bits.
    pub unlike: usize,
    /// Those where they are not even both NaN, or the same infinity.
    pub of_other_kind: usize,
    /// Elements of each array.
    pub of: usize,
    /// The first place.
    pub first: Option<Vec<usize>>,
}

impl NonFinite {
    /// Whether all numbers of both are finite.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.places == 0
    }

    /// Whether no place is left where both are finite.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.places > 0 && self.places == self.of
    }
}

/// Compares `other` with `reference`, element by element. NaN is not equal to NaN, nor infinity to infinity: such
/// elements are counted, and play no part in the other figures.
///
/// # Errors
/// [`ExecError::Compare`] where the shapes differ.
pub fn difference(reference: &Array, other: &Array) -> Result<Difference, ExecError> {
    same_shape(reference, other)?;
    let (a, b) = (reference.wide(), other.wide());
    let (mut max_abs, mut largest, mut max_ulp) = (0.0f64, 0.0f64, 0);
    let mut non_finite = NonFinite { of: a.len(), ..NonFinite::default() };
    let mut first_non_finite = None;
    let (mut dot, mut norm_a, mut norm_b) = (0.0, 0.0, 0.0);
    let (mut worst, mut worst_non_finite) = (None, None);
    for (i, (&x, &y)) in a.iter().zip(&b[..]).enumerate() {
        if !x.is_finite() || !y.is_finite() {
            non_finite.reference += usize::from(!x.is_finite());
            non_finite.other += usize::from(!y.is_finite());
            non_finite.places += 1;
            first_non_finite.get_or_insert(i);
            let same_infinity = x.is_infinite() && y.is_infinite() && x.is_sign_positive() == y.is_sign_positive();
            let alike = same_infinity || (x.is_nan() && y.is_nan());
            non_finite.of_other_kind += usize::from(!alike);
            if x.to_bits() != y.to_bits() {
                non_finite.unlike += 1;
                worst_non_finite.get_or_insert(i);
            }
            continue;
        }
        let distance = (x - y).abs();
        if distance > max_abs {
            (max_abs, worst) = (distance, Some(i));
        }
        largest = largest.max(x.abs());
        max_ulp = max_ulp.max(ulps(x, y));
        dot += x * y;
        norm_a += x * x;
        norm_b += y * y;
    }
    let max_rel = if max_abs == 0.0 { 0.0 } else { max_abs / largest };
    let cosine =
        if norm_a == 0.0 && norm_b == 0.0 { 1.0 } else { dot / (norm_a.sqrt() * norm_b.sqrt()).max(f64::MIN_POSITIVE) };
    let worst = worst_non_finite.or(worst).map(|flat| unravel(flat, reference.shape()));
    non_finite.first = first_non_finite.map(|flat| unravel(flat, reference.shape()));
    Ok(Difference { max_abs, max_rel, max_ulp, cosine, non_finite, worst })
}

/// [`Difference::max_abs`] alone, which takes a fraction of the time.
///
/// # Errors
/// [`ExecError::Compare`] where the shapes differ.
pub fn max_abs(reference: &Array, other: &Array) -> Result<f64, ExecError> {
    same_shape(reference, other)?;
    Ok(match (reference.data(), other.data()) {
        (Data::F32(a), Data::F32(b)) => farthest(a, b),
        (Data::F32(a), Data::F64(b)) => farthest(a, b),
        (Data::F64(a), Data::F32(b)) => farthest(a, b),
        (Data::F64(a), Data::F64(b)) => farthest(a, b),
    })
}

/// The largest distance of two finite elements, in lanes.
fn farthest<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    const LANES: usize = 8;
    let further = |most: f64, a: A, b: B| {
        let (x, y): (f64, f64) = (a.into(), b.into());
        let distance = if x.is_finite() && y.is_finite() { (x - y).abs() } else { 0.0 };
        if distance > most { distance } else { most }
    };
    let ((a, rest), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        lanes = std::array::from_fn(|lane| further(lanes[lane], a[lane], b[lane]));
    }
    let most = lanes.into_iter().fold(0.0, f64::max);
    rest.iter().zip(rest_b).fold(most, |most, (&a, &b)| further(most, a, b))
}

/// Whether both have the same shape, element type and bits. NaNs are equal where their bits are; 0 and −0 differ.
#[must_use]
pub fn bit_identical(a: &Array, b: &Array) -> bool {
    a.shape() == b.shape()
        && match (a.data(), b.data()) {
            (Data::F32(a), Data::F32(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (Data::F64(a), Data::F64(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (Data::F32(_), Data::F64(_)) | (Data::F64(_), Data::F32(_)) => false,
        }
}

/// Share of the rows along the last axis whose largest element is at the same place in both; 1 where there is no row.
/// Of a row that holds infinity or NaN no element is the largest, so that it agrees with none.
///
/// # Errors
/// [`ExecError::Compare`] where the shapes differ.
pub fn top1_agreement(reference: &Array, other: &Array) -> Result<f64, ExecError> {
    same_shape(reference, other)?;
    let Some(&classes) = reference.shape().last() else { return Ok(1.0) };
    if reference.is_empty() {
        return Ok(1.0);
    }
    let (a, b) = (reference.wide(), other.wide());
    let rows = a.len() / classes;
    let best = |row: &[f64]| argmax(row).filter(|_| row.iter().all(|value| value.is_finite()));
    let agree =
        a.chunks(classes).zip(b.chunks(classes)).filter(|(a, b)| best(a).is_some() && best(a) == best(b)).count();
    #[expect(clippy::cast_precision_loss, reason = "a share of a few rows")]
    Ok(agree as f64 / rows as f64)
}

/// Position of the largest element, the first of equals; NaNs are passed over.
#[must_use]
pub fn argmax(row: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, value) in row.iter().enumerate() {
        if !value.is_nan() && best.is_none_or(|b| *value > row[b]) {
            best = Some(i);
        }
    }
    best
}

fn same_shape(reference: &Array, other: &Array) -> Result<(), ExecError> {
    if reference.shape() == other.shape() {
        return Ok(());
    }
    Err(ExecError::Compare { reference: reference.shape().to_vec(), other: other.shape().to_vec() })
}

/// Steps between neighbouring f32 values from one to the other.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
fn ulps(x: f64, y: f64) -> u32 {
    // Negative floats count down from the sign bit; mirror them, so that neighbours are neighbours across 0.
    let place = |v: f64| {
        let bits = (v as f32).to_bits();
        if bits >> 31 == 1 { 0x8000_0000 - i64::from(bits) } else { i64::from(bits) }
    };
    u32::try_from((place(x) - place(y)).unsigned_abs()).unwrap_or(u32::MAX)
}

fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        *i = flat % size;
        flat /= size;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(values: &[f32]) -> Array {
        Array::new(vec![values.len() / 2, 2], values.to_vec()).unwrap()
    }

    #[test]
    fn equal_arrays_differ_by_nothing() {
        let a = array(&[1.0, -2.0, f32::NAN, f32::INFINITY]);
        let d = difference(&a, &a).unwrap();
        assert_eq!((d.max_abs, d.max_rel, d.max_ulp), (0.0, 0.0, 0));
        assert!((d.cosine - 1.0).abs() < 1e-15);
        assert_eq!(d.worst, None);
        assert!(bit_identical(&a, &a));
        assert!(!bit_identical(&array(&[0.0, 0.0]), &array(&[-0.0, 0.0])));
    }

    #[test]
    fn the_worst_element_is_named() {
        let d = difference(&array(&[1.0, 2.0, 3.0, 4.0]), &array(&[1.0, 2.5, 3.0, 3.0])).unwrap();
        assert_eq!((d.max_abs, d.max_rel), (1.0, 0.25));
        assert_eq!(d.worst, Some(vec![1, 1]));
    }

    #[test]
    fn a_nan_that_the_reference_has_not_is_the_worst_of_all() {
        let d = difference(&array(&[1.0, 2.0, 3.0, 9.0]), &array(&[1.0, f32::NAN, 3.0, 4.0])).unwrap();
        assert_eq!((d.non_finite.other, d.non_finite.unlike, d.worst), (1, 1, Some(vec![0, 1])));
    }

    #[test]
    fn nan_and_infinity_are_counted_also_where_both_have_them() {
        let a = array(&[1.0, f32::NAN, f32::INFINITY, 2.0]);
        let d = difference(&a, &array(&[1.0, f32::NAN, f32::NEG_INFINITY, f32::INFINITY])).unwrap();
        let expected = NonFinite {
            reference: 2,
            other: 3,
            places: 3,
            unlike: 2,
            of_other_kind: 2,
            of: 4,
            first: Some(vec![0, 1]),
        };
        assert_eq!((d.non_finite, d.max_abs), (expected, 0.0));
        let all = array(&[f32::NAN, f32::NAN]);
        assert!(difference(&all, &all).unwrap().non_finite.is_all());
    }

    #[test]
    fn the_largest_distance_is_the_same_alone_and_among_all_figures() {
        let of = |seed: f64| -> Vec<f64> { (0..37).map(|i| (f64::from(i) * seed).sin() * 1e3).collect() };
        for place in [0, 5, 31, 32, 36] {
            for special in [f64::NAN, f64::INFINITY, 1e9, -1e308] {
                let (a, mut b) = (of(0.37), of(0.74));
                b[place] = special;
                let a = [
                    Array::new(vec![37], a.clone()).unwrap(),
                    Array::new(vec![37], Array::new(vec![37], a).unwrap().to_f32()).unwrap(),
                ];
                let b = [
                    Array::new(vec![37], b.clone()).unwrap(),
                    Array::new(vec![37], Array::new(vec![37], b).unwrap().to_f32()).unwrap(),
                ];
                for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
                    let (alone, all) = (max_abs(a, b).unwrap(), difference(a, b).unwrap().max_abs);
                    assert_eq!(alone.to_bits(), all.to_bits(), "{special} at {place}");
                }
            }
        }
    }

    #[test]
    fn ulps_count_f32_values_between() {
        assert_eq!(ulps(1.0, f64::from(1.0f32.next_up())), 1);
        assert_eq!(ulps(0.0, -0.0), 0);
        assert_eq!(ulps(f64::from(f32::from_bits(1)), -f64::from(f32::from_bits(1))), 2);
    }

    #[test]
    fn top1_is_the_share_of_rows_that_agree() {
        let share = top1_agreement(&array(&[1.0, 2.0, 3.0, 4.0]), &array(&[0.0, 1.0, 5.0, 4.0])).unwrap();
        assert_eq!(share, 0.5);
        let nan = array(&[f32::NAN, f32::NAN, 3.0, 4.0]);
        assert_eq!(top1_agreement(&nan, &nan).unwrap(), 0.5);
        assert!(top1_agreement(&array(&[1.0, 2.0]), &array(&[1.0, 2.0, 3.0, 4.0])).is_err());
    }
}
