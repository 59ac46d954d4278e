//! Changes to a graph, planned node by node and made all at once.
//!
//! A rewrite says what stands in the place of a node: another value, a tensor, or other operators. Whatever nothing
//! reads any more goes by itself. Invariant: what stands in the place of a node refers to values that exist before it,
//! so that the order of nodes stays topological; outputs keep their names and their order of axes.

use std::collections::{BTreeMap, HashMap};

use super::RewriteError;
use crate::graph::{Graph, GraphBuilder, InputType, Node, NodeId, Parameter, SourceOrder, Value, ValueId, ValueKind};
use crate::op::Op;
use crate::validate::Typed;

/// What stands in the place of a node's result.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A value of the graph as it was.
    Old(ValueId),
    /// A tensor.
    Parameter(Box<Parameter>),
    /// An operator.
    Made(Box<Made>),
}

/// An operator that is new.
#[derive(Debug, Clone)]
pub struct Made {
    /// What it is for, if it is not what gives the node's result: goes into its name.
    pub(super) what: &'static str,
    pub(super) op: Op,
    pub(super) operands: Vec<Expr>,
    /// The node that it is, if that is not the one in whose place it stands.
    pub(super) is: Option<NodeId>,
}

impl Expr {
    /// An operator that gives a node's result.
    #[must_use]
    pub fn made(op: Op, operands: Vec<Self>) -> Self {
        Self::Made(Box::new(Made { what: "", op, operands, is: None }))
    }

    /// An operator on the way to a node's result; `what` goes into its name.
    #[must_use]
    pub fn step(what: &'static str, op: Op, operands: Vec<Self>) -> Self {
        Self::Made(Box::new(Made { what, op, operands, is: None }))
    }

    /// The same operator, known as another node of the graph than the one in whose place it stands.
    #[must_use]
    pub fn known_as(self, node: NodeId) -> Self {
        match self {
            Self::Made(made) => Self::Made(Box::new(Made { is: Some(node), ..*made })),
            Self::Old(_) | Self::Parameter(_) => self,
        }
    }
}

impl From<ValueId> for Expr {
    fn from(value: ValueId) -> Self {
        Self::Old(value)
    }
}

impl From<Parameter> for Expr {
    fn from(parameter: Parameter) -> Self {
        Self::Parameter(Box::new(parameter))
    }
}

/// Where nodes and values of a changed graph come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    nodes: Vec<NodeId>,
    values: Vec<Option<ValueId>>,
}

impl Origin {
    /// Every node and value comes from itself.
    pub(super) fn identity(graph: &Graph) -> Self {
        Self { nodes: graph.node_ids().collect(), values: graph.value_ids().map(Some).collect() }
    }

    /// Where things come from that were changed twice.
    pub(super) fn before(self, earlier: &Self) -> Self {
        let values = self.values.into_iter().map(|value| earlier.values[value?.index()]).collect();
        Self { nodes: self.nodes.into_iter().map(|node| earlier.nodes[node.index()]).collect(), values }
    }

    /// The node in whose place a node stands.
    #[must_use]
    pub fn node(&self, node: NodeId) -> NodeId {
        self.nodes[node.index()]
    }

    /// The value that a value is; `None` for what is new.
    #[must_use]
    pub fn value(&self, value: ValueId) -> Option<ValueId> {
        self.values[value.index()]
    }
}

/// Changes to be made to a graph.
#[derive(Debug)]
pub struct Edits<'m> {
    pub(super) model: &'m Typed,
    instead: BTreeMap<NodeId, Expr>,
    inputs: BTreeMap<ValueId, InputType>,
    orders: BTreeMap<ValueId, SourceOrder>,
}

impl<'m> Edits<'m> {
    /// No changes yet.
    #[must_use]
    pub fn new(model: &'m Typed) -> Self {
        Self { model, instead: BTreeMap::new(), inputs: BTreeMap::new(), orders: BTreeMap::new() }
    }

    /// Puts an expression in the place of a node with one result; the last one of several counts.
    pub fn replace(&mut self, node: NodeId, with: Expr) {
        self.instead.insert(node, with);
    }

    /// Declares an input otherwise.
    pub fn input(&mut self, input: ValueId, ty: InputType) {
        self.inputs.insert(input, ty);
    }

    /// Says how what stands for a value lies in the source.
    pub fn order(&mut self, value: ValueId, order: SourceOrder) {
        self.orders.insert(value, order);
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instead.is_empty() && self.inputs.is_empty() && self.orders.is_empty()
    }

