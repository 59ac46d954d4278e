//! The plan: steps in the order in which they run, with their weights packed.
//!
//! [`fuse`] says which nodes become one step; [`weights`] makes steps of them.

mod fuse;
pub(crate) mod weights;

use std::collections::BTreeMap;

use pulp::Arch;
use rayon::prelude::*;
use residua_ir::{Activation, Checked, Conv, DType, Op, Parameter, Tensor, ValueId};

use crate::element::Element;
use crate::error::ExecError;
use crate::executor::Precision;
use crate::steps::whole;

/// What a step computes.
#[derive(Debug)]
pub(crate) enum Work<T> {
    /// A convolution of operand 0, with its packed filters and bias; [`None`] where those are operands 1 and 2.
    Conv { conv: Conv, weights: Option<Weights<T>> },
    /// A linear layer of operand 0, likewise.
    Linear { weights: Option<Weights<T>> },
    /// `(x - mean) * factor + offset` by channel: a batch norm, prepared.
    Scale { mean: Vec<T>, factor: Vec<T>, offset: Vec<T> },
    /// The operator as it is.
    Op(Op),
}

/// Packed weights.
#[derive(Debug)]
pub(crate) struct Weights<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) packed: Vec<T>,
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
}

impl<T> Step<T> {
    /// Everything that the step reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.operands.iter().copied().chain(self.residual)
    }
}

/// Steps, and parameters that are read as they are.
#[derive(Debug)]
pub(crate) struct Plan<T> {
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) constants: BTreeMap<ValueId, Vec<T>>,
}

impl<T: Element> Plan<T> {
    /// Plans a graph of known operators, and packs its weights on all threads of the pool. `pinned` values are given
    /// back: nothing is fused over them.
    pub(crate) fn new(model: &Checked, pinned: &[bool], precision: Precision, arch: Arch) -> Result<Self, ExecError> {
        let groups = fuse::groups(model, pinned, precision);
        let steps: Vec<Step<T>> = groups
            .into_par_iter()
            .map(|group| weights::step(model, group, precision, arch))
            .collect::<Result<_, _>>()?;
        let mut needed = pinned.to_vec();
        for value in steps.iter().flat_map(Step::reads) {
            needed[value.index()] = true;
        }
        let graph = model.graph();
        let constants: Vec<(ValueId, &Parameter)> = graph
            .value_ids()
            .filter(|id| needed[id.index()])
            .filter_map(|id| Some((id, graph.as_parameter(id)?)))
            .collect();
        let constants = constants.into_par_iter().map(|(id, parameter)| {
            let values = read(&parameter.tensor, &parameter.name)?;
            if let Some(dtype) = integer(parameter.tensor.dtype()) {
                whole::check(&values, dtype, &parameter.name)?;
            }
            Ok((id, values))
        });
        Ok(Self { steps, constants: constants.collect::<Result<_, ExecError>>()? })
    }
}

/// A type that whole numbers have to be exact in.
pub(crate) fn integer(dtype: DType) -> Option<DType> {
    (!dtype.is_float() && dtype != DType::Bool).then_some(dtype)
}

/// All elements of a parameter.
fn read<T: Element>(tensor: &Tensor, name: &str) -> Result<Vec<T>, ExecError> {
    T::read(tensor).map_err(|source| ExecError::Parameter { parameter: name.to_owned(), source })
}

/// The tensor behind a value and its name, if the value is a parameter.
fn tensor_of(model: &Checked, value: ValueId) -> Option<(&Tensor, &str)> {
    model.graph().as_parameter(value).map(|parameter| (&parameter.tensor, parameter.name.as_str()))
}
