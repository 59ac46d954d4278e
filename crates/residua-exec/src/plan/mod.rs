//! The plan: steps in the order in which they run, with their weights packed.
//!
//! [`integer_chains`] finds chains that are computed in integers, [`known`] computes what depends on tensors alone, [`fuse`] says
//! which nodes become one step, [`f32_islands`] which of them the reference computes in f32, and [`weights`] makes steps of them.

mod f32_islands;
mod fuse;
mod integer_chains;
mod known;
mod weights;

use pulp::Arch;
use rayon::prelude::*;
use residua_ir::{Checked, DType, NodeId, Parameter, Tensor, ValueId};

use crate::element::Element;
use crate::error::ExecError;
use crate::options::Precision;
use crate::run::Constants;
use crate::step::{self, Step};
use crate::steps::integer;
use integer_chains::Chain;
use known::Known;

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
        let chains: Vec<Option<Chain>> =
            graph.node_ids().map(|id| integer_chains::chain(model, &consumers, id)).collect();
        let needed = needed(model, &chains, pinned);
        let known = Known::compute(model, &consumers, &needed, pinned, memory_limit, arch)?;
        let in_f32 = match precision {
            Precision::F32 => Vec::new(),
            Precision::F64 => f32_islands::nodes(model, &consumers),
        };
        let known_in_f32 = if in_f32.contains(&true) {
            Some(Known::<f32>::compute(model, &consumers, &needed, pinned, memory_limit, arch)?)
        } else {
            None
        };
        let scene = Scene { model, pinned, consumers: &consumers, known: &known, in_f32: known_in_f32.as_ref() };
        let groups = fuse::groups(&scene, chains, &needed, precision);
        let steps: Vec<Step<T>> = groups
            .into_par_iter()
            .map(|group| match scene.in_f32 {
                Some(known) if group.chain.is_none() && in_f32[group.head.index()] => {
                    f32_islands::step(&scene, known, group, arch)
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
            if let Some(dtype) = step::integer(parameter.tensor.dtype()) {
                integer::check(&values, dtype, parameter.name.raw())?;
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
    in_f32: Option<&'a Known<f32>>,
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

/// All elements of a parameter.
fn read<T: Element>(tensor: &Tensor, name: &str) -> Result<Vec<T>, ExecError> {
    T::read(tensor).map_err(|source| ExecError::Parameter { parameter: name.into(), source })
}

/// The tensor behind a value and its name, if the value is a parameter.
fn tensor_of(model: &Checked, value: ValueId) -> Option<(&Tensor, &str)> {
    model.graph().as_parameter(value).map(|parameter| (&parameter.tensor, parameter.name.raw()))
}
