//! What an operator is, said once: its class, its operands, how data flows through it, what it costs, where it can be compared.
//!
//! Whoever asks one of these questions of any node (costs, names of tensors, data flow, landmarks, estimates, receptive
//! fields) matches on the parts of a [`Description`], not on [`Op`], so that a new operator is described here and nowhere
//! else. Shape inference, kernels and emission know each operator by name.
//!
//! Invariant: every match over [`Op`] in this file is exhaustive; what is asked of descriptions is asked of all operators.

use std::borrow::Cow;

use super::resize::{Coordinates, Interpolation, ResizeTarget};
use super::{Border, Conv, DynamicRange, Elementwise, Extent, Extremum, Op, Pad, PadAxes, PoolKind, ReshapeDim};

/// What there is to know of an operator without knowing which one it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Description<'a> {
    /// Short name, as printed in tables.
    pub name: &'a str,
    /// What kind of operator it is.
    pub class: Class,
    /// What its operands are.
    pub operands: Operands,
    /// Which elements of the operands an element of the result is computed from.
    pub flow: Flow<'a>,
    /// Its multiplications that count as multiply-adds.
    pub products: Products,
    /// Where results of two models can be held against each other.
    pub landmark: Landmark,
    /// What a normalisation adds to the variance.
    pub epsilon: Option<f64>,
    /// Whether it gives numbers where it is given numbers.
    pub finite: Finite,
}

/// Whether an operator gives numbers where it is given numbers that are not too large, neither infinite nor NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finite {
    /// Always.
    Always,
    /// Where no element of an operand is 0 once this much was added to it, since it divides by that.
    Divides {
        /// The operand.
        by: usize,
        /// What is added.
        plus: f64,
        /// Whether the sum must not be below 0 either.
        positive: bool,
    },
    /// Not everywhere: why, in words.
    Lost(&'static str),
}

/// Why most operators may lose numbers.
const DIVIDES: &str = "may divide by 0";

impl Finite {
    fn of(class: Class) -> Self {
        match class {
            Class::Norm(Statistics::Stored | Statistics::Own | Statistics::Neighbours(_)) | Class::DynamicRange => {
                Finite::Lost(DIVIDES)
            }
            Class::Arithmetic(function) => match function {
                Elementwise::Div | Elementwise::Mod | Elementwise::Rem => {
                    Finite::Divides { by: 1, plus: 0.0, positive: false }
                }
                Elementwise::Pow => Finite::Lost("takes powers"),
                Elementwise::Add
                | Elementwise::Sub
                | Elementwise::Mul
                | Elementwise::Max
                | Elementwise::Min
                | Elementwise::Mean
                | Elementwise::And
                | Elementwise::Or
                | Elementwise::Xor => Finite::Always,
            },
            Class::GlobalPool(kind) | Class::Reduction(kind) => match kind {
                PoolKind::LogSum | PoolKind::LogSumExp => Finite::Lost("takes logarithms"),
                PoolKind::Max
                | PoolKind::Mean
                | PoolKind::Sum
                | PoolKind::Min
                | PoolKind::Product
                | PoolKind::L1
                | PoolKind::L2
                | PoolKind::SumSquare => Finite::Always,
            },
            Class::Quantisation => Finite::Divides { by: 1, plus: 0.0, positive: false },
            Class::Unknown => Finite::Lost("is not known"),
            Class::Convolution { .. }
            | Class::TransposedConvolution { .. }
            | Class::Dense
            | Class::MatrixProduct
            | Class::Activation
            | Class::Logic
            | Class::Pool
            | Class::Ranking
            | Class::Scan
            | Class::Padding
            | Class::Resampling
            | Class::Concatenation
            | Class::Reshape
            | Class::Slice
            | Class::Gather
            | Class::Repetition
            | Class::Sizes
            | Class::Softmax
            | Class::Identity
            | Class::Cast
            | Class::Dequantisation => Finite::Always,
        }
    }

    /// Always, where this is so.
    fn unless(holds: bool, why: &'static str) -> Self {
        if holds { Finite::Always } else { Finite::Lost(why) }
    }
}

