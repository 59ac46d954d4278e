//! Elementwise functions of one value.

use serde::{Deserialize, Serialize};

use super::description::Real;

/// Elementwise functions of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// `x >= max ? max : x > threshold ? x : slope * (x - threshold)`. Plain ReLU is slope 0, threshold 0, no max;
    /// ReLU6 has max 6; leaky ReLU a slope.
    Relu {
        /// Factor below the threshold.
        #[serde(with = "super::real")]
        negative_slope: f64,
        /// Where the identity starts.
        #[serde(with = "super::real")]
        threshold: f64,
        /// Upper bound, if any.
        #[serde(default, with = "super::real::option")]
        max_value: Option<f64>,
    },
    /// `x > 0 ? x : alpha * (exp(x) - 1)`.
    Elu {
        /// Scale of the negative part.
        #[serde(with = "super::real")]
        alpha: f64,
    },
    /// `max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`.
    Celu {
        /// Where the exponential ends, negated.
        #[serde(with = "super::real")]
        alpha: f64,
    },
    /// `scale * elu(x, alpha)` with the constants of Klambauer et al. 2017 (1.0507…, 1.6732…).
    Selu,
    /// `x * Φ(x)`, or its tanh approximation.
    Gelu {
        /// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` instead of the error function.
        tanh_approximation: bool,
    },
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `clamp(slope * x + offset, 0, 1)`. Keras 2: 0.2 and 0.5; Keras 3 and torch: 1/6 and 0.5.
    HardSigmoid {
        /// Factor.
        #[serde(with = "super::real")]
        slope: f64,
        /// Summand.
        #[serde(with = "super::real")]
        offset: f64,
    },
    /// `x * clamp(x / 6 + 0.5, 0, 1)`, also called hard silu.
    HardSwish,
    /// `clamp(x, min, max)`.
    Clip {
        /// Lower bound, if any.
        #[serde(default, with = "super::real::option")]
        min: Option<f64>,
        /// Upper bound, if any.
        #[serde(default, with = "super::real::option")]
        max: Option<f64>,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `exp(x)`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// Absolute value.
    Abs,
    /// `-x`.
    Neg,
    /// Error function.
    Erf,
    /// `x < -limit ? x + bias : x > limit ? x - bias : 0`, also called soft shrink.
    Shrink {
        /// Half the width of what becomes 0.
        #[serde(with = "super::real")]
        limit: f64,
        /// How far the rest moves towards 0.
        #[serde(with = "super::real")]
        bias: f64,
    },
    /// Largest integer that is not larger.
    Floor,
    /// Smallest integer that is not smaller.
    Ceil,
    /// Nearest integer, the even one of two.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Logical complement of truth values.
    Not,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Inverse of the sine.
    Asin,
    /// Inverse of the cosine.
    Acos,
    /// Inverse of the tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse of the hyperbolic sine.
    Asinh,
    /// Inverse of the hyperbolic cosine.
    Acosh,
    /// Inverse of the hyperbolic tangent.
    Atanh,
}

impl Activation {
    /// Whether it is infinite or NaN for some number, or grows as fast as the exponential.
    #[must_use]
    pub fn has_poles(&self) -> bool {
        match self {
            Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Reciprocal
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Sinh
            | Self::Cosh
            | Self::Acosh
            | Self::Atanh => true,
            Self::Celu { alpha } => *alpha == 0.0,
            Self::Relu { .. }
            | Self::Elu { .. }
            | Self::Selu
            | Self::Gelu { .. }
            | Self::Silu
            | Self::Sigmoid
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Clip { .. }
            | Self::Tanh
            | Self::Softplus
            | Self::Softsign
            | Self::Mish
            | Self::Abs
            | Self::Neg
            | Self::Erf
            | Self::Shrink { .. }
            | Self::Floor
            | Self::Ceil
            | Self::Round
            | Self::Sign
            | Self::Not
            | Self::Sin
            | Self::Cos
            | Self::Atan
            | Self::Asinh => false,
        }
    }

