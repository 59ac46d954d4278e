//! What an ONNX source calls its nodes, and what it says of them and of its values: written again.
//!
//! A node of the source may be several here and there; the one that gives its result has its name. Sources of other
//! formats name layers, and nodes have names of their own.

use std::collections::{HashMap, HashSet};

use residua_ir::{Graph, Node, Remarks, ValueRemarks};

/// See the [module](self).
pub(crate) struct Names<'a> {
    graph: &'a Graph,
    /// Whether the source is an ONNX model.
    onnx: bool,
    values: HashMap<&'a str, &'a ValueRemarks>,
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
        let last = graph.nodes().iter().map(|node| (node.layer.index(), node.name.as_str())).collect();
        Self { graph, onnx: header.is_some(), values: said, last, written: HashSet::new() }
    }

    /// The name for a node.
    pub(crate) fn of_node(&mut self, node: &Node) -> String {
        let layer = &self.graph.layer(node.layer).name;
        let gives_result = self.last.get(&node.layer.index()) == Some(&node.name.as_str());
        let own = self.onnx && gives_result && !layer.is_empty() && !self.written.contains(layer);
        let name = if own { layer.clone() } else { node.name.clone() };
        self.written.insert(name.clone());
        name
    }

    /// What is said of a value.
    pub(crate) fn of_value(&self, name: &str) -> Remarks {
        self.values.get(name).map(|value| value.remarks.clone()).unwrap_or_default()
    }

    /// The type that the source declares for an output.
    pub(crate) fn declared(&self, name: &str) -> Option<&'a residua_ir::TensorType> {
        self.values.get(name)?.declared.as_ref()
    }
}