/// Kinds of operators, as far as anything depends on the kind alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A convolution of so many groups.
    Convolution {
        /// Groups of channels.
        groups: usize,
    },
    /// The transpose of one.
    TransposedConvolution {
        /// Groups of channels.
        groups: usize,
    },
    /// A fully connected layer.
    Dense,
    /// A product of two matrices, either of which may be computed.
    MatrixProduct,
    /// A normalisation.
    Norm(Statistics),
    /// A function of one value that is called an activation.
    Activation,
    /// Arithmetic on values that are broadcast against each other.
    Arithmetic(Elementwise),
    /// Comparisons, questions about values, and choices by them or by place.
    Logic,
    /// A pool with a window.
    Pool,
    /// A pool over all pixels.
    GlobalPool(PoolKind),
    /// A reduction over any axes.
    Reduction(PoolKind),
    /// What looks for an extremum, or for the order of elements.
    Ranking,
    /// Sums or the like so far.
    Scan,
    /// Padding.
    Padding,
    /// Resampling to another size.
    Resampling,
    /// Values joined along an axis.
    Concatenation,
    /// The same elements under other axes.
    Reshape,
    /// A range of a value.
    Slice,
    /// Elements taken by indices.
    Gather,
    /// The same elements several times.
    Repetition,
    /// Numbers that follow from sizes.
    Sizes,
    /// Softmax or its logarithm.
    Softmax,
    /// Nothing when run.
    Identity,
    /// Another element type.
    Cast,
    /// Reals to integers with a scale.
    Quantisation,
    /// The way back.
    Dequantisation,
    /// A scale that is found when it is run.
    DynamicRange,
    /// Anything: an operator that is not known.
    Unknown,
}

impl Class {
    /// Groups of channels, of a convolution or the transpose of one.
    #[must_use]
    pub fn groups(self) -> Option<usize> {
        if let Class::Convolution { groups } | Class::TransposedConvolution { groups } = self {
            Some(groups)
        } else {
            None
        }
    }

    /// Whether it normalises with a mean and a variance.
    #[must_use]
    pub fn is_norm(self) -> bool {
        matches!(self, Class::Norm(Statistics::Stored | Statistics::Own))
    }
}

/// Where the statistics of a normalisation come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// They are operands.
    Stored,
    /// They are computed from the value itself.
    Own,
    /// They are sums over so many neighbouring channels.
    Neighbours(usize),
}

/// What an operand is to its operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// What is computed on.
    Data,
    /// The kernel of a convolution, the matrix of a layer.
    Weight,
    /// What is added for each channel or feature.
    Bias,
    /// The factor of a normalisation.
    Scale,
    /// The summand of a normalisation.
    Offset,
    /// The mean that a normalisation takes off.
    Mean,
    /// The variance that it divides by.
    Variance,
    /// The factor below zero of an activation.
    Slope,
    /// Truth values that choose.
    Condition,
    /// Positions of what is taken.
    Indices,
    /// How far the steps of a quantised value lie apart.
    Step,
    /// Which step is zero.
    ZeroPoint,
    /// Anything whose size alone is read.
    Size,
}

/// What the operands of an operator are, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operands {
    /// The first ones; those at the end may be absent.
    pub first: &'static [Operand],
    /// All that follow.
    pub rest: Operand,
}

impl Operands {
    /// What the operand in this position is.
    #[must_use]
    pub fn role(&self, position: usize) -> Operand {
        self.first.get(position).copied().unwrap_or(self.rest)
    }

    /// How many operands, from the first on, have elements that are read; of the others sizes alone are.
    #[must_use]
    pub fn read(&self) -> usize {
        if self.rest == Operand::Size { self.first.len() } else { usize::MAX }
    }
}

