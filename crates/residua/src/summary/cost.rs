//! Parameters, multiply-adds and memory, from shapes alone.

use residua_ir::{Checked, Counting, Framework, Graph, Parameter, Role, TensorType, ValueId, cost};
use serde::Serialize;

use super::is_counted;
use crate::options::Count;

impl Count {
    /// Whether a tensor is one of the model's parameters.
    ///
    /// Counters are counted for Keras, which does so itself (`Normalization`'s `count`), and for nothing else.
    fn has(self, graph: &Graph, role: Role) -> bool {
        match (self, role) {
            (_, Role::Weight) => true,
            (Self::Torchinfo | Self::Fvcore, _) => false,
            (Self::Residua | Self::Keras, Role::Counter) => graph.source().framework == Framework::Keras,
            (Self::Residua | Self::Keras, Role::Statistic | Role::Literal | Role::Default) => is_counted(role),
        }
    }

    fn of_macs(self) -> Counting {
        match self {
            Self::Residua | Self::Keras => Counting::Products,
            Self::Torchinfo => Counting::Torchinfo,
            Self::Fvcore => Counting::Fvcore,
        }
    }
}

/// Numbers of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Parameters {
    /// Every number that the function uses, statistics included; a shared tensor once.
    pub total: u64,
    /// Weights of layers that are not frozen.
    pub trainable: u64,
    /// The rest.
    pub non_trainable: u64,
}

impl Parameters {
    /// Parameters of a whole model, as residua counts.
    pub fn of(graph: &Graph) -> Self {
        Self::counted(graph, Count::Residua)
    }

    pub(super) fn counted(graph: &Graph, count: Count) -> Self {
        let mut sum = Self::default();
        for parameter in graph.parameters() {
            sum.add(graph, parameter, count);
        }
        sum
    }

    pub(super) fn add(&mut self, graph: &Graph, parameter: &Parameter, count: Count) {
        if !count.has(graph, parameter.role) {
            return;
        }
        let numbers = parameter.tensor.len() as u64;
        self.total = self.total.saturating_add(numbers);
        if parameter.role == Role::Weight && graph.layer(parameter.layer).trainable {
            self.trainable = self.trainable.saturating_add(numbers);
        } else {
            self.non_trainable = self.non_trainable.saturating_add(numbers);
        }
    }
}

/// Multiply-adds of each node; `None` where a size is not known.
pub(super) fn macs_by_node(model: &Checked, count: Count) -> Vec<Option<u64>> {
    model.graph().nodes().iter().map(|node| cost::counted(model, node, count.of_macs())).collect()
}

/// Bytes that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All weights, as they are stored.
    pub weights: u64,
    /// Most that is alive at once while the model runs on a batch of 1: every value from the node that gives it to the
    /// last that reads it.
    pub activations: Option<u64>,
    /// Both.
    pub total: Option<u64>,
}

impl Memory {
    pub(super) fn of(model: &Checked) -> Self {
        let counted = model.graph().parameters().iter().filter(|parameter| is_counted(parameter.role));
        let weights = counted.map(|p| (p.tensor.len() * p.tensor.stored_dtype().size()) as u64).sum();
        let activations = peak(model);
        Self { weights, activations, total: activations.and_then(|peak| peak.checked_add(weights)) }
    }
}

/// Bytes of a value at a batch of 1, where the batch is free.
pub(super) fn bytes(ty: &TensorType) -> Option<u64> {
    let mut bytes = ty.dtype.size() as u64;
    for (axis, dim) in ty.shape.dims().iter().enumerate() {
        let size = match dim.fixed() {
            Some(size) => size as u64,
            None if axis == 0 => 1,
            None => return None,
        };
        bytes = bytes.checked_mul(size)?;
    }
    Some(bytes)
}

fn peak(model: &Checked) -> Option<u64> {
    let graph = model.graph();
    let end = graph.nodes().len();
    let mut last_use = vec![None; graph.values().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            last_use[input.index()] = Some(index);
        }
    }
    for output in graph.outputs() {
        last_use[output.index()] = Some(end);
    }
    let size = |id: ValueId| model.type_of(id).and_then(bytes);
    let mut alive = graph.inputs().iter().try_fold(0u64, |sum, &id| sum.checked_add(size(id)?))?;
    let mut peak = alive;
    for (index, node) in graph.nodes().iter().enumerate() {
        for &output in &node.outputs {
            alive = alive.checked_add(size(output)?)?;
        }
        peak = peak.max(alive);
        let mut operands = node.inputs.clone();
        operands.sort();
        operands.dedup();
        let read = operands.into_iter().filter(|&id| graph.as_parameter(id).is_none());
        let unread = node.outputs.iter().copied().filter(|id| last_use[id.index()].is_none());
        for id in read.filter(|id| last_use[id.index()] == Some(index)).chain(unread) {
            alive = alive.saturating_sub(size(id)?);
        }
    }
    Some(peak)
}

#[cfg(test)]
mod tests {
    use residua_ir::{Activation, Elementwise, GraphBuilder, Op, Shape, validate};

    use super::*;

    #[test]
    fn the_peak_of_a_block_holds_its_shortcut_besides_the_main_path() {
        let mut g = GraphBuilder::new("block");
        let x = g.input("x", Shape::batch(&[4, 5, 5]));
        let a = g.add("a", Op::Activation(Activation::RELU), &[x]);
        let b = g.add("b", Op::Activation(Activation::RELU), &[a]);
        let y = g.add("y", Op::Elementwise(Elementwise::Add), &[b, x]);
        g.output(y);
        let checked = validate(g.finish().unwrap()).unwrap();
        // x, a and b at the second node; x, b and y at the third.
        assert_eq!(peak(&checked), Some(3 * 4 * 100));
    }
}
