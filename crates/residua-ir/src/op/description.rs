//! What an operator is, said once: its class, its operands, how data flows through it, what it costs, where it can be compared.
//!
//! Whoever asks one of these questions of any node (costs, names of tensors, data flow, landmarks, estimates, receptive
//! fields) matches on the parts of a [`Description`], not on [`Op`], so that a new operator is described here and nowhere
//! else, in the terms of `terms`. Shape inference, kernels and emission know each operator by name.
//!
//! Invariant: every match over [`Op`] in this file is exhaustive; what is asked of descriptions is asked of all operators.

use std::borrow::Cow;

use super::resize::{Coordinates, Interpolation, ResizeTarget};
use super::terms::DIVIDES;
pub use super::terms::{
    Axes, Class, Description, Finite, Flow, Landmark, Operand, Operands, Products, Real, Statistics, Windows,
};
use super::{Border, Conv, DynamicRange, Extremum, Op, Pad, PadAxes, PoolKind};

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
    use crate::op::{Elementwise, ReshapeDim};
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
