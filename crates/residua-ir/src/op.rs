//! The operators: an enum with a struct of typed attributes each.
//!
//! Operands are listed in the doc comment of each variant, in order; `[x]` may be absent at the end. Weights are
//! operands like any other value, so they may be shared or computed. Axis order is NCHW for activations and OIHW for
//! convolution kernels. Arithmetic is defined over the reals; how it is rounded is the executor's business.

use serde::{Deserialize, Serialize};

use crate::tensor::DType;

/// What a node computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// 2-D convolution (cross-correlation). `x [N,C,H,W]`, `kernel [O,C/groups,KH,KW]`, `[bias [O]]`. Padded with 0.
    Conv(Conv),
    /// `scale * (x - mean) / sqrt(variance + epsilon) + offset` over axis 1 (the last axis of a rank-2 `x`).
    /// `x`, `scale [C]`, `offset [C]`, `mean [C]`, `variance [C]`.
    BatchNorm(BatchNorm),
    /// Normalises over the channels of a group and all spatial axes, then scales per channel.
    /// `x [N,C,...]`, `scale [C]`, `offset [C]`. Variance is the biased one.
    GroupNorm(GroupNorm),
    /// Normalises over `axes`, then scales. `x`, `scale`, `offset`, both of the shape of `axes` in ascending order.
    LayerNorm(LayerNorm),
    /// Elementwise function of one value. `x`.
    Activation(Activation),
    /// `x >= 0 ? x : slope * x`. `x`, `slope` (broadcast to `x` as numpy does).
    PRelu,
    /// Elementwise function of two or more values with numpy broadcasting, folded from the left. `a`, `b`, `...`.
    Elementwise(Elementwise),
    /// Maximum over a window; padding is −∞. `x [N,C,H,W]`.
    MaxPool(MaxPool),
    /// Mean over a window. `x [N,C,H,W]`.
    AvgPool(AvgPool),
    /// Maximum or mean over H and W. `x [N,C,H,W]`.
    GlobalPool(GlobalPool),
    /// Reduction over axes. `x`.
    Reduce(Reduce),
    /// Pads H and W with a constant. `x [N,C,H,W]`. Negative amounts are not allowed.
    Pad(Pad),
    /// `x · weightᵀ + bias` over the last axis. `x [...,I]`, `weight [O,I]`, `[bias [O]]`.
    Linear,
    /// Matrix product with numpy batch broadcasting. `a`, `b`.
    MatMul,
    /// Joins along an axis. `a`, `b`, `...`.
    Concat {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Merges the axes before and from `axis` into two. `x`.
    Flatten {
        /// First axis of the second group.
        axis: usize,
    },
    /// The same elements in row-major order under another shape. `x`.
    Reshape {
        /// What becomes each axis.
        shape: Vec<ReshapeDim>,
    },
    /// Axis `i` of the result is axis `perm[i]` of `x`. `x`.
    Transpose {
        /// The permutation.
        perm: Vec<usize>,
    },
    /// Removes axes of size 1. `x`.
    Squeeze {
        /// Axes of `x`, ascending.
        axes: Vec<usize>,
    },
    /// Inserts axes of size 1. `x`.
    Unsqueeze {
        /// Axes of the result, ascending.
        axes: Vec<usize>,
    },
    /// Every `step`-th element of a range of one axis. `x`.
    Slice {
        /// Axis, counted from the front.
        axis: usize,
        /// First index.
        start: usize,
        /// One past the last index; `None` is to the end.
        end: Option<usize>,
        /// Step, at least 1.
        step: usize,
    },
    /// `exp(x) / Σ exp(x)` over one axis. `x`.
    Softmax {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Passes `x` on; what a layer does that acts in training only. `x`.
    Identity(IdentityReason),
    /// Converts the element type. `x`. Float to float is rounding in storage only: executors compute in their own type.
    Cast {
        /// Type of the result.
        dtype: DType,
    },
    /// An operator that is not known: inspectable, never runnable. Any operands.
    Opaque(Opaque),
}

/// Amounts added on each side of the spatial axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pads {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

impl Pads {
    /// The same amount on every side.
    #[must_use]
    pub fn all(amount: usize) -> Self {
        Self { top: amount, left: amount, bottom: amount, right: amount }
    }

    /// Whether nothing is added.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Whether both sides of each axis get the same.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.top == self.bottom && self.left == self.right
    }
}

/// Padding of a window operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Known amounts.
    Explicit(Pads),
    /// So much that the output is `ceil(n / stride)`, the odd one after. Only where the amounts depend on a free size;
    /// readers write [`Padding::Explicit`] where they do not.
    SameUpper,
    /// As [`Padding::SameUpper`] with the odd one before.
    SameLower,
}

impl Default for Padding {
    fn default() -> Self {
        Padding::Explicit(Pads::default())
    }
}

/// Attributes of [`Op::Conv`]. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Conv {
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilations: [usize; 2],
    pub groups: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Self { strides: [1, 1], padding: Padding::default(), dilations: [1, 1], groups: 1 }
    }
}

/// Attributes of [`Op::BatchNorm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f64,
}