    /// Makes the changes. The result is to be validated.
    ///
    /// # Errors
    /// Where the graph becomes too large.
    pub fn apply(mut self) -> Result<(Graph, Origin), RewriteError> {
        let names = self.settle_outputs();
        let needed = self.needed();
        let graph = self.model.graph();
        let mut copy = Copy {
            edits: &self,
            names,
            builder: GraphBuilder::new(graph.name().raw()),
            values: HashMap::new(),
            origin: Origin { nodes: Vec::new(), values: Vec::new() },
        };
        copy.everything(&needed);
        let origin = copy.origin;
        Ok((copy.builder.finish()?, origin))
    }

    /// What a value is once the nodes that pass another value on are gone.
    fn root(&self, mut value: ValueId) -> ValueId {
        while let Some(node) = self.model.graph().producer(value)
            && let Some(Expr::Old(before)) = self.instead.get(&node)
        {
            value = *before;
        }
        value
    }

    /// Outputs whose node goes: what stands for them takes their name, or, where that has one to keep, the node stays.
    fn settle_outputs(&mut self) -> HashMap<ValueId, ValueId> {
        let graph = self.model.graph();
        let mut names: HashMap<ValueId, ValueId> = HashMap::new();
        for &output in graph.outputs() {
            let root = self.root(output);
            if root == output || names.get(&root) == Some(&output) {
                continue;
            }
            let free = graph.producer(root).is_some_and(|node| graph.node(node).outputs.len() == 1)
                && !graph.is_output(root)
                && !names.contains_key(&root);
            if free {
                names.insert(root, output);
            } else if let Some(node) = graph.producer(output) {
                let old = graph.node(node);
                let kept = old.inputs.iter().map(|&input| Expr::Old(input)).collect();
                self.instead.insert(node, Expr::made(old.op.clone(), kept));
            }
        }
        names
    }

    /// Nodes that the outputs depend on.
    fn needed(&self) -> Vec<bool> {
        let graph = self.model.graph();
        let mut wanted = vec![false; graph.values().len()];
        graph.outputs().iter().for_each(|output| wanted[output.index()] = true);
        let mut needed = vec![false; graph.nodes().len()];
        for id in (0..graph.nodes().len()).rev().map(NodeId::new) {
            let node = graph.node(id);
            if !node.outputs.iter().any(|output| wanted[output.index()]) {
                continue;
            }
            needed[id.index()] = true;
            match self.instead.get(&id) {
                Some(expr) => want(expr, &mut wanted),
                None => node.inputs.iter().for_each(|input| wanted[input.index()] = true),
            }
        }
        needed
    }
}

fn want(expr: &Expr, wanted: &mut [bool]) {
    match expr {
        Expr::Old(value) => wanted[value.index()] = true,
        Expr::Parameter(_) => {}
        Expr::Made(made) => made.operands.iter().for_each(|operand| want(operand, wanted)),
    }
}

/// The new graph while it is made.
struct Copy<'e> {
    edits: &'e Edits<'e>,
    /// For a value that stands for an output, that output.
    names: HashMap<ValueId, ValueId>,
    builder: GraphBuilder,
    values: HashMap<ValueId, ValueId>,
    origin: Origin,
}

