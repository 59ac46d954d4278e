//! Elementwise functions of one value.

use residua_ir::Activation;

use crate::element::Element;

/// Constants of Klambauer et al. 2017, "Self-Normalizing Neural Networks", appendix.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// Replaces each element by the function of it. NaN stays NaN.
#[inline(always)]
pub(crate) fn apply<T: Element>(activation: Activation, values: &mut [T]) {
    let c = T::from_f64;
    match activation {
        Activation::Relu { negative_slope, threshold, max_value } => {
            relu(values, c(negative_slope), c(threshold), max_value.map(c));
        }
        Activation::Elu { alpha } => each(values, |x| elu(x, c(alpha))),
        Activation::Selu => each(values, |x| c(SELU_SCALE) * elu(x, c(SELU_ALPHA))),
        Activation::Gelu { tanh_approximation: false } => each(values, |x| {
            // x Φ(x) by the complementary error function, which does not cancel for negative x.
            c(0.5) * x * (-x * c(std::f64::consts::FRAC_1_SQRT_2)).erfc()
        }),
        Activation::Gelu { tanh_approximation: true } => each(values, |x| {
            let inner = c((2.0 / std::f64::consts::PI).sqrt()) * (x + c(0.044_715) * x * x * x);
            c(0.5) * x * (T::ONE + inner.tanh())
        }),
        Activation::Silu => each(values, |x| {
            // x / (1 + e^-x) is -∞ / ∞ at -∞.
            if x == -T::INFINITY { -T::default() } else { x * sigmoid(x) }
        }),
        Activation::Sigmoid => each(values, sigmoid),
        Activation::HardSigmoid { slope, offset } => {
            each(values, |x| clamp(c(slope) * x + c(offset), T::default(), T::ONE));
        }
        Activation::HardSwish => each(values, |x| x * clamp(x / c(6.0) + c(0.5), T::default(), T::ONE)),
        Activation::Clip { min, max } => {
            let (min, max) = (min.map_or(-T::INFINITY, c), max.map_or(T::INFINITY, c));
            each(values, |x| clamp(x, min, max));
        }
        Activation::Tanh => each(values, T::tanh),
        Activation::Softplus => each(values, softplus),
        Activation::Softsign => each(values, |x| x / (T::ONE + x.abs())),
        Activation::Mish => each(values, |x| x * softplus(x).tanh()),
        Activation::Exp => each(values, T::exp),
        Activation::Log => each(values, T::ln),
        Activation::Sqrt => each(values, T::sqrt),
        Activation::Reciprocal => each(values, |x| T::ONE / x),
        Activation::Abs => each(values, T::abs),
        Activation::Neg => each(values, |x| -x),
        Activation::Erf => each(values, T::erf),
        Activation::Celu { alpha } => each(values, |x| celu(x, c(alpha))),
        Activation::Shrink { limit, bias } => each(values, |x| shrink(x, c(limit), c(bias))),
        Activation::Floor => each(values, T::floor),
        Activation::Ceil => each(values, T::ceil),
        Activation::Round => each(values, T::round),
        Activation::Sign => each(values, sign),
        Activation::Not => each(values, |x| if x == T::default() { T::ONE } else { T::default() }),
        Activation::Sin => each(values, T::sin),
        Activation::Cos => each(values, T::cos),
        Activation::Tan => each(values, T::tan),
        Activation::Asin => each(values, T::asin),
        Activation::Acos => each(values, T::acos),
        Activation::Atan => each(values, T::atan),
        Activation::Sinh => each(values, T::sinh),
        Activation::Cosh => each(values, T::cosh),
        Activation::Asinh => each(values, T::asinh),
        Activation::Acosh => each(values, T::acosh),
        Activation::Atanh => each(values, T::atanh),
    }
}

#[inline(always)]
fn each<T: Element>(values: &mut [T], f: impl Fn(T) -> T) {
    values.iter_mut().for_each(|value| *value = f(*value));
}

#[inline(always)]
fn relu<T: Element>(values: &mut [T], slope: T, threshold: T, max: Option<T>) {
    let zero = T::default();
    match max {
        // Without a slope, 0 · (−∞) must not become NaN.
        None if slope == zero && threshold == zero => each(values, |x| if x < zero { zero } else { x }),
        None if slope == zero => each(values, |x| if x <= threshold { zero } else { x }),
        None => each(values, |x| if x <= threshold { slope * (x - threshold) } else { x }),
        Some(max) => each(values, |x| {
            if x >= max {
                max
            } else if x <= threshold {
                if slope == zero { zero } else { slope * (x - threshold) }
            } else {
                x
            }
        }),
    }
}

#[inline(always)]
fn elu<T: Element>(x: T, alpha: T) -> T {
    if x > T::default() { x } else { alpha * x.exp_m1() }
}

#[inline(always)]
fn celu<T: Element>(x: T, alpha: T) -> T {
    let zero = T::default();
    let below = alpha * (x / alpha).exp_m1();
    (if x < zero { zero } else { x }) + (if below > zero { zero } else { below })
}

#[inline(always)]
fn shrink<T: Element>(x: T, limit: T, bias: T) -> T {
    if x < -limit {
        x + bias
    } else if x > limit {
        x - bias
    } else {
        T::default() * x
    }
}

#[inline(always)]
fn sign<T: Element>(x: T) -> T {
    let zero = T::default();
    if x > zero {
        T::ONE
    } else if x < zero {
        -T::ONE
    } else {
        x
    }
}

