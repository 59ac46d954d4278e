//! The operators: an enum with a struct of typed attributes each.
//!
//! Operands are listed in the doc comment of each variant, in order; `[x]` may be absent at the end. Weights are
//! operands like any other value, so they may be shared or computed. Axis order is NCHW for activations and OIHW for
//! convolution kernels. Arithmetic is defined over the reals; how it is rounded is the executor's business.

mod activation;
mod axes;
pub mod description;
mod elementwise;
pub mod extent;
mod norm;
mod quantised;
mod real;
mod reduce;
pub mod resize;
mod terms;
mod window;

use serde::{Deserialize, Serialize};

use crate::opaque::Opaque;
use crate::tensor::DType;
pub use activation::Activation;
pub use axes::{Border, Pad, PadAxes, ReshapeDim, Trilu};
pub use description::Description;
pub use elementwise::{Comparison, Elementwise, Property};
pub use extent::{Arithmetic, Extent};
pub use norm::{BatchNorm, GroupNorm, LayerNorm, Lrn};
pub use quantised::{DynamicRange, Granularity, Quantize};
pub use reduce::{ArgExtremum, CumSum, Extremum, GlobalPool, PoolKind, Reduce, TopK};
pub use resize::Resize;
pub use window::{AvgPool, Conv, ConvTranspose, LpPool, MaxPool, Padding, Pads};