impl<'e> Copy<'e> {
    fn graph(&self) -> &'e Graph {
        self.edits.model.graph()
    }

    fn everything(&mut self, needed: &[bool]) {
        let graph = self.graph();
        self.builder.source(graph.source().clone());
        self.builder.unused(graph.unused().iter().cloned());
        for layer in graph.layers() {
            self.builder.copy_layer(layer.clone());
        }
        for &id in graph.inputs() {
            let value = graph.value(id);
            if let ValueKind::Input(declared) = &value.kind {
                let ty = self.edits.inputs.get(&id).unwrap_or(declared).clone();
                let new = self.builder.input_with(value.name.raw(), ty, self.order(id));
                self.put(Some(id), new);
            }
        }
        for id in graph.node_ids().filter(|id| needed[id.index()]) {
            self.node(id);
        }
        for &output in graph.outputs() {
            let output = self.value(output);
            self.builder.output(output);
        }
        // Counters and the like, which no node ever read.
        let consumers = graph.consumers();
        for (value, readers) in graph.value_ids().zip(&consumers) {
            if let (Some(parameter), true) = (graph.as_parameter(value), readers.is_empty())
                && !self.values.contains_key(&value)
            {
                self.builder.unread_parameter(parameter.clone());
            }
        }
        let mut of_values = vec![false; graph.parameters().len()];
        for value in graph.values() {
            if let ValueKind::Parameter(id) = value.kind {
                of_values[id.index()] = true;
            }
        }
        for id in graph.parameter_ids().filter(|id| !of_values[id.index()]) {
            self.builder.unread_parameter(graph.parameter(id).clone());
        }
    }

    /// Notes a value of the new graph, and what it was.
    fn put(&mut self, old: Option<ValueId>, new: ValueId) {
        self.origin.values.resize(self.builder.graph().values().len(), None);
        self.origin.values[new.index()] = old;
        if let Some(old) = old {
            self.values.insert(old, new);
        }
    }

    /// The value in the new graph; tensors are copied when they are first read.
    fn value(&mut self, id: ValueId) -> ValueId {
        if let Some(&new) = self.values.get(&id) {
            return new;
        }
        // Operands precede their readers, so whatever is not there yet is a tensor.
        let Some(parameter) = self.graph().as_parameter(id) else { return id };
        let new = self.builder.parameter(parameter.clone());
        self.put(Some(id), new);
        new
    }

    /// The value whose name and order a result has: an output that it stands for, or its own.
    fn shown(&self, id: ValueId) -> &'e Value {
        self.graph().value(self.names.get(&id).copied().unwrap_or(id))
    }

    fn order(&self, id: ValueId) -> SourceOrder {
        let id = self.names.get(&id).copied().unwrap_or(id);
        self.edits.orders.get(&id).unwrap_or(&self.graph().value(id).order).clone()
    }

    fn node(&mut self, id: NodeId) {
        let node = self.graph().node(id);
        match self.edits.instead.get(&id) {
            Some(Expr::Old(value)) => {
                let new = self.value(*value);
                self.values.insert(node.output(), new);
            }
            Some(expr) => {
                let expr = expr.clone();
                let new = self.expr(&expr, id, node, true);
                self.put(Some(node.output()), new);
                self.builder.set_order(new, self.order(node.output()));
            }
            None => {
                let inputs: Vec<ValueId> = node.inputs.iter().map(|&id| self.value(id)).collect();
                let names: Vec<&str> = node.outputs.iter().map(|&id| self.shown(id).name.raw()).collect();
                let outputs = self.builder.node_with_outputs(node.op.clone(), &inputs, node.layer, &names);
                self.origin.nodes.push(id);
                for (&old, new) in node.outputs.iter().zip(outputs) {
                    self.builder.set_order(new, self.order(old));
                    self.put(Some(old), new);
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr, id: NodeId, node: &Node, root: bool) -> ValueId {
        match expr {
            Expr::Old(value) => self.value(*value),
            Expr::Parameter(parameter) => {
                let new = self.builder.parameter((**parameter).clone());
                self.put(None, new);
                new
            }
            Expr::Made(made) => {
                let operands: Vec<ValueId> =
                    made.operands.iter().map(|operand| self.expr(operand, id, node, false)).collect();
                let name = &self.shown(node.output()).name;
                let name = if root { name.clone() } else { format!("{}/{}", name.raw(), made.what).into() };
                let is = made.is.unwrap_or(id);
                let layer = self.graph().node(is).layer;
                let new = self.builder.node(name.raw(), made.op.clone(), &operands, layer);
                self.origin.nodes.push(is);
                self.put(None, new);
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Checked, IdentityReason, Shape, validate};

    fn relu() -> Op {
        Op::Activation(Activation::RELU)
    }

    /// `x → relu → identity → relu → identity`, the last one an output.
    fn chain() -> Checked {
        let mut g = GraphBuilder::new("g");
        let mut x = g.input("x", Shape::batch(&[4]));
        for step in ["a", "b"] {
            x = g.add(&format!("{step}/relu"), relu(), &[x]);
            x = g.add(&format!("{step}/identity"), Op::Identity(IdentityReason::Linear), &[x]);
        }
        g.output(x);
        validate(g.finish().unwrap()).unwrap()
    }

    #[test]
    fn what_stands_for_an_output_has_its_name() {
        let model = chain();
        let mut edits = Edits::new(&model);
        for id in [1, 3].map(NodeId::new) {
            let before = model.graph().node(id).inputs[0];
            edits.replace(id, before.into());
        }
        let (changed, origin) = edits.apply().unwrap();
        let names: Vec<&str> = changed.nodes().iter().map(|node| node.name.raw()).collect();
        assert_eq!(names, ["a/relu", "b/identity"]);
        assert_eq!(origin.node(NodeId::new(1)), NodeId::new(2));
        let output = changed.outputs()[0];
        assert_eq!(changed.value(output).name, "b/identity");
    }

    #[test]
    fn an_input_that_is_an_output_keeps_the_node_between_them() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[4]));
        let y = g.add("y", Op::Identity(IdentityReason::Linear), &[x]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        let mut edits = Edits::new(&model);
        edits.replace(NodeId::new(0), x.into());
        let (changed, _) = edits.apply().unwrap();
        assert_eq!(changed.to_string(), model.graph().to_string());
    }
}
