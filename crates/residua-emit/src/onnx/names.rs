//! What an ONNX source calls its nodes, and what it says of them and of its values: written again.
//!
//! A node of the source may be several here: the first of its own kind has its name, or, where none is, the one that gives
//! its result. So what was written is read and written again under the same names. Sources of other formats name layers,
//! and nodes have names of their own.

use std::collections::{HashMap, HashSet};

use residua_ir::{Graph, Layer, Metadata, Node, Op, ValueMetadata};

/// See the [module](self).
pub(crate) struct Names<'a> {
    graph: &'a Graph,
    /// Whether the source is an ONNX model.
    onnx: bool,
    values: HashMap<&'a str, &'a ValueMetadata>,
    /// For each layer, the name of its last node.
    last: HashMap<usize, &'a str>,
    /// Names of nodes that are written.
    written: HashSet<String>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(graph: &'a Graph) -> Self {
        let header = graph.source().onnx.as_ref();
        let values = header.iter().flat_map(|header| &header.values);
        let mut said = HashMap::new();
        for value in values {
            // An output stands before what is said of the same value elsewhere.
            said.entry(value.name.as_str()).or_insert(value);
        }
        let last = graph.nodes().iter().map(|node| (node.layer.index(), node.name.raw())).collect();
        Self { graph, onnx: header.is_some(), values: said, last, written: HashSet::new() }
    }

    /// The layer whose name and metadata this operator takes, of those that a node is written as.
    fn claimed(&mut self, node: &Node, op: &str, gives_result: bool) -> Option<&'a Layer> {
        let graph = self.graph;
        let layer = graph.layer(node.layer);
        // A mean over both axes becomes the pool that it is.
        let pool = matches!(node.op, Op::GlobalPool(_)) && op.starts_with("Global");
        let last = gives_result && self.last.get(&node.layer.index()) == Some(&node.name.raw());
        let own = self.onnx && (last || pool || op == layer.kind) && !layer.name.is_empty();
        (own && self.written.insert(layer.name.raw().to_owned())).then_some(layer)
    }

    /// The name for the operator that gives a node's result, and what is said of it.
    pub(crate) fn of_node(&mut self, node: &Node, op: &str) -> (String, Option<&'a Metadata>) {
        match self.claimed(node, op, true) {
            Some(layer) => (layer.name.raw().to_owned(), Some(&layer.metadata)),
            None => {
                self.written.insert(node.name.raw().to_owned());
                (node.name.raw().to_owned(), None)
            }
        }
    }

    /// The same for an operator on the way there, whose result has this name.
    pub(crate) fn of_step(&mut self, node: &Node, op: &str, result: &str) -> (String, Option<&'a Metadata>) {
        // What is written out here is read again as one operator in the place of its last: that has the name.
        let written_out = matches!(node.op, Op::Activation(_) | Op::LayerNorm(_) | Op::GroupNorm(_));
        match if written_out { None } else { self.claimed(node, op, false) } {
            Some(layer) => (layer.name.raw().to_owned(), Some(&layer.metadata)),
            None => (result.to_owned(), None),
        }
    }

    /// What is said of a value.
    pub(crate) fn of_value(&self, name: &str) -> Metadata {
        self.values.get(name).map(|value| value.metadata.clone()).unwrap_or_default()
    }

    /// The type that the source declares for an output.
    pub(crate) fn declared(&self, name: &str) -> Option<&'a residua_ir::TensorType> {
        self.values.get(name)?.declared.as_ref()
    }
}
