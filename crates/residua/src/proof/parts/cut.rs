//! A part of a model as a model of its own: what lies between some values and another one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use residua_ir::{
    Checked, GraphBuilder, InputType, LayerId, NodeId, Parameter, SourceOrder, ValueId, ValueKind, validate,
};

use crate::error::{Context, Result, bail};

/// What of a model lies between some values and one that is computed of them.
pub(super) struct Cut<'m> {
    model: &'m Checked,
    /// What it is computed of, each once.
    pub(super) from: Vec<ValueId>,
    to: ValueId,
    nodes: BTreeSet<NodeId>,
    parameters: BTreeSet<ValueId>,
}

impl<'m> Cut<'m> {
    /// Goes back from a value to those that are `known`, and to inputs.
    pub(super) fn new(model: &'m Checked, known: impl Fn(ValueId) -> bool, to: ValueId) -> Self {
        let graph = model.graph();
        let mut cut = Self { model, from: Vec::new(), to, nodes: BTreeSet::new(), parameters: BTreeSet::new() };
        let mut seen = HashSet::from([to]);
        let mut open = vec![to];
        while let Some(value) = open.pop() {
            match &graph.value(value).kind {
                ValueKind::Computed { .. } if value != to && known(value) => cut.from.push(value),
                ValueKind::Computed { node, .. } => {
                    if cut.nodes.insert(*node) {
                        open.extend(graph.node(*node).inputs.iter().copied().filter(|input| seen.insert(*input)));
                    }
                }
                ValueKind::Input(_) => cut.from.push(value),
                ValueKind::Parameter(_) => _ = cut.parameters.insert(value),
            }
        }
        cut.from.sort_unstable();
        cut
    }

    /// How many operators it has.
    pub(super) fn operators(&self) -> usize {
        self.nodes.len()
    }

    /// As a model, whose inputs are what it is computed of, in their order.
    ///
    /// # Errors
    /// Where a value of it has no known size.
    pub(super) fn model(&self) -> Result<Checked> {
        let graph = self.model.graph();
        let mut part = GraphBuilder::new(graph.value(self.to).name.clone());
        let mut values: BTreeMap<ValueId, ValueId> = BTreeMap::new();
        for &value in &self.from {
            let ty = self.model.type_of(value).context("a value without a type")?;
            let input = InputType { dtype: ty.dtype, shape: ty.shape.clone() };
            let name = graph.value(value).name.raw();
            values.insert(value, part.input_with(name, input, SourceOrder::Same));
        }
        let mut layers: BTreeMap<LayerId, LayerId> = BTreeMap::new();
        for &value in &self.parameters {
            let Some(parameter) = graph.as_parameter(value) else { bail!("a tensor that is none") };
            let layer = layer(&mut part, &mut layers, graph.layer(parameter.layer).clone(), parameter.layer);
            values.insert(value, part.parameter(Parameter { layer, ..parameter.clone() }));
        }
        for &id in &self.nodes {
            let node = graph.node(id);
            let layer = layer(&mut part, &mut layers, graph.layer(node.layer).clone(), node.layer);
            let operands = node.inputs.iter().map(|input| values.get(input).copied());
            let operands: Vec<ValueId> = operands.collect::<Option<_>>().context("an operand that is not there")?;
            let names: Vec<&str> = node.outputs.iter().map(|&output| graph.value(output).name.raw()).collect();
            let made = part.node_with_outputs(node.op.clone(), &operands, layer, &names);
            values.extend(node.outputs.iter().copied().zip(made));
        }
        part.output(*values.get(&self.to).context("a part that gives nothing")?);
        validate(part.finish()?).context("a part does not hold together on its own")
    }
}

/// The layer of a part that is one of the whole.
fn layer(
    part: &mut GraphBuilder,
    layers: &mut BTreeMap<LayerId, LayerId>,
    layer: residua_ir::Layer,
    id: LayerId,
) -> LayerId {
    *layers.entry(id).or_insert_with(|| part.copy_layer(layer))
}
