//! The two types that are computed in, and the scalar functions that kernels need of them.
//!
//! Everything above is generic over [`Element`], so that both precisions run the same code.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Rem, Sub};

use pulp::Arch;
use residua_ir::{Tensor, TensorError};

use crate::array::{Array, Data, Elements};
use crate::kernels::micro::{ShapeOf, Strip};
use crate::kernels::tile::Shape;

/// f32 or f64.
pub(crate) trait Element:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + 'static
{
    const ONE: Self;
    const INFINITY: Self;
    /// Whole numbers below this are held exactly.
    const EXACT: f64;
    /// Its name.
    const NAME: &'static str;

    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn from_f32(value: f32) -> Self;
    fn to_f32(self) -> f32;
    fn is_nan(self) -> bool;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    /// `self * factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    fn exp(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn tanh(self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    fn erf(self) -> Self;
    fn erfc(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    /// To the nearest whole number, of two the even one.
    fn round(self) -> Self;

    /// All elements of a tensor.
    fn read(tensor: &Tensor) -> Result<Vec<Self>, TensorError>;
    /// All elements of an array.
    fn of_array(array: &Array) -> Vec<Self>;
    /// Elements of an array to give back.
    fn into_data(values: Vec<Self>) -> Data;
    /// Elements as a watcher sees them.
    fn elements(values: &[Self]) -> Elements<'_>;

    /// How matrix tiles are shaped on this machine.
    fn tile_shape(arch: Arch) -> Shape;
    /// Runs the matrix kernel.
    fn run_strip(arch: Arch, strip: Strip<'_, '_, Self>);
}

macro_rules! element {
    ($ty:ident, $data:ident, $read:ident, $erf:path, $erfc:path) => {
        impl Element for $ty {
            const ONE: Self = 1.0;
            const INFINITY: Self = $ty::INFINITY;
            #[allow(clippy::cast_precision_loss, reason = "a power of two")]
            const EXACT: f64 = (1u64 << $ty::MANTISSA_DIGITS) as f64;
            const NAME: &'static str = stringify!($ty);

            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "rounding to the type computed in is the purpose")]
            fn from_f64(value: f64) -> Self {
                value as $ty
            }
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn from_f32(value: f32) -> Self {
                $ty::from(value)
            }
            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline]
            fn is_nan(self) -> bool {
                $ty::is_nan(self)
            }
            #[inline]
            fn abs(self) -> Self {
                $ty::abs(self)
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                $ty::mul_add(self, factor, summand)
            }
            #[inline]
            fn sqrt(self) -> Self {
                $ty::sqrt(self)
            }
            #[inline]
            fn exp(self) -> Self {
                $ty::exp(self)
            }
            #[inline]
            fn exp_m1(self) -> Self {
                $ty::exp_m1(self)
            }
            #[inline]
            fn ln(self) -> Self {
                $ty::ln(self)
            }
            #[inline]
            fn ln_1p(self) -> Self {
                $ty::ln_1p(self)
            }
            #[inline]
            fn tanh(self) -> Self {
                $ty::tanh(self)
            }
            #[inline]
            fn powf(self, exponent: Self) -> Self {
                $ty::powf(self, exponent)
            }
            #[inline]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline]
            fn erfc(self) -> Self {
                $erfc(self)
            }
            #[inline]
            fn sin(self) -> Self {
                $ty::sin(self)
            }
            #[inline]
            fn cos(self) -> Self {
                $ty::cos(self)
            }
            #[inline]
            fn tan(self) -> Self {
                $ty::tan(self)
            }
            #[inline]
            fn asin(self) -> Self {
                $ty::asin(self)
            }
            #[inline]
            fn acos(self) -> Self {
                $ty::acos(self)
            }
            #[inline]
            fn atan(self) -> Self {
                $ty::atan(self)
            }
            #[inline]
            fn sinh(self) -> Self {
                $ty::sinh(self)
            }
            #[inline]
            fn cosh(self) -> Self {
                $ty::cosh(self)
            }
            #[inline]
            fn asinh(self) -> Self {
                $ty::asinh(self)
            }
            #[inline]
            fn acosh(self) -> Self {
                $ty::acosh(self)
            }
            #[inline]
            fn atanh(self) -> Self {
                $ty::atanh(self)
            }
            #[inline]
            fn floor(self) -> Self {
                $ty::floor(self)
            }
            #[inline]
            fn ceil(self) -> Self {
                $ty::ceil(self)
            }
            #[inline]
            fn round(self) -> Self {
                $ty::round_ties_even(self)
            }

            fn read(tensor: &Tensor) -> Result<Vec<Self>, TensorError> {
                tensor.$read()
            }
            fn of_array(array: &Array) -> Vec<Self> {
                array.$read()
            }
            fn into_data(values: Vec<Self>) -> Data {
                Data::$data(values)
            }
            fn elements(values: &[Self]) -> Elements<'_> {
                Elements::$data(values)
            }

            fn tile_shape(arch: Arch) -> Shape {
                arch.dispatch(ShapeOf::<Self>::default())
            }
            fn run_strip(arch: Arch, strip: Strip<'_, '_, Self>) {
                arch.dispatch(strip);
            }
        }
    };
}

element!(f32, F32, to_f32, libm::erff, libm::erfcf);
element!(f64, F64, to_f64, libm::erf, libm::erfc);
