//! The plan: steps in the order in which they run, with their weights packed.
//!
//! [`integers`] finds chains that are computed in integers, [`known`] computes what depends on tensors alone, [`fuse`] says
//! which nodes become one step, [`single`] which of them the reference computes in f32, and [`weights`] makes steps of them.

mod fuse;
pub(crate) mod integers;
mod known;
mod single;
pub(crate) mod weights;

use std::collections::BTreeMap;

use pulp::Arch;
use rayon::prelude::*;
use residua_ir::{Activation, Checked, Conv, DType, NodeId, Op, Parameter, Tensor, ValueId};

use crate::element::Element;
use crate::error::ExecError;
use crate::executor::Precision;
use crate::kernels::conv::Order;
use crate::steps::whole;
use integers::{Chain, Integers};
use known::Known;
pub(crate) use single::Single;

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
    Integers(Integers<T>),
    /// One step that is computed in f32 whatever the engine computes in.
    Single(Box<Single>),
    /// The operator as it is.
    Op(Op),
}

/// Packed weights.
#[derive(Debug)]
pub(crate) struct Weights<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) packed: Vec<T>,
    /// In which order a convolution sums.
    pub(crate) order: Order,
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

/// Values that do not depend on the inputs, read as they are.
pub(crate) type Constants<T> = BTreeMap<ValueId, Vec<T>>;

/// Steps, and what they read besides what others of them give.
#[derive(Debug)]
pub(crate) struct Plan<T> {
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) constants: Constants<T>,
}

impl<T: Element> Plan<T> {
    /// Plans a graph of known operators, and packs its weights on all threads of the pool. `pinned` values are given
    /// back: nothing is fused over them.
    pub(crate) fn new(
        model: &Checked,
        pinned: &[bool],
        precision: Precision,
        memory_limit: usize,
        arch: Arch,
    ) -> Result<Self, ExecError> {
        let graph = model.graph();
        let consumers = graph.consumers();
        let chains: Vec<Option<Chain>> = graph.node_ids().map(|id| integers::chain(model, &consumers, id)).collect();
        let needed = needed(model, &chains, pinned);
        let known = Known::compute(model, &consumers, &needed, pinned, memory_limit, arch)?;
        let single = match precision {
            Precision::F32 => Vec::new(),
            Precision::F64 => single::nodes(model, &consumers),
        };
        let known_single = if single.contains(&true) {
            Some(Known::<f32>::compute(model, &consumers, &needed, pinned, memory_limit, arch)?)
        } else {
            None
        };
        let scene = Scene { model, pinned, consumers: &consumers, known: &known, single: known_single.as_ref() };
        let groups = fuse::groups(&scene, chains, &needed, precision);
        let steps: Vec<Step<T>> = groups
            .into_par_iter()
            .map(|group| match scene.single {
                Some(known) if group.chain.is_none() && single[group.head.index()] => {
                    single::step(&scene, known, group, arch)
                }
                _ => weights::step(&scene, group, precision, arch),
            })
            .collect::<Result<_, _>>()?;
        let mut needed = pinned.to_vec();
        for value in steps.iter().flat_map(Step::reads) {
            needed[value.index()] = true;
        }
        let constants: Vec<(ValueId, &Parameter)> = graph
            .value_ids()
            .filter(|id| needed[id.index()])
            .filter_map(|id| Some((id, graph.as_parameter(id)?)))
            .collect();
        let constants = constants.into_par_iter().map(|(id, parameter)| {
            let values = read(&parameter.tensor, parameter.name.raw())?;
            if let Some(dtype) = integer(parameter.tensor.dtype()) {
                whole::check(&values, dtype, parameter.name.raw())?;
            }
            Ok((id, values))
        });
        let mut constants: Constants<T> = constants.collect::<Result<_, ExecError>>()?;
        constants.extend(known.into_values().filter(|(id, _)| needed[id.index()]));
        Ok(Self { steps, constants })
    }
}

/// What steps are made from.
struct Scene<'a, T> {
    model: &'a Checked,
    pinned: &'a [bool],
    consumers: &'a [Vec<NodeId>],
    known: &'a Known<T>,
    /// The same in f32, where some nodes are computed in it.
    single: Option<&'a Known<f32>>,
}

impl<T: Element> Scene<'_, T> {
    /// Whether a value does not depend on the inputs.
    fn is_known(&self, value: ValueId) -> bool {
        tensor_of(self.model, value).is_some() || self.known.get(value).is_some()
    }

    /// The elements of a tensor of f32 that lie in the file as they are read.
    fn stored(&self, value: ValueId) -> Option<&[[u8; 4]]> {
        let (tensor, _) = tensor_of(self.model, value)?;
        let bytes = tensor.as_le_bytes().filter(|_| tensor.dtype() == DType::F32)?;
        Some(bytes.as_chunks().0)
    }

    /// Elements of such a value.
    fn elements(&self, value: ValueId) -> Option<Result<Vec<T>, ExecError>> {
        match tensor_of(self.model, value) {
            Some((tensor, name)) => Some(read(tensor, name)),
            None => self.known.get(value).map(|values| Ok(values.to_vec())),
        }
    }

    /// The same in f64, unrounded where they lie in the file.
    fn exact(&self, value: ValueId) -> Option<Result<Vec<f64>, ExecError>> {
        match tensor_of(self.model, value) {
            Some((tensor, name)) => Some(read(tensor, name)),
            None => self.known.get(value).map(|values| Ok(values.iter().map(|value| value.to_f64()).collect())),
        }
    }
}

/// Nodes that a value asked for depends on. What a chain of integers passes over is needed only where something else
/// reads it.
fn needed(model: &Checked, chains: &[Option<Chain>], pinned: &[bool]) -> Vec<bool> {
    let graph = model.graph();
    let mut wanted = pinned.to_vec();
    let mut needed = vec![false; graph.nodes().len()];
    for ((needed, node), chain) in needed.iter_mut().zip(graph.nodes()).zip(chains).rev() {
        if node.outputs.iter().any(|id| wanted[id.index()]) {
            *needed = true;
            match chain {
                Some(chain) => chain.reads().for_each(|id| wanted[id.index()] = true),
                None => node.inputs.iter().for_each(|id| wanted[id.index()] = true),
            }
        }
    }
    needed
}

/// A type that whole numbers have to be exact in.
pub(crate) fn integer(dtype: DType) -> Option<DType> {
    (!dtype.is_float() && dtype != DType::Bool).then_some(dtype)
}

/// All elements of a parameter.
fn read<T: Element>(tensor: &Tensor, name: &str) -> Result<Vec<T>, ExecError> {
    T::read(tensor).map_err(|source| ExecError::Parameter { parameter: name.into(), source })
}

/// The tensor behind a value and its name, if the value is a parameter.
fn tensor_of(model: &Checked, value: ValueId) -> Option<(&Tensor, &str)> {
    model.graph().as_parameter(value).map(|parameter| (&parameter.tensor, parameter.name.raw()))
}