/// Attributes of [`Op::GroupNorm`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Attributes of [`Op::LayerNorm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Axes that are normalised over, ascending.
    pub axes: Vec<usize>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Elementwise functions of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// `x >= max ? max : x > threshold ? x : slope * (x - threshold)`. Plain ReLU is slope 0, threshold 0, no max;
    /// ReLU6 has max 6; leaky ReLU a slope.
    Relu {
        /// Factor below the threshold.
        negative_slope: f64,
        /// Where the identity starts.
        threshold: f64,
        /// Upper bound, if any.
        max_value: Option<f64>,
    },
    /// `x > 0 ? x : alpha * (exp(x) - 1)`.
    Elu {
        /// Scale of the negative part.
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
        slope: f64,
        /// Summand.
        offset: f64,
    },
    /// `x * clamp(x / 6 + 0.5, 0, 1)`, also called hard silu.
    HardSwish,
    /// `clamp(x, min, max)`.
    Clip {
        /// Lower bound, if any.
        min: Option<f64>,
        /// Upper bound, if any.
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
}

impl Activation {
    /// `max(x, 0)`.
    pub const RELU: Self = Self::Relu { negative_slope: 0.0, threshold: 0.0, max_value: None };
    /// `clamp(x, 0, 6)`.
    pub const RELU6: Self = Self::Relu { negative_slope: 0.0, threshold: 0.0, max_value: Some(6.0) };

    /// Leaky ReLU with this slope below 0.
    #[must_use]
    pub fn leaky_relu(negative_slope: f64) -> Self {
        Self::Relu { negative_slope, threshold: 0.0, max_value: None }
    }
}

/// Elementwise functions of two or more values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Elementwise {
    Add,
    /// Two operands only.
    Sub,
    Mul,
    /// Two operands only.
    Div,
    Max,
    Min,
    Mean,
    /// Two operands only.
    Pow,
}

/// Attributes of [`Op::MaxPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct MaxPool {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    pub dilations: [usize; 2],
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
}

/// Attributes of [`Op::AvgPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AvgPool {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub padding: Padding,
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
    /// Divide by the whole window instead of the part of it that lies on `x`.
    pub count_include_pad: bool,
}

/// What a pooling or reduction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PoolKind {
    Max,
    Mean,
    Sum,
    Min,
}

/// Attributes of [`Op::GlobalPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalPool {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// `[N,C,1,1]` instead of `[N,C]`.
    pub keep_dims: bool,
}

/// Attributes of [`Op::Reduce`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// What is computed.
    pub kind: PoolKind,
    /// Axes, ascending.
    pub axes: Vec<usize>,
    /// Leave reduced axes in place with size 1.
    pub keep_dims: bool,
}

/// Attributes of [`Op::Pad`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Amounts on each side of H and W.
    pub pads: Pads,
    /// Amounts before and after the channels, for zero-padding shortcuts.
    pub channels: [usize; 2],
    /// What the padding holds.
    pub value: f64,
}

/// What becomes one axis of a reshaped tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReshapeDim {
    /// As large as this axis of the operand.
    Copy(usize),
    /// This size.
    Fixed(usize),
    /// What remains; at most one.
    Infer,
}

/// Why a layer does nothing when run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityReason {
    /// Dropout of any kind.
    Dropout,
    /// Noise that is added in training.
    Noise,
    /// Augmentation of training pictures.
    Augmentation,
    /// A linear activation, a graph's `Identity`.
    Linear,
}

/// An operator that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opaque {
    /// Where the operator comes from: `keras`, an ONNX domain.
    pub domain: String,
    /// Its name there: `Lambda`, `NonMaxSuppression`.
    pub op_type: String,
    /// Why it is not known, in the user's terms.
    pub reason: String,
}

impl Op {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Op::Conv(_) => "Conv",
            Op::BatchNorm(_) => "BatchNorm",
            Op::GroupNorm(_) => "GroupNorm",
            Op::LayerNorm(_) => "LayerNorm",
            Op::Activation(activation) => activation.name(),
            Op::PRelu => "PRelu",
            Op::Elementwise(op) => op.name(),
            Op::MaxPool(_) => "MaxPool",
            Op::AvgPool(_) => "AvgPool",
            Op::GlobalPool(GlobalPool { kind, .. }) => match kind {
                PoolKind::Max => "GlobalMaxPool",
                PoolKind::Mean => "GlobalAvgPool",
                PoolKind::Sum => "GlobalSumPool",
                PoolKind::Min => "GlobalMinPool",
            },
            Op::Reduce(Reduce { kind, .. }) => match kind {
                PoolKind::Max => "ReduceMax",
                PoolKind::Mean => "ReduceMean",
                PoolKind::Sum => "ReduceSum",
                PoolKind::Min => "ReduceMin",
            },
            Op::Pad(_) => "Pad",
            Op::Linear => "Linear",
            Op::MatMul => "MatMul",
            Op::Concat { .. } => "Concat",
            Op::Flatten { .. } => "Flatten",
            Op::Reshape { .. } => "Reshape",
            Op::Transpose { .. } => "Transpose",
            Op::Squeeze { .. } => "Squeeze",
            Op::Unsqueeze { .. } => "Unsqueeze",
            Op::Slice { .. } => "Slice",
            Op::Softmax { .. } => "Softmax",
            Op::Identity(_) => "Identity",
            Op::Cast { .. } => "Cast",
            Op::Opaque(opaque) => &opaque.op_type,
        }
    }
}

impl Activation {
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
        }
    }
}

impl Elementwise {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Elementwise::Add => "Add",
            Elementwise::Sub => "Sub",
            Elementwise::Mul => "Mul",
            Elementwise::Div => "Div",
            Elementwise::Max => "Max",
            Elementwise::Min => "Min",
            Elementwise::Mean => "Mean",
            Elementwise::Pow => "Pow",
        }
    }
}