/// Which elements of its operands an element of a result is computed from.
#[derive(Debug, Clone, PartialEq)]
pub enum Flow<'a> {
    /// Those at its place in each operand; operands are broadcast against each other as numpy does.
    SamePlace,
    /// That at its place in `x`; how it is computed may differ from place to place along these axes, or depend on others
    /// there, as the statistics of a norm do.
    Scaled(Axes<'a>),
    /// That at its place in `x`, which is made larger along these axes.
    Padded(Axes<'a>),
    /// Those in a window of rows and columns of `x [N,C,H,W]`.
    Window(Windows),
    /// As a transposed convolution spreads `x [N,C,H,W]` over windows of the result.
    Spread(Windows),
    /// All rows and columns of `x [N,C,H,W]`.
    AllPixels,
    /// All of `x` along these axes, of which the result is of the same size.
    Along(Axes<'a>),
    /// All of `x` along these axes, which become others.
    Reduced {
        /// The axes, ascending.
        axes: &'a [usize],
        /// Whether they stay, of another size.
        keep: bool,
    },
    /// Neighbours of `x` along these axes, which become of another size.
    Resampled(&'a [usize]),
    /// Rows of the first operand and columns of the second.
    MatrixProduct,
    /// That at its place in one of the operands, which are joined along this axis.
    Joined {
        /// The axis.
        axis: usize,
    },
    /// The axes before and from `axis` become one each.
    Flattened {
        /// First axis of the second group.
        axis: usize,
    },
    /// Row-major order under another shape.
    Reshaped(&'a [ReshapeDim]),
    /// Axis `i` of the result is axis `perm[i]` of `x`.
    Transposed(&'a [usize]),
    /// Without these axes of `x`, ascending.
    Squeezed(&'a [usize]),
    /// With these axes of the result, ascending.
    Unsqueezed(&'a [usize]),
    /// Every so-manieth element of a range of one axis.
    Sliced {
        /// The axis.
        axis: usize,
        /// The step, not 0.
        step: i64,
    },
    /// Slices of `x` along an axis, by indices.
    Gathered {
        /// The axis.
        axis: usize,
    },
    /// Elements of `x` anywhere, by indices.
    Anywhere,
    /// `x` broadcast to this shape.
    Expanded(&'a [Extent]),
    /// `x` so often along each axis.
    Tiled(&'a [Extent]),
    /// None: sizes alone.
    SizesAlone,
    /// All of `x`.
    Everything,
    /// Nothing is known.
    Unknown,
}

/// Axes of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axes<'a> {
    /// All but the first, of an image `[N,C,...]` or features `[N,C]`.
    OfImage,
    /// So many at the end.
    Last(usize),
    /// These, counted from the front.
    These(Cow<'a, [usize]>),
}

impl Axes<'_> {
    /// Whether an axis of an operand of this rank is among them.
    #[must_use]
    pub fn contain(&self, axis: usize, rank: usize) -> bool {
        match self {
            Axes::OfImage => axis > 0,
            Axes::Last(count) => axis < rank && axis + count >= rank,
            Axes::These(axes) => axes.contains(&axis),
        }
    }
}

/// Windows of rows and columns. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Taps; none where they are the last two axes of operand 1.
    pub kernel: Option<[usize; 2]>,
    /// Steps between windows.
    pub strides: [usize; 2],
    /// Steps between taps.
    pub dilations: [usize; 2],
}

/// Multiplications of a node that count as multiply-adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// None.
    None,
    /// For each element of the result as many as operand 1 has elements behind its first axis.
    Filter,
    /// For each element of `x` as many as operand 1 has elements behind its first axis.
    SpreadFilter,
    /// For each element of the result as many as the last axis of `x` is long.
    Inner,
}

/// What an operator is where two models are compared layer by layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landmark {
    /// It does work of its own, called so; what it gives can be compared.
    Work(&'static str),
    /// The same where several of its operands are computed; with a constant it belongs to the work before it.
    Arithmetic(&'static str),
    /// It belongs to the work before it.
    Follower,
    /// It only moves elements.
    Mover,
}

/// What a real number among the attributes of an operator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Real {
    /// An attribute of ONNX as well.
    Attribute,
    /// An operand in ONNX, of the type of the others.
    Operand,
    /// A number of an operand of f32 in ONNX, whatever the type of the others.
    Single,
}

const DATA: Operands = Operands { first: &[Operand::Data], rest: Operand::Data };
const SIZED: Operands = Operands { first: &[Operand::Data], rest: Operand::Size };
const WEIGHTED: Operands = Operands { first: &[Operand::Data, Operand::Weight, Operand::Bias], rest: Operand::Data };
const SCALED: Operands = Operands { first: &[Operand::Data, Operand::Scale, Operand::Offset], rest: Operand::Data };
const INDEXED: Operands = Operands { first: &[Operand::Data, Operand::Indices], rest: Operand::Data };
const QUANTISED: Operands =
    Operands { first: &[Operand::Data, Operand::Step, Operand::ZeroPoint], rest: Operand::Data };

const PADS: &str = "pads with what is no number";

fn one(axis: &usize) -> Axes<'_> {
    Axes::These(Cow::Borrowed(std::slice::from_ref(axis)))
}

impl<'a> Description<'a> {
    /// An operator on data alone that costs no products and only moves elements.
    fn of(name: &'a str, class: Class, flow: Flow<'a>) -> Self {
        let (operands, products, landmark) = (DATA, Products::None, Landmark::Mover);
        Self { name, class, operands, flow, products, landmark, epsilon: None, finite: Finite::of(class) }
    }

    fn on(self, operands: Operands) -> Self {
        Self { operands, ..self }
    }

    fn costs(self, products: Products) -> Self {
        Self { products, ..self }
    }

    fn works_as(self, word: &'static str) -> Self {
        Self { landmark: Landmark::Work(word), ..self }
    }

    fn follows(self) -> Self {
        Self { landmark: Landmark::Follower, ..self }
    }

    /// Divides by a standard deviation to whose square this is added.
    fn adds(self, epsilon: f64) -> Self {
        let stored = self.operands.first.iter().position(|operand| *operand == Operand::Variance);
        let finite = match stored {
            Some(by) => Finite::Divides { by, plus: epsilon, positive: true },
            None => Finite::unless(epsilon > 0.0, DIVIDES),
        };
        Self { epsilon: Some(epsilon), finite, ..self }
    }

    /// Gives numbers where this is so.
    fn finite_if(self, holds: bool, why: &'static str) -> Self {
        Self { finite: Finite::unless(holds, why), ..self }
    }
}

fn pool<'a>(name: &'a str, word: &'static str, windows: Windows) -> Description<'a> {
    Description::of(name, Class::Pool, Flow::Window(windows)).works_as(word)
}

fn norm<'a>(name: &'a str, statistics: Statistics, axes: Axes<'a>) -> Description<'a> {
    Description::of(name, Class::Norm(statistics), Flow::Scaled(axes)).on(SCALED).follows()
}

fn reduction<'a>(name: &'a str, class: Class, axes: &'a [usize], keep: bool) -> Description<'a> {
    Description::of(name, class, Flow::Reduced { axes, keep }).works_as("reduction")
}

fn softmax<'a>(name: &'a str, class: Class, axis: &'a usize) -> Description<'a> {
    Description::of(name, class, Flow::Along(one(axis))).works_as("softmax")
}

fn padded(pad: &PadAxes) -> Axes<'static> {
    let padded = pad.amounts.iter().enumerate().filter(|(_, amounts)| **amounts != [0, 0]);
    Axes::These(padded.map(|(axis, _)| axis).collect())
}

impl Op {
    /// Short name, as printed in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        self.describe().name
    }

    /// What there is to know of it.
    #[must_use]
    pub fn describe(&self) -> Description<'_> {
        let of = Description::of;
        match self {
            Op::Conv(Conv { strides, dilations, groups, .. }) => {
                let windows = Windows { kernel: None, strides: *strides, dilations: *dilations };
                of("Conv", Class::Convolution { groups: *groups }, Flow::Window(windows))
                    .on(WEIGHTED)
                    .costs(Products::Filter)
                    .works_as("conv")
            }
            Op::ConvTranspose(conv) => {
                let windows = Windows { kernel: None, strides: conv.strides, dilations: conv.dilations };
                of("ConvTranspose", Class::TransposedConvolution { groups: conv.groups }, Flow::Spread(windows))
                    .on(WEIGHTED)
                    .costs(Products::SpreadFilter)
                    .works_as("conv")
            }
            Op::BatchNorm(batch) => {
                let first = &[Operand::Data, Operand::Scale, Operand::Offset, Operand::Mean, Operand::Variance];
                norm("BatchNorm", Statistics::Stored, Axes::OfImage)
                    .on(Operands { first, rest: Operand::Data })
                    .adds(batch.epsilon)
            }
            Op::GroupNorm(group) => norm("GroupNorm", Statistics::Own, Axes::OfImage).adds(group.epsilon),
            Op::LayerNorm(layer) => {
                norm("LayerNorm", Statistics::Own, Axes::These(Cow::Borrowed(&layer.axes))).adds(layer.epsilon)
            }
            Op::Lrn(lrn) => norm("Lrn", Statistics::Neighbours(lrn.size), Axes::OfImage)
                .on(DATA)
                .finite_if(lrn.bias > 0.0 && lrn.alpha >= 0.0, DIVIDES),
            Op::Activation(function) => of(function.name(), Class::Activation, Flow::SamePlace)
                .follows()
                .finite_if(!function.has_poles(), "is not a number everywhere"),
            Op::PRelu => {
                let operands = Operands { first: &[Operand::Data, Operand::Slope], rest: Operand::Data };
                of("PRelu", Class::Activation, Flow::SamePlace).on(operands).follows()
            }
            Op::Elementwise(function) => {
                let landmark = Landmark::Arithmetic(function.name());
                Description { landmark, ..of(function.name(), Class::Arithmetic(*function), Flow::SamePlace) }
            }
            Op::Compare(comparison) => of(comparison.name(), Class::Logic, Flow::SamePlace).follows(),
            Op::Is(property) => of(property.name(), Class::Logic, Flow::SamePlace).follows(),
            Op::Where => {
                let operands = Operands { first: &[Operand::Condition], rest: Operand::Data };
                of("Where", Class::Logic, Flow::SamePlace).on(operands)
            }
            Op::MaxPool(p) => pool(
                "MaxPool",
                "max pool",
                Windows { kernel: Some(p.kernel), strides: p.strides, dilations: p.dilations },
            ),
            Op::AvgPool(p) => pool(
                "AvgPool",
                "average pool",
                Windows { kernel: Some(p.kernel), strides: p.strides, dilations: p.dilations },
            ),
            Op::LpPool(p) => pool(
                "LpPool",
                "power pool",
                Windows { kernel: Some(p.kernel), strides: p.strides, dilations: p.dilations },
            ),
            Op::GlobalPool(pool) => {
                of(global_name(pool.kind), Class::GlobalPool(pool.kind), Flow::AllPixels).works_as("reduction")
            }
            Op::Reduce(reduce) => {
                let class = Class::Reduction(reduce.kind);
                reduction(reduction_name(reduce.kind), class, &reduce.axes, reduce.keep_dims)
            }
            Op::ArgExtremum(arg) => {
                let name = match arg.of {
                    Extremum::Largest => "ArgMax",
                    Extremum::Smallest => "ArgMin",
                };
                reduction(name, Class::Ranking, std::slice::from_ref(&arg.axis), arg.keep_dims)
            }
            Op::TopK(top) => reduction("TopK", Class::Ranking, std::slice::from_ref(&top.axis), true),
            Op::Pad(pad) => {
                of("Pad", Class::Padding, Flow::Padded(Axes::OfImage)).finite_if(pad.value.is_finite(), PADS)
            }
            Op::PadAxes(pad) => {
                let finite = match pad.border {
                    Border::Constant(value) => value.is_finite(),
                    Border::Reflect | Border::Edge | Border::Wrap => true,
                };
                of("Pad", Class::Padding, Flow::Padded(padded(pad))).finite_if(finite, PADS)
            }
            Op::Resize(resize) => {
                of("Resize", Class::Resampling, Flow::Resampled(&resize.axes)).on(SIZED).works_as("resize")
            }
            Op::Linear => of("Linear", Class::Dense, Flow::Along(Axes::Last(1)))
                .on(WEIGHTED)
                .costs(Products::Filter)
                .works_as("linear"),
            Op::MatMul => of("MatMul", Class::MatrixProduct, Flow::MatrixProduct)
                .on(Operands { first: &[Operand::Data, Operand::Weight], rest: Operand::Data })
                .costs(Products::Inner)
                .works_as("linear"),
            Op::Concat { axis } => of("Concat", Class::Concatenation, Flow::Joined { axis: *axis }).works_as("concat"),
            Op::Flatten { axis } => of("Flatten", Class::Reshape, Flow::Flattened { axis: *axis }),
            Op::Reshape { shape } => of("Reshape", Class::Reshape, Flow::Reshaped(shape)).on(SIZED),
            Op::Transpose { perm } => of("Transpose", Class::Reshape, Flow::Transposed(perm)),
            Op::Squeeze { axes } => of("Squeeze", Class::Reshape, Flow::Squeezed(axes)),
            Op::Unsqueeze { axes } => of("Unsqueeze", Class::Reshape, Flow::Unsqueezed(axes)),
            Op::Slice { axis, step, .. } => {
                of("Slice", Class::Slice, Flow::Sliced { axis: *axis, step: *step }).on(SIZED)
            }
            Op::Gather { axis } => of("Gather", Class::Gather, Flow::Gathered { axis: *axis }).on(INDEXED),
            Op::GatherElements { .. } => of("GatherElements", Class::Gather, Flow::Anywhere).on(INDEXED),
            Op::GatherNd { .. } => of("GatherNd", Class::Gather, Flow::Anywhere).on(INDEXED),
            Op::ScatterNd => of("ScatterNd", Class::Gather, Flow::Anywhere).on(INDEXED),
            Op::Expand { shape } => of("Expand", Class::Repetition, Flow::Expanded(shape)).on(SIZED),
            Op::Tile { repeats } => of("Tile", Class::Repetition, Flow::Tiled(repeats)).on(SIZED),
            Op::Sizes { .. } => {
                of("Sizes", Class::Sizes, Flow::SizesAlone).on(Operands { first: &[], rest: Operand::Size })
            }
            Op::Softmax { axis } => softmax("Softmax", Class::Softmax, axis),
            Op::LogSoftmax { axis } => softmax("LogSoftmax", Class::Softmax, axis),
            Op::Hardmax { axis } => softmax("Hardmax", Class::Ranking, axis),
            Op::CumSum(sum) => of("CumSum", Class::Scan, Flow::Along(one(&sum.axis))).works_as("reduction"),
            Op::Trilu(_) => of("Trilu", Class::Logic, Flow::Scaled(Axes::Last(2))),
            Op::Identity(_) => of("Identity", Class::Identity, Flow::SamePlace).follows(),
            Op::Cast { .. } => of("Cast", Class::Cast, Flow::SamePlace).follows(),
            Op::Quantize(quantize) => {
                let flow = Flow::Scaled(one(&quantize.granularity.axis));
                of("Quantize", Class::Quantisation, flow).on(QUANTISED).follows()
            }
            Op::Dequantize(granularity) => {
                of("Dequantize", Class::Dequantisation, Flow::Scaled(one(&granularity.axis))).on(QUANTISED).follows()
            }
            Op::DynamicRange(DynamicRange::Scale) => of("DynamicScale", Class::DynamicRange, Flow::Everything),
            Op::DynamicRange(DynamicRange::ZeroPoint) => of("DynamicZeroPoint", Class::DynamicRange, Flow::Everything),
            Op::Opaque(opaque) => of(&opaque.op_type, Class::Unknown, Flow::Unknown).works_as("opaque"),
        }
    }

    /// The real numbers among its attributes, each with what it is, to be rounded or looked at.
    pub fn reals_mut(&mut self) -> Vec<(Real, &mut f64)> {
        match self {
            Op::BatchNorm(norm) => vec![(Real::Attribute, &mut norm.epsilon)],
            Op::GroupNorm(norm) => vec![(Real::Attribute, &mut norm.epsilon)],
            Op::LayerNorm(norm) => vec![(Real::Attribute, &mut norm.epsilon)],
            Op::Lrn(lrn) => [&mut lrn.alpha, &mut lrn.beta, &mut lrn.bias].map(|real| (Real::Attribute, real)).into(),
            Op::Activation(function) => function.reals_mut(),
            Op::Pad(Pad { value, .. }) | Op::PadAxes(PadAxes { border: Border::Constant(value), .. }) => {
                vec![(Real::Operand, value)]
            }
            Op::PadAxes(PadAxes { border: Border::Reflect | Border::Edge | Border::Wrap, .. }) => Vec::new(),
            Op::Resize(resize) => {
                let mut reals = Vec::new();
                match &mut resize.target {
                    ResizeTarget::Scales(scales) => reals.extend(scales.iter_mut().map(|real| (Real::Single, real))),
                    ResizeTarget::Sizes { .. } => {}
                }
                match &mut resize.interpolation {
                    Interpolation::Cubic { coefficient } => reals.push((Real::Attribute, coefficient)),
                    Interpolation::Nearest(_) | Interpolation::Linear => {}
                }
                match &mut resize.coordinates {
                    Coordinates::Crop { region, outside } => {
                        reals.extend(region.iter_mut().flatten().map(|real| (Real::Single, real)));
                        reals.push((Real::Attribute, outside));
                    }
                    Coordinates::HalfPixel
                    | Coordinates::HalfPixelSymmetric
                    | Coordinates::PytorchHalfPixel
                    | Coordinates::AlignCorners
                    | Coordinates::Asymmetric => {}
                }
                reals
            }
            Op::Conv(_)
            | Op::ConvTranspose(_)
            | Op::PRelu
            | Op::Elementwise(_)
            | Op::Compare(_)
            | Op::Is(_)
            | Op::Where
            | Op::MaxPool(_)
            | Op::AvgPool(_)
            | Op::LpPool(_)
            | Op::GlobalPool(_)
            | Op::Reduce(_)
            | Op::ArgExtremum(_)
            | Op::TopK(_)
            | Op::Linear
            | Op::MatMul
            | Op::Concat { .. }
            | Op::Flatten { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Squeeze { .. }
            | Op::Unsqueeze { .. }
            | Op::Slice { .. }
            | Op::Gather { .. }
            | Op::GatherElements { .. }
            | Op::GatherNd { .. }
            | Op::ScatterNd
            | Op::Expand { .. }
            | Op::Tile { .. }
            | Op::Sizes { .. }
            | Op::Softmax { .. }
            | Op::LogSoftmax { .. }
            | Op::Hardmax { .. }
            | Op::CumSum(_)
            | Op::Trilu(_)
            | Op::Identity(_)
            | Op::Cast { .. }
            | Op::Quantize(_)
            | Op::Dequantize(_)
            | Op::DynamicRange(_)
            | Op::Opaque(_) => Vec::new(),
        }
    }
}

fn global_name(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::Max => "GlobalMaxPool",
        PoolKind::Mean => "GlobalAvgPool",
        PoolKind::Sum => "GlobalSumPool",
        PoolKind::Min => "GlobalMinPool",
        PoolKind::L1
        | PoolKind::L2
        | PoolKind::Product
        | PoolKind::SumSquare
        | PoolKind::LogSum
        | PoolKind::LogSumExp => "GlobalPool",
    }
}

fn reduction_name(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::Max => "ReduceMax",
        PoolKind::Mean => "ReduceMean",
        PoolKind::Sum => "ReduceSum",
        PoolKind::Min => "ReduceMin",
        PoolKind::Product => "ReduceProd",
        PoolKind::L1 => "ReduceL1",
        PoolKind::L2 => "ReduceL2",
        PoolKind::SumSquare => "ReduceSumSquare",
        PoolKind::LogSum => "ReduceLogSum",
        PoolKind::LogSumExp => "ReduceLogSumExp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Resize};

    #[test]
    fn sizes_that_are_operands_are_not_read() {
        let reshape = Op::Reshape { shape: vec![ReshapeDim::Infer] };
        assert_eq!(reshape.describe().operands.read(), 1);
        assert_eq!(Op::Sizes { sizes: Vec::new(), scalar: false }.describe().operands.read(), 0);
        assert_eq!(Op::Where.describe().operands.read(), usize::MAX);
    }

    #[test]
    fn what_divides_by_an_operand_says_by_which() {
        let norm = Op::BatchNorm(crate::op::BatchNorm { epsilon: 1e-3 });
        assert_eq!(norm.describe().finite, Finite::Divides { by: 4, plus: 1e-3, positive: true });
        assert_eq!(
            Op::Elementwise(Elementwise::Div).describe().finite,
            Finite::Divides { by: 1, plus: 0.0, positive: false }
        );
        assert_eq!(Op::Activation(Activation::Tan).describe().finite, Finite::Lost("is not a number everywhere"));
        assert_eq!(Op::Linear.describe().finite, Finite::Always);
    }

    #[test]
    fn axes_at_the_end_are_counted_from_there() {
        assert!(Axes::Last(2).contain(1, 3) && Axes::Last(2).contain(2, 3) && !Axes::Last(2).contain(0, 3));
        assert!(!Axes::Last(1).contain(3, 3));
        assert!(Axes::OfImage.contain(1, 4) && !Axes::OfImage.contain(0, 4));
    }

    #[test]
    fn every_real_of_a_resize_is_given_with_what_it_is() {
        let mut resize = Op::Resize(Resize {
            axes: vec![2],
            target: ResizeTarget::Scales(vec![2.0]),
            interpolation: Interpolation::Cubic { coefficient: -0.75 },
            coordinates: Coordinates::Crop { region: vec![[0.25, 0.5]], outside: 1.0 },
            antialias: false,
            exclude_outside: false,
        });
        let found: Vec<(Real, f64)> = resize.reals_mut().into_iter().map(|(kind, value)| (kind, *value)).collect();
        let expected = [
            (Real::Single, 2.0),
            (Real::Attribute, -0.75),
            (Real::Single, 0.25),
            (Real::Single, 0.5),
            (Real::Attribute, 1.0),
        ];
        assert_eq!(found, expected);
        let mut clip = Op::Activation(Activation::Clip { min: None, max: Some(6.0) });
        assert_eq!(clip.reals_mut(), [(Real::Operand, &mut 6.0)]);
    }
}
