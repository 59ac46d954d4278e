//! The terms in which an operator is described: classes, roles of operands, ways of data, products, landmarks, and whether
//! numbers stay numbers. Which operator is what is said in [`description`](super::description).

use std::borrow::Cow;

use super::{Elementwise, Extent, PoolKind, ReshapeDim};

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
pub(super) const DIVIDES: &str = "may divide by 0";

impl Finite {
    pub(super) fn of(class: Class) -> Self {
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
    pub(super) fn unless(holds: bool, why: &'static str) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_at_the_end_are_counted_from_there() {
        assert!(Axes::Last(2).contain(1, 3) && Axes::Last(2).contain(2, 3) && !Axes::Last(2).contain(0, 3));
        assert!(!Axes::Last(1).contain(3, 3));
        assert!(Axes::OfImage.contain(1, 4) && !Axes::OfImage.contain(0, 4));
    }
}
