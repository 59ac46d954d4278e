//! A part of a model as a model of its own: some values are given to it, others are wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::{
    Checked, GraphBuilder, InputType, LayerId, NodeId, Parameter, SourceOrder, ValueId, ValueKind, validate,
};

use crate::error::{Context, Result};

/// What of a model lies between values that are given and those that are wanted.
pub(super) struct Cut<'m> {
    whole: &'m Checked,
    /// What it is computed of, each once: the inputs of [`Cut::model`], in order.
    pub(super) given: Vec<ValueId>,
    wanted: Vec<ValueId>,
    nodes: BTreeSet<NodeId>,
    parameters: BTreeSet<ValueId>,
}

impl<'m> Cut<'m> {
    /// Goes back from what is wanted, each given by a node, to what `is_given`, and to inputs. A value may be both: it is
    /// computed, and whatever reads it reads what is given.
    pub(super) fn new(whole: &'m Checked, is_given: impl Fn(ValueId) -> bool, wanted: &[ValueId]) -> Self {
        let graph = whole.graph();
        let (mut given, mut nodes, mut parameters) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<NodeId> = wanted.iter().filter_map(|&value| graph.producer(value)).collect();
        while let Some(id) = open.pop() {
            if !nodes.insert(id) {
                continue;
            }
            for &operand in &graph.node(id).inputs {
                match &graph.value(operand).kind {
                    ValueKind::Computed { node, .. } if !is_given(operand) => open.push(*node),
                    ValueKind::Computed { .. } | ValueKind::Input(_) => _ = given.insert(operand),
                    ValueKind::Parameter(_) => _ = parameters.insert(operand),
                }
            }
        }
        Self { whole, given: given.into_iter().collect(), wanted: wanted.to_vec(), nodes, parameters }
    }

    /// How many operators it has.
    pub(super) fn operators(&self) -> usize {
        self.nodes.len()
    }

    /// As a model, whose outputs are what is wanted, in that order.
    ///
    /// # Errors
    /// Where something that is given has no known type, or something that is wanted is not computed.
    pub(super) fn model(&self) -> Result<Checked> {
        let graph = self.whole.graph();
        let mut making = Making::new(self.whole);
        for &value in &self.given {
            making.input(value)?;
        }
        for &value in &self.parameters {
            making.parameter(value);
        }
        for &id in &self.nodes {
            making.node(id)?;
        }
        let Making { mut made, computed, .. } = making;
        for value in &self.wanted {
            let name = &graph.value(*value).name;
            made.output(*computed.get(value).with_context(|| format!("`{name}` is wanted, and not computed"))?);
        }
        validate(made.finish().context("a part of the model")?).context("a part of the model")
    }
}

/// A part while it is made.
struct Making<'m> {
    whole: &'m Checked,
    made: GraphBuilder,
    layers: BTreeMap<LayerId, LayerId>,
    /// What stands for values that are not computed where they are read.
    read: BTreeMap<ValueId, ValueId>,
    computed: BTreeMap<ValueId, ValueId>,
}

impl<'m> Making<'m> {
    fn new(whole: &'m Checked) -> Self {
        let mut made = GraphBuilder::new(whole.graph().name().clone());
        made.source(whole.graph().source().clone());
        let (layers, read, computed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { whole, made, layers, read, computed }
    }

    fn layer(&mut self, id: LayerId) -> LayerId {
        let Self { whole, made, layers, .. } = self;
        *layers.entry(id).or_insert_with(|| made.copy_layer(whole.graph().layer(id).clone()))
    }

    fn input(&mut self, value: ValueId) -> Result<()> {
        let ty = self.whole.type_of(value).context("a value of unknown type")?;
        let input = InputType { dtype: ty.dtype, shape: ty.shape.clone() };
        let name = self.whole.graph().value(value).name.raw();
        self.read.insert(value, self.made.input_with(name, input, SourceOrder::Same));
        Ok(())
    }

    fn parameter(&mut self, value: ValueId) {
        if let Some(parameter) = self.whole.graph().as_parameter(value) {
            let layer = self.layer(parameter.layer);
            self.read.insert(value, self.made.parameter(Parameter { layer, ..parameter.clone() }));
        }
    }

    fn node(&mut self, id: NodeId) -> Result<()> {
        let graph = self.whole.graph();
        let node = graph.node(id);
        let stands = |operand: &ValueId| self.read.get(operand).or_else(|| self.computed.get(operand)).copied();
        let operands: Option<Vec<ValueId>> = node.inputs.iter().map(stands).collect();
        let operands = operands.context("an operand that is not computed before it is read")?;
        let layer = self.layer(node.layer);
        let names: Vec<&str> = node.outputs.iter().map(|&output| graph.value(output).name.raw()).collect();
        let outputs = self.made.node_with_outputs(node.op.clone(), &operands, layer, &names);
        self.computed.extend(node.outputs.iter().copied().zip(outputs));
        Ok(())
    }
}
