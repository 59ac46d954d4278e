//! How far apart two runs of the same function may be.
//!
//! The yardstick is the model itself: the largest |f32 run − f64 run| of an output is what rounding to f32 does to this
//! network for this input. Weights that were rounded anew (a folded batch norm) disturb the output by a few times as
//! much at most, since they are rounded as often as everything else; a wrong stride, epsilon, padding or layer is
//! orders of magnitude above it.

use crate::error::Result;
use residua_exec::Array;
use residua_exec::compare::{Difference, max_abs};
use residua_ir::DType;

/// How many times the noise two models may differ by, which compute the same in other orders.
const FACTOR: f64 = 8.0;

/// The same for what rounds to a narrow type after each operation: the run that it is measured by does so at the same places.
const NARROW_FACTOR: f64 = 4.0;

/// The most that a bound may be, relative to the largest element. Noise beyond that says that something is wrong with
/// the model or with the f32 engine, and must not become permission to differ.
const MOST: f64 = 1e-3;

/// What a type that is computed in comes to.
struct Rounding {
    /// The distance from 1 to the next number.
    epsilon: f64,
    /// How many times the noise a bound is.
    factor: f64,
    /// The most that a bound may be, relative to the largest element.
    most: f64,
    /// The same in words.
    most_from: &'static str,
}

impl Rounding {
    /// Narrow types are noisier, and a network of them is good for less.
    fn of(dtype: DType) -> Self {
        match dtype {
            DType::BF16 => Self {
                epsilon: 1.0 / 128.0,
                factor: NARROW_FACTOR,
                most: 0.25,
                most_from: "a quarter of the largest value",
            },
            DType::F16 => Self {
                epsilon: 1.0 / 1024.0,
                factor: NARROW_FACTOR,
                most: 0.0625,
                most_from: "a sixteenth of the largest value",
            },
            DType::F64
            | DType::F32
            | DType::I64
            | DType::I32
            | DType::I16
            | DType::I8
            | DType::U64
            | DType::U32
            | DType::U16
            | DType::U8
            | DType::Bool => Self {
                epsilon: f64::from(f32::EPSILON),
                factor: FACTOR,
                most: MOST,
                most_from: "a thousandth of the largest value",
            },
        }
    }
}

/// How far apart two values may be, and why so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) from: String,
}

impl Bound {
    /// Not at all.
    pub(super) fn exact() -> Self {
        Self { value: 0.0, from: "the same operations on the same numbers: every bit".to_owned() }
    }

    /// Not at all, since nothing is rounded.
    pub(super) fn whole() -> Self {
        Self { value: 0.0, from: "whole numbers and truth values: each the same".to_owned() }
    }

    /// What the user allows.
    pub(super) fn tolerance(value: f64) -> Self {
        Self { value, from: "the tolerance that was given".to_owned() }
    }

    /// The wider one.
    pub(super) fn or(self, other: Self) -> Self {
        if other.value > self.value { other } else { self }
    }

    /// How far a value may be from the exact one, from an f32 run of `model`; at least half a unit in the last place of the
    /// largest element, what a single rounding does.
    pub(super) fn noise(exact: &Array, rounded: &Array, model: &str) -> Result<Self> {
        Self::noise_in(DType::F32, exact, rounded, model)
    }

    /// The same for a source that computes in this type, from a run that rounds to it after each operation.
    pub(super) fn noise_in(dtype: DType, exact: &Array, rounded: &Array, model: &str) -> Result<Self> {
        Ok(Self::of(dtype, max_abs(exact, rounded)?, largest(exact), model))
    }

    /// The same where the noise and the largest element are known.
    pub(super) fn of(dtype: DType, found: f64, largest: f64, model: &str) -> Self {
        let rounding = Rounding::of(dtype);
        let least = largest * rounding.epsilon / 2.0;
        let noise = found.max(least);
        let (value, most) = (rounding.factor * noise, rounding.most * largest);
        let factor = rounding.factor;
        let from = if value > most {
            rounding.most_from.to_owned()
        } else if found < least {
            format!("{factor} times half a unit in the last place of the largest value")
        } else {
            format!("{factor} times what rounding to {dtype} does to {model}")
        };
        Self { value: value.min(most), from }
    }
}

/// The largest magnitude of all numbers.
pub(super) fn largest(array: &Array) -> f64 {
    array.wide().iter().filter(|value| value.is_finite()).fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Whether a difference is within a bound. Values that are infinite or NaN are where both have the same, which says nothing
/// of the others; whether it is enough is judged apart.
pub(super) fn within(difference: &Difference, bound: f64) -> bool {
    difference.non_finite.of_other_kind == 0 && difference.max_abs <= bound
}