/// What a node computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// 2-D convolution (cross-correlation). `x [N,C,H,W]`, `kernel [O,C/groups,KH,KW]`, `[bias [O]]`. Padded with 0.
    Conv(Conv),
    /// The transpose of a 2-D convolution. `x [N,C,H,W]`, `kernel [C,O/groups,KH,KW]`, `[bias [O]]`.
    ConvTranspose(ConvTranspose),
    /// `scale * (x - mean) / sqrt(variance + epsilon) + offset` over axis 1 (the last axis of a rank-2 `x`).
    /// `x`, `scale [C]`, `offset [C]`, `mean [C]`, `variance [C]`.
    BatchNorm(BatchNorm),
    /// Normalises over the channels of a group and all spatial axes, then scales per channel.
    /// `x [N,C,...]`, `scale [C]`, `offset [C]`. Variance is the biased one.
    GroupNorm(GroupNorm),
    /// Normalises over `axes`, then scales. `x`, `scale`, `offset`, both of the shape of `axes` in ascending order.
    LayerNorm(LayerNorm),
    /// `x / (bias + alpha / size * Σ x²)^beta`, the sum over neighbouring channels. `x [N,C,...]`.
    Lrn(Lrn),
    /// Elementwise function of one value. `x`.
    Activation(Activation),
    /// `x >= 0 ? x : slope * x`. `x`, `slope` (broadcast to `x` as numpy does).
    PRelu,
    /// Elementwise function of two or more values with numpy broadcasting, folded from the left. `a`, `b`, `...`.
    Elementwise(Elementwise),
    /// Truth values of a comparison, with numpy broadcasting. `a`, `b`.
    Compare(Comparison),
    /// Truth values: which elements have a property. `x`.
    Is(Property),
    /// `condition ? a : b`, with numpy broadcasting. `condition` (truth values), `a`, `b`.
    Where,
    /// Maximum over a window; padding is −∞. `x [N,C,H,W]`.
    MaxPool(MaxPool),
    /// Mean over a window. `x [N,C,H,W]`.
    AvgPool(AvgPool),
    /// `(Σ |x|ᵖ)^(1/p)` over a window. `x [N,C,H,W]`.
    LpPool(LpPool),
    /// Reduction over H and W. `x [N,C,H,W]`.
    GlobalPool(GlobalPool),
    /// Reduction over axes. `x`.
    Reduce(Reduce),
    /// Position of the largest or smallest element along an axis, as i64. `x`.
    ArgExtremum(ArgExtremum),
    /// The largest or smallest elements along an axis in order, or their positions as i64; of equal ones the first comes
    /// first. `x`.
    TopK(TopK),
    /// Pads H, W and channels with a constant. `x [N,C,H,W]`.
    Pad(Pad),
    /// Pads any axes by any rule. `x`. What [`Op::Pad`] can say is said with that.
    PadAxes(PadAxes),
    /// Resamples along some axes. `x`, and operands of which only sizes are read.
    Resize(Resize),
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
    /// The same elements in row-major order under another shape. `x`, and operands of which only sizes are read.
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
    /// Every `step`-th element of a range of one axis, as Python's slices: a bound below 0 counts from the end, one beyond
    /// an end is the end. `x`, and operands of which only sizes are read.
    Slice {
        /// Axis, counted from the front.
        axis: usize,
        /// First index.
        start: Extent,
        /// One past the last index; `None` is to the end, or to the front where the step is negative.
        end: Option<Extent>,
        /// Step, not 0.
        step: i64,
    },
    /// Picks slices along an axis: of `x [A..,I,B..]` and `indices [J..]`, a result of `[A..,J..,B..]`. An index below 0
    /// counts from the end. `x`, `indices` (integers).
    Gather {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Picks elements along an axis, each at the place of its index. `x`, `indices` (integers, as many axes as `x`).
    GatherElements {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Picks by tuples of indices, which are the last axis of `indices`. `x`, `indices` (integers).
    GatherNd {
        /// First axes that both operands have in common.
        batch_dims: usize,
    },
    /// Puts slices in the place of others: `x` but for those that tuples of indices say, which are the last axis of
    /// `indices`; of a place that is named twice the last one counts. `x`, `indices` (integers), and the slices, whose
    /// shape is what [`Op::GatherNd`] gives of `x`.
    ScatterNd,
    /// Broadcasts to a shape as numpy does, in both directions. `x`, and operands of which only sizes are read.
    Expand {
        /// The shape.
        shape: Vec<Extent>,
    },
    /// Repeats along each axis. `x`, and operands of which only sizes are read.
    Tile {
        /// How often, for each axis.
        repeats: Vec<Extent>,
    },
    /// Numbers that follow from the sizes of operands, as i64. Any operands, of which only sizes are read.
    Sizes {
        /// The numbers.
        sizes: Vec<Extent>,
        /// One number without an axis instead of a list.
        scalar: bool,
    },
    /// `exp(x) / Σ exp(x)` over one axis. `x`.
    Softmax {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// The logarithm of that. `x`.
    LogSoftmax {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// 1 where the first largest element along an axis is, 0 elsewhere. `x`.
    Hardmax {
        /// Axis, counted from the front.
        axis: usize,
    },
    /// Sums of the elements so far along an axis. `x`.
    CumSum(CumSum),
    /// One triangle of the matrices along the last two axes, 0 elsewhere. `x`.
    Trilu(Trilu),
    /// Passes `x` on; what a layer does that acts in training only. `x`.
    Identity(IdentityReason),
    /// Converts the element type. `x`. Float to float is rounding in storage only: executors compute in their own type.
    Cast {
        /// Type of the result.
        dtype: DType,
    },
    /// `saturate(round(x / scale) + zero_point)` as an integer, ties to even. `x`, `scale`, `[zero_point]`: [`Quantize`].
    Quantize(Quantize),
    /// `(x - zero_point) * scale`, of the scale's type. `x`, `scale`, `[zero_point]`, as for [`Op::Quantize`].
    Dequantize(Granularity),
    /// How the range of `x`, widened to hold 0, is spread over the 256 steps of [`DType::U8`]; a scalar. `x`.
    DynamicRange(DynamicRange),
    /// An operator that is not known: inspectable, never runnable. Any operands.
    Opaque(Opaque),
}

/// Why a layer does nothing when run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityReason {
    /// Dropout of any kind.
    Dropout,
    /// Noise that is added in training.
    Noise,
    /// Augmentation of training images.
    Augmentation,
    /// A linear activation, a graph's `Identity`.
    Linear,
}

impl Op {
    /// A slice of known bounds, counted from the front.
    #[must_use]
    pub fn slice(axis: usize, start: usize, end: Option<usize>, step: usize) -> Self {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Op::Slice { axis, start: Extent::from(start), end: end.map(Extent::from), step }
    }
}
