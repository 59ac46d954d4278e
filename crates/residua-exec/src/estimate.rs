//! What a run takes, estimated from shapes alone: bytes that it holds at once, and operations on numbers.
//!
//! A model of a few hundred bytes can ask for a run of any size, so this is asked before an input is made, a weight is packed or a step is
//! done. The engine adds up again what its own plan holds; here each value lives from the node that gives it to the last one that reads it.

use residua_ir::budget::{self, Limit};
use residua_ir::op::description::{Class, Flow, Statistics, Windows};
use residua_ir::{Checked, Graph, Name, Op, TensorType, ValueId, ValueKind, cost};

use crate::error::ExecError;
use crate::options::Precision;

/// What a run takes, as shapes tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// Most bytes that inputs, results and tensors that are made rather than stored take at once.
    pub held: u64,
    /// The node at which that is, and the shape of its result; none where the inputs alone come to it.
    pub at: Option<(Name, String)>,
    /// Operations on numbers: products, and elements read and written.
    pub operations: u64,
    /// Bytes of the weights that the file holds.
    pub weights: u64,
}

/// Estimates a run of a model whose sizes are known; values of a size that is free count nothing. `keep` are given back besides the outputs.
#[must_use]
pub fn estimate(model: &Checked, precision: Precision, keep: &[ValueId]) -> Estimate {
    let size = match precision {
        Precision::F32 => size_of::<f32>(),
        Precision::F64 => size_of::<f64>(),
    };
    of_graph(model.graph(), size, keep, &|id| model.type_of(id).cloned())
}

/// The same for values of these types, of elements of so many bytes.
pub(crate) fn of_graph(
    graph: &Graph,
    size: usize,
    keep: &[ValueId],
    type_of: &dyn Fn(ValueId) -> Option<TensorType>,
) -> Estimate {
    let bytes = |id: ValueId| type_of(id).and_then(|ty| elements(&ty)).map_or(0, |n| n.saturating_mul(size as u64));
    let mut last = vec![0usize; graph.values().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|id| last[id.index()] = index);
    }
    for id in graph.outputs().iter().chain(keep) {
        last[id.index()] = usize::MAX;
    }
    let mut held = graph.inputs().iter().fold(0u64, |sum, &id| sum.saturating_add(bytes(id)));
    let mut weights = 0u64;
    for parameter in graph.parameters() {
        let tensor = &parameter.tensor;
        let (stored, whole) = (tensor.stored_len(), tensor.byte_len() as u64);
        weights = weights.saturating_add(stored);
        let made = (whole - stored) / tensor.dtype().size() as u64;
        held = held.saturating_add(made.saturating_mul(size as u64));
    }
    let mut found = Estimate { held, at: None, operations: 0, weights };
    for (index, node) in graph.nodes().iter().enumerate() {
        held = node.outputs.iter().fold(held, |sum, &id| sum.saturating_add(bytes(id)));
        if held > found.held {
            let shape = type_of(node.output()).map_or_else(String::new, |ty| ty.shape.to_string());
            (found.held, found.at) = (held, Some((node.name.clone(), shape)));
        }
        let operands: Option<Vec<TensorType>> = node.inputs.iter().map(|&id| type_of(id)).collect();
        if let (Some(operands), Some(result)) = (operands, type_of(node.output())) {
            found.operations = found.operations.saturating_add(operations(&node.op, &operands, &result));
        }
        let mut dead: Vec<ValueId> = node.inputs.iter().chain(&node.outputs).copied().collect();
        dead.sort_unstable();
        dead.dedup();
        let ends =
            |id: &ValueId| last[id.index()] <= index && !matches!(graph.value(*id).kind, ValueKind::Parameter(_));
        held = dead.into_iter().filter(ends).fold(held, |sum, id| sum.saturating_sub(bytes(id)));
    }
    found
}

/// Elements of a value; none where a size is free.
fn elements(ty: &TensorType) -> Option<u64> {
    let sizes = ty.shape.dims().iter().map(|dim| dim.fixed());
    sizes.into_iter().try_fold(1u64, |product, size| Some(product.saturating_mul(size? as u64)))
}

/// Operations that a node takes: its products, what it reads, and what it writes, a window once for each of its taps.
fn operations(op: &Op, operands: &[TensorType], result: &TensorType) -> u64 {
    let Some(written) = elements(result) else { return 0 };
    let described = op.describe();
    // Taps of a convolution are among its products.
    let taps = if let Flow::Window(Windows { kernel: Some([rows, columns]), .. }) = described.flow {
        rows.saturating_mul(columns)
    } else if let Class::Norm(Statistics::Neighbours(size)) = described.class {
        size
    } else {
        1
    };
    let products = cost::macs(op, operands, result).unwrap_or(0);
    let read = operands.iter().filter_map(elements).fold(0u64, u64::saturating_add);
    products.saturating_add(read).saturating_add(written.saturating_mul(taps as u64))
}

impl Estimate {
    /// Nothing, unless it is more than a run may take: bytes against `memory`, operations against what the weights allow.
    ///
    /// # Errors
    /// [`ExecError::Memory`] or [`ExecError::Operations`], with the sum.
    pub fn check(&self, memory: usize) -> Result<(), ExecError> {
        if self.held > memory as u64 {
            let needed = usize::try_from(self.held).unwrap_or(usize::MAX);
            let inputs = || (Name::from("the inputs"), "all of them".to_owned());
            let (node, shape) = self.at.clone().unwrap_or_else(inputs);
            return Err(ExecError::Memory { node, shape: shape.into(), needed, limit: memory });
        }
        self.check_operations()
    }

    /// The same of operations alone.
    pub(crate) fn check_operations(&self) -> Result<(), ExecError> {
        let limit = budget::arithmetic(self.weights);
        if self.operations > limit {
            let (operations, weights) = (self.operations, self.weights);
            return Err(ExecError::Operations { operations, limit, weights });
        }
        Ok(())
    }

    /// [`Estimate::check`] against the limit that counts now.
    ///
    /// # Errors
    /// As there.
    pub fn within_budget(&self) -> Result<(), ExecError> {
        self.check(Limit::ActivationBytes.most_here())
    }
}
