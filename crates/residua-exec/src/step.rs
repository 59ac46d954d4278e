//! Steps: what a plan consists of, with their weights packed.

use residua_ir::{Activation, Conv, DType, Op, ValueId};

use crate::kernels::conv::SumOrder;
use crate::kernels::quantise::{Pair, Rounding};
use crate::run::Constants;

/// What a step computes.
#[derive(Debug)]
pub(crate) enum Work<T> {
    /// A convolution of operand 0, with its packed filters and bias; [`None`] where those are operands 1 and 2.
    Conv { conv: Conv, weights: Option<Weights<T>> },
    /// A linear layer of operand 0, likewise.
    Linear { weights: Option<Weights<T>> },
    /// `(x - mean) * factor + offset` by channel: a batch norm, prepared.
    Scale { mean: Vec<T>, factor: Vec<T>, offset: Vec<T> },
    /// A chain of integers.
    Integers(IntegerChain<T>),
    /// One step that is computed in f32 whatever the engine computes in.
    F32Island(Box<F32Island>),
    /// The operator as it is.
    Op(Op),
}

/// Packed weights.
#[derive(Debug)]
pub(crate) struct Weights<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) packed: Vec<T>,
    /// In which order a convolution sums.
    pub(crate) order: SumOrder,
    /// What each output is multiplied by before the bias: the batch norm that was folded in.
    pub(crate) factor: Option<Vec<T>>,
    pub(crate) bias: Option<Vec<T>>,
}

/// One node, or several that are computed at once.
#[derive(Debug)]
pub(crate) struct Step<T> {
    /// The first node's name.
    pub(crate) name: String,
    pub(crate) work: Work<T>,
    pub(crate) operands: Vec<ValueId>,
    /// Added to the result.
    pub(crate) residual: Option<ValueId>,
    /// Applied last.
    pub(crate) activation: Option<Activation>,
    pub(crate) output: ValueId,
    /// Type of the result where that is whole numbers.
    pub(crate) integer: Option<DType>,
    /// Whether the result is truth values.
    pub(crate) truth: bool,
    /// What the result is rounded to.
    pub(crate) round: Option<DType>,
}

impl<T> Step<T> {
    /// Everything that the step reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.operands.iter().copied().chain(self.residual)
    }
}

/// A chain that is computed in integers, with its weights packed.
#[derive(Debug)]
pub(crate) enum IntegerChain<T> {
    /// A convolution of operand 0 less `zero`.
    Conv { conv: Conv, weights: Weights<T>, zero: T, factor: Vec<f32>, rounding: Rounding },
    /// A linear layer of it.
    Linear { weights: Weights<T>, zero: T, factor: Vec<f32>, rounding: Rounding },
    /// A matrix product of operands 0 and 1 less their zero points.
    MatMul { zeros: [T; 2], factor: f32, rounding: Rounding },
    /// A function of operands 0 and 1.
    Pair(Pair),
    /// The mean over height and width.
    Mean { scales: [f32; 2], zero: T, rounding: Rounding },
}

/// A step that is computed in f32, with those of its operands that do not depend on the inputs.
#[derive(Debug)]
pub(crate) struct F32Island {
    pub(crate) step: Step<f32>,
    pub(crate) constants: Constants<f32>,
}

/// A type that whole numbers have to be exact in.
pub(crate) fn integer(dtype: DType) -> Option<DType> {
    (!dtype.is_float() && dtype != DType::Bool).then_some(dtype)
}
