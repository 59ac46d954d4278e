//! Networks whose edges can be led elsewhere: a graph taken apart by the names of its values, and built again.

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::{Graph, GraphBuilder, NodeId, Op, Parameter, Role, Tensor, ValueId, ValueKind};

/// A node, by names.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) layer: String,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
}

/// A network that can be changed.
#[derive(Debug, Clone)]
pub(crate) struct Network<'a> {
    source: &'a Graph,
    pub(crate) nodes: Vec<Draft>,
    gone: BTreeSet<usize>,
    added: Vec<(String, Tensor)>,
    changed: BTreeMap<String, Tensor>,
}

impl<'a> Network<'a> {
    pub(crate) fn of(source: &'a Graph) -> Self {
        let name = |id: &ValueId| source.value(*id).name.raw().to_owned();
        let nodes = source.nodes().iter().map(|node| Draft {
            layer: source.layer(node.layer).name.raw().to_owned(),
            op: node.op.clone(),
            inputs: node.inputs.iter().map(name).collect(),
            outputs: node.outputs.iter().map(name).collect(),
        });
        let (gone, added, changed) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
        Self { nodes: nodes.collect(), source, gone, added, changed }
    }

    pub(crate) fn name(&self, value: ValueId) -> String {
        self.source.value(value).name.raw().to_owned()
    }

    /// Name of the layer of a node.
    pub(crate) fn layer(&self, node: NodeId) -> String {
        self.nodes[node.index()].layer.clone()
    }

    pub(crate) fn output(&self, node: NodeId) -> String {
        self.nodes[node.index()].outputs[0].clone()
    }

    pub(crate) fn node(&mut self, node: NodeId) -> &mut Draft {
        &mut self.nodes[node.index()]
    }

    /// The operator that gives a value.
    pub(crate) fn producer(&self, value: &str) -> Option<usize> {
        (0..self.nodes.len()).find(|&at| self.nodes[at].outputs.iter().any(|output| output == value))
    }

    /// Lets one node read another value in place of this one; nothing where it does not read it directly.
    pub(crate) fn rewire(&mut self, node: NodeId, from: &str, to: &str) -> Option<()> {
        let input = self.nodes[node.index()].inputs.iter_mut().find(|input| *input == from)?;
        to.clone_into(input);
        Some(())
    }

    /// Lets whatever reads a value read another one.
    pub(crate) fn redirect(&mut self, from: &str, to: &str) {
        for input in self.nodes.iter_mut().flat_map(|node| &mut node.inputs).filter(|input| *input == from) {
            to.clone_into(input);
        }
    }

    /// Takes a node out: whatever reads its result reads its operand.
    pub(crate) fn bypass(&mut self, node: NodeId) {
        let (from, to) = (self.output(node), self.nodes[node.index()].inputs[0].clone());
        self.redirect(&from, &to);
        self.remove(node);
    }

    /// Takes a node away that nothing reads any more.
    pub(crate) fn remove(&mut self, node: NodeId) {
        self.forget(node.index());
    }

    /// The same by its place.
    pub(crate) fn forget(&mut self, at: usize) {
        self.gone.insert(at);
    }

    /// A new node; its name is that of its layer and of its result.
    pub(crate) fn insert(&mut self, name: &str, op: Op, inputs: &[&str]) {
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        self.nodes.push(Draft { layer: name.to_owned(), op, inputs, outputs: vec![name.to_owned()] });
    }

    /// A new weight, of numbers that repeat nowhere.
    pub(crate) fn weight(&mut self, name: &str, shape: &[usize]) {
        let tensor = Tensor::from_f32(shape.to_vec(), &noise(shape.iter().product())).expect("as many as there are");
        self.added.push((name.to_owned(), tensor));
    }

    /// Other values for a weight; nothing where it is computed.
    pub(crate) fn fill(&mut self, name: &str, change: impl FnOnce(&mut Vec<f32>)) -> Option<()> {
        let tensor = self.tensor(name)?;
        let mut values: Vec<f32> =
            tensor.to_f64().expect("a weight that can be read").iter().map(|&v| v as f32).collect();
        change(&mut values);
        let changed = Tensor::from_f32(tensor.shape().to_vec(), &values).expect("as many as there were");
        self.changed.insert(name.to_owned(), changed);
        Some(())
    }

    /// A weight of another shape.
    pub(crate) fn reshape(&mut self, name: &str, shape: &[usize]) {
        let tensor = Tensor::from_f32(shape.to_vec(), &noise(shape.iter().product())).expect("as many as there are");
        self.changed.insert(name.to_owned(), tensor);
    }

    /// Values of a weight.
    pub(crate) fn tensor(&self, name: &str) -> Option<Tensor> {
        let id = self.source.value_ids().find(|&id| self.source.value(id).name == name)?;
        Some(self.source.as_parameter(id)?.tensor.clone())
    }

    /// The network as it is now; nodes in an order in which each comes after what it reads.
    pub(crate) fn build(&self) -> Graph {
        let source = self.source;
        let mut g = GraphBuilder::new(source.name());
        g.source(source.source().clone());
        let mut values: BTreeMap<String, ValueId> = BTreeMap::new();
        let mut layers = BTreeMap::new();
        for id in source.value_ids() {
            let value = source.value(id);
            let made = match &value.kind {
                ValueKind::Input(input) => g.input_with(value.name.raw(), input.clone(), value.order.clone()),
                ValueKind::Parameter(id) => {
                    let parameter = source.parameter(*id).clone();
                    let owner = source.layer(parameter.layer);
                    let layer =
                        *layers.entry(owner.name.clone()).or_insert_with(|| g.layer(&owner.name, &owner.kind, true));
                    let tensor = self.changed.get(value.name.raw()).unwrap_or(&parameter.tensor).clone();
                    g.parameter(Parameter { layer, tensor, ..parameter })
                }
                ValueKind::Computed { .. } => continue,
            };
            values.insert(value.name.raw().to_owned(), made);
        }
        for (name, tensor) in &self.added {
            let layer = *layers.entry(name.clone().into()).or_insert_with(|| g.layer(name, "Parameter", true));
            let (role, tensor) = (Role::Weight, tensor.clone());
            let parameter = Parameter { name: name.clone().into(), location: name.clone().into(), role, layer, tensor };
            values.insert(name.clone(), g.parameter(parameter));
        }
        let mut waiting: BTreeSet<usize> = (0..self.nodes.len()).filter(|at| !self.gone.contains(at)).collect();
        while !waiting.is_empty() {
            let is_ready = |at: &usize| self.nodes[*at].inputs.iter().all(|input| values.contains_key(input));
            let at = waiting.iter().copied().find(is_ready).expect("there is no cycle");
            waiting.remove(&at);
            let node = &self.nodes[at];
            let layer =
                *layers.entry(node.layer.clone().into()).or_insert_with(|| g.layer(&node.layer, node.op.name(), true));
            let inputs: Vec<ValueId> = node.inputs.iter().map(|input| values[input]).collect();
            let outputs: Vec<&str> = node.outputs.iter().map(String::as_str).collect();
            let made = g.node_with_outputs(node.op.clone(), &inputs, layer, &outputs);
            values.extend(node.outputs.iter().cloned().zip(made));
        }
        for &output in source.outputs() {
            g.output(values[source.value(output).name.raw()]);
        }
        g.finish().expect("the network is small")
    }
}

fn noise(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.61).sin() * 0.1).collect()
}