    /// `max(x, 0)`.
    pub const RELU: Self = Self::Relu { negative_slope: 0.0, threshold: 0.0, max_value: None };
    /// `clamp(x, 0, 6)`.
    pub const RELU6: Self = Self::Relu { negative_slope: 0.0, threshold: 0.0, max_value: Some(6.0) };

    /// Leaky ReLU with this slope below 0.
    #[must_use]
    pub fn leaky_relu(negative_slope: f64) -> Self {
        Self::Relu { negative_slope, threshold: 0.0, max_value: None }
    }

    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match *self {
            Activation::Relu { negative_slope, threshold, max_value } => match max_value {
                None if negative_slope == 0.0 && threshold == 0.0 => "Relu",
                Some(6.0) if negative_slope == 0.0 && threshold == 0.0 => "Relu6",
                None if threshold == 0.0 => "LeakyRelu",
                None | Some(_) => "Relu*",
            },
            Activation::Elu { .. } => "Elu",
            Activation::Selu => "Selu",
            Activation::Gelu { .. } => "Gelu",
            Activation::Silu => "Silu",
            Activation::Sigmoid => "Sigmoid",
            Activation::HardSigmoid { .. } => "HardSigmoid",
            Activation::HardSwish => "HardSwish",
            Activation::Clip { .. } => "Clip",
            Activation::Tanh => "Tanh",
            Activation::Softplus => "Softplus",
            Activation::Softsign => "Softsign",
            Activation::Mish => "Mish",
            Activation::Exp => "Exp",
            Activation::Log => "Log",
            Activation::Sqrt => "Sqrt",
            Activation::Reciprocal => "Reciprocal",
            Activation::Abs => "Abs",
            Activation::Neg => "Neg",
            Activation::Erf => "Erf",
            Activation::Celu { .. } => "Celu",
            Activation::Shrink { .. } => "Shrink",
            Activation::Floor => "Floor",
            Activation::Ceil => "Ceil",
            Activation::Round => "Round",
            Activation::Sign => "Sign",
            Activation::Not => "Not",
            Activation::Sin => "Sin",
            Activation::Cos => "Cos",
            Activation::Tan => "Tan",
            Activation::Asin => "Asin",
            Activation::Acos => "Acos",
            Activation::Atan => "Atan",
            Activation::Sinh => "Sinh",
            Activation::Cosh => "Cosh",
            Activation::Asinh => "Asinh",
            Activation::Acosh => "Acosh",
            Activation::Atanh => "Atanh",
        }
    }

    /// Its real numbers, each with what it is in ONNX.
    pub(super) fn reals_mut(&mut self) -> Vec<(Real, &mut f64)> {
        match self {
            Activation::Relu { negative_slope, threshold, max_value } => {
                let bound = max_value.as_mut().map(|max| (Real::Operand, max));
                [negative_slope, threshold].map(|real| (Real::Attribute, real)).into_iter().chain(bound).collect()
            }
            Activation::Elu { alpha } | Activation::Celu { alpha } => vec![(Real::Attribute, alpha)],
            Activation::HardSigmoid { slope: a, offset: b } | Activation::Shrink { limit: a, bias: b } => {
                vec![(Real::Attribute, a), (Real::Attribute, b)]
            }
            Activation::Clip { min, max } => {
                min.iter_mut().chain(max.iter_mut()).map(|bound| (Real::Operand, bound)).collect()
            }
            Activation::Selu
            | Activation::Gelu { .. }
            | Activation::Silu
            | Activation::Sigmoid
            | Activation::HardSwish
            | Activation::Tanh
            | Activation::Softplus
            | Activation::Softsign
            | Activation::Mish
            | Activation::Exp
            | Activation::Log
            | Activation::Sqrt
            | Activation::Reciprocal
            | Activation::Abs
            | Activation::Neg
            | Activation::Erf
            | Activation::Floor
            | Activation::Ceil
            | Activation::Round
            | Activation::Sign
            | Activation::Not
            | Activation::Sin
            | Activation::Cos
            | Activation::Tan
            | Activation::Asin
            | Activation::Acos
            | Activation::Atan
            | Activation::Sinh
            | Activation::Cosh
            | Activation::Asinh
            | Activation::Acosh
            | Activation::Atanh => Vec::new(),
        }
    }
}