#[inline(always)]
fn sigmoid<T: Element>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// `log(1 + e^x)` without overflow.
#[inline(always)]
fn softplus<T: Element>(x: T) -> T {
    let positive = if x < T::default() { T::default() } else { x };
    positive + (-x.abs()).exp().ln_1p()
}

#[inline(always)]
fn clamp<T: Element>(x: T, min: T, max: T) -> T {
    if x < min {
        min
    } else if x > max {
        max
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values computed to 30 digits with mpmath, rounded.
    #[test]
    fn functions_have_their_known_values() {
        let known = [
            (Activation::RELU, -2.0, 0.0),
            (Activation::RELU6, 7.5, 6.0),
            (Activation::leaky_relu(0.25), -2.0, -0.5),
            (Activation::Relu { negative_slope: 0.5, threshold: 1.0, max_value: Some(3.0) }, 0.0, -0.5),
            (Activation::Relu { negative_slope: 0.5, threshold: 1.0, max_value: Some(3.0) }, 9.0, 3.0),
            (Activation::Relu { negative_slope: 0.0, threshold: 1.0, max_value: None }, 1.0, 0.0),
            (Activation::Elu { alpha: 2.0 }, -1.0, -1.264_241_117_657_115_4),
            (Activation::Selu, -1.0, -1.111_330_737_812_562_8),
            (Activation::Gelu { tanh_approximation: false }, 1.0, 0.841_344_746_068_542_9),
            (Activation::Gelu { tanh_approximation: false }, -5.0, -1.433_257_859_395_969_6e-6),
            (Activation::Gelu { tanh_approximation: true }, 1.0, 0.841_191_990_608_276_2),
            (Activation::Silu, 1.0, 0.731_058_578_630_004_9),
            (Activation::Sigmoid, -2.0, 0.119_202_922_022_117_56),
            (Activation::HardSigmoid { slope: 0.2, offset: 0.5 }, 1.0, 0.7),
            (Activation::HardSwish, 1.0, 2.0 / 3.0),
            (Activation::Clip { min: Some(-1.0), max: None }, -2.0, -1.0),
            (Activation::Tanh, 0.5, 0.462_117_157_260_009_76),
            (Activation::Softplus, 1.0, 1.313_261_687_518_222_8),
            (Activation::Softplus, 800.0, 800.0),
            (Activation::Softsign, -3.0, -0.75),
            (Activation::Mish, 1.0, 0.865_098_388_267_310_3),
            (Activation::Erf, 0.5, 0.520_499_877_813_046_5),
            (Activation::Reciprocal, 4.0, 0.25),
            (Activation::Celu { alpha: 2.0 }, -1.0, -0.786_938_680_574_733_2),
            (Activation::Celu { alpha: 2.0 }, 900.0, 900.0),
            (Activation::Shrink { limit: 0.5, bias: 0.25 }, -1.0, -0.75),
            (Activation::Shrink { limit: 0.5, bias: 0.25 }, 0.5, 0.0),
            (Activation::Floor, -0.5, -1.0),
            (Activation::Ceil, 0.5, 1.0),
            (Activation::Round, 2.5, 2.0),
            (Activation::Sign, -3.0, -1.0),
            (Activation::Not, 0.0, 1.0),
            (Activation::Sin, 1.0, 0.841_470_984_807_896_5),
            (Activation::Cos, 1.0, 0.540_302_305_868_139_7),
            (Activation::Tan, 1.0, 1.557_407_724_654_902_2),
            (Activation::Asin, 0.5, std::f64::consts::FRAC_PI_6),
            (Activation::Acos, 0.5, std::f64::consts::FRAC_PI_3),
            (Activation::Atan, 1.0, std::f64::consts::FRAC_PI_4),
            (Activation::Sinh, 1.0, 1.175_201_193_643_801_4),
            (Activation::Cosh, 1.0, 1.543_080_634_815_243_8),
            (Activation::Asinh, 1.0, 0.881_373_587_019_543),
            (Activation::Acosh, 2.0, 1.316_957_896_924_816_7),
            (Activation::Atanh, 0.5, 0.549_306_144_334_054_8),
        ];
        for (activation, x, expected) in known {
            let mut wide = [x];
            apply(activation, &mut wide);
            assert!(
                (wide[0] - expected).abs() <= 1e-13 * f64::abs(expected).max(1e-3),
                "{activation:?}({x}) = {}",
                wide[0]
            );
            let mut narrow = [x as f32];
            apply(activation, &mut narrow);
            assert!(
                (f64::from(narrow[0]) - expected).abs() <= 4e-7 * f64::abs(expected),
                "{activation:?}({x}) = {}",
                narrow[0]
            );
        }
    }

    #[test]
    fn nan_stays_and_infinities_have_limits() {
        let functions =
            [Activation::RELU, Activation::RELU6, Activation::Silu, Activation::Clip { min: None, max: Some(1.0) }];
        for activation in functions {
            let mut values = [f32::NAN, f32::NEG_INFINITY];
            apply(activation, &mut values);
            assert!(values[0].is_nan(), "{activation:?}");
            assert!(!values[1].is_nan(), "{activation:?}");
        }
        let mut values = [f32::NEG_INFINITY];
        apply(Activation::RELU, &mut values);
        assert_eq!(values, [0.0]);
    }
}
