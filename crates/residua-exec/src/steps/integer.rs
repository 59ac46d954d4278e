//! Whole numbers, which are computed in floating point: exactly, or not at all.
//!
//! f64 holds integers below 2^53 exactly and f32 those below 2^24. A sum, difference or product that is too large rounds to
//! something that is too large as well, so looking at results is enough, except for sums of many products, which may come
//! back; those are bounded before they are computed. What is exact is then wrapped to the range of its type.

use std::sync::Arc;

use residua_ir::DType;

use super::Values;
use crate::element::Element;
use crate::error::ExecError;

/// An integer, or the infinity of its sign where it is not held exactly, which is then found.
#[expect(clippy::cast_precision_loss, reason = "looked at by whoever uses it")]
pub(super) fn of_integer<T: Element>(value: i64) -> T {
    T::from_f64(value as f64)
}

fn inexact<T: Element>(name: &str, value: f64, dtype: DType) -> ExecError {
    ExecError::Inexact { name: name.into(), value, dtype, computed_in: T::NAME }
}

/// Refuses integers that may have been rounded.
pub(crate) fn check<T: Element>(values: &[T], dtype: DType, name: &str) -> Result<(), ExecError> {
    match values.iter().map(|value| value.to_f64()).find(|value| value.abs() >= T::EXACT || value.is_nan()) {
        None => Ok(()),
        Some(value) => Err(inexact::<T>(name, value, dtype)),
    }
}

/// Refuses a product of matrices whose sums may be rounded.
pub(super) fn product<T: Element>(a: &[T], b: &[T], depth: usize, dtype: DType, name: &str) -> Result<(), ExecError> {
    let largest = |values: &[T]| values.iter().fold(0.0f64, |most, value| most.max(value.to_f64().abs()));
    #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
    let bound = largest(a) * largest(b) * depth as f64;
    if bound < T::EXACT { Ok(()) } else { Err(inexact::<T>(name, bound, dtype)) }
}

/// The range of an integer type: its smallest number, and how many there are.
fn range(dtype: DType) -> Option<(f64, f64)> {
    match dtype {
        DType::I32 => Some((f64::from(i32::MIN), 4_294_967_296.0)),
        DType::I16 => Some((f64::from(i16::MIN), 65_536.0)),
        DType::I8 => Some((f64::from(i8::MIN), 256.0)),
        DType::U32 => Some((0.0, 4_294_967_296.0)),
        DType::U16 => Some((0.0, 65_536.0)),
        DType::U8 => Some((0.0, 256.0)),
        // Larger than what is exact; a difference below 0 of unsigned numbers is refused.
        DType::I64 | DType::U64 => None,
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 | DType::Bool => None,
    }
}

/// The values as their type holds them, which wraps around.
pub(super) fn wrapped<T: Element>(mut values: Values<T>, dtype: DType, name: &str) -> Result<Values<T>, ExecError> {
    check(&values, dtype, name)?;
    if let Some((least, count)) = range(dtype) {
        let fits = |value: &T| (least..least + count).contains(&value.to_f64());
        if !values.iter().all(fits) {
            let wrap = |value: f64| (value - least).rem_euclid(count) + least;
            Arc::make_mut(&mut values).iter_mut().for_each(|value| *value = T::from_f64(wrap(value.to_f64())));
        }
    } else if dtype == DType::U64
        && let Some(below) = values.iter().map(|value| value.to_f64()).find(|&value| value < 0.0)
    {
        return Err(inexact::<T>(name, below, dtype));
    }
    Ok(values)
}

/// The ends of a type instead of infinities, which is what the extremum of nothing comes to.
pub(super) fn fill_empty<T: Element>(values: &mut [T], integer: Option<DType>, truth: bool) {
    let ends = match integer.and_then(range) {
        Some((least, count)) => Some((least, least + count - 1.0)),
        None => truth.then_some((0.0, 1.0)),
    };
    if let Some((least, most)) = ends {
        for value in values.iter_mut().filter(|value| value.abs() == T::INFINITY) {
            *value = T::from_f64(value.to_f64().clamp(least, most));
        }
    }
}

/// Real numbers as an integer type holds them: truncated, and saturated at the type's ends; in place.
pub(super) fn cast<T: Element>(values: &mut [T], dtype: DType) {
    values.iter_mut().for_each(|value| *value = T::from_f64(to_integer(value.to_f64(), dtype)));
}

/// A float as an integer type holds it: truncated, and saturated at the type's ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "documented")]
fn to_integer(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => value,
        DType::I64 => value as i64 as f64,
        DType::I32 => f64::from(value as i32),
        DType::I16 => f64::from(value as i16),
        DType::I8 => f64::from(value as i8),
        DType::U64 => value as u64 as f64,
        DType::U32 => f64::from(value as u32),
        DType::U16 => f64::from(value as u16),
        DType::U8 => f64::from(value as u8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_around_and_what_is_not_exact_is_refused() {
        let wrap =
            |values: &[f64], dtype| wrapped(Arc::new(values.to_vec().into()), dtype, "y").map(|values| values.to_vec());
        assert_eq!(wrap(&[300.0, -1.0, 255.0], DType::U8).unwrap(), [44.0, 255.0, 255.0]);
        assert_eq!(wrap(&[200.0, -129.0], DType::I8).unwrap(), [-56.0, 127.0]);
        assert_eq!(wrap(&[2_147_483_648.0], DType::I32).unwrap(), [-2_147_483_648.0]);
        assert!(wrap(&[-1.0], DType::U64).is_err());
        assert!(wrap(&[f64::INFINITY], DType::I32).is_err());
        let error = wrapped(Arc::new(vec![16_777_216.0f32].into()), DType::I64, "y").unwrap_err().to_string();
        assert!(error.contains("`y`") && error.contains("precision f64"), "{error}");
        assert!(product(&[3000.0f32], &[-3000.0], 2, DType::I32, "y").is_err());
        assert!(product(&[3000.0f64], &[-3000.0], 2, DType::I32, "y").is_ok());
    }
}
