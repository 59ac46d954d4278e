//! Nodes that are not known: kept with all that they read, so that they can be inspected, and written again as they are.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use residua_formats::onnx::schema::{GraphProto, NodeProto};
use residua_ir::{LayerId, Op, Opaque, TensorType, ValueId, Verbatim};

use super::attributes::Bindings;
use super::interface::declared;
use super::order::captured;
use super::scope::Item;
use super::{Body, Importer, Unread, is_onnx};

impl<'a> Importer<'a> {
    /// Keeps a node that is not known.
    pub(super) fn opaque(&mut self, node: &'a NodeProto, body: &Body<'a>, layer: LayerId, unread: &Unread) {
        let domain = if is_onnx(&node.domain) { "onnx" } else { &node.domain };
        let mut opaque = Opaque::new(domain, &node.op_type, unread.reason());
        opaque.misused = matches!(unread, Unread::Misused(_));
        let mut inputs: Vec<ValueId> = Vec::new();
        // Where all that it reads is a value of the graph, it can be written again.
        let mut whole = true;
        let mut operands = Vec::new();
        for name in &node.input {
            operands.push(if name.is_empty() { None } else { self.operand(name, layer, &mut inputs) });
            whole &= name.is_empty() || matches!(operands.last(), Some(Some(_)));
        }
        let mut named = Vec::new();
        for name in captured(node) {
            match self.operand(name, layer, &mut inputs) {
                Some(index) => named.push((name.to_owned(), index)),
                None => whole = false,
            }
        }
        let given: Vec<&str> = node.output.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, &name) in given.iter().enumerate() {
            places.entry(name).or_insert(at);
        }
        let shown: Vec<String> = given.iter().map(|name| self.scope.shown(name)).collect();
        opaque.results = shown.iter().map(|name| self.declared_type(name)).collect();
        opaque.verbatim = whole.then(|| Verbatim {
            message: message(node, &body.bindings),
            operands,
            results: node.output.iter().map(|name| places.get(name.as_str()).copied()).collect(),
            captured: named,
            version: body.opset(node),
        });
        let types = opaque.results.clone();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let ids = self.scope.builder.node_with_outputs(Op::Opaque(opaque), &inputs, layer, &shown);
        for ((name, id), ty) in given.into_iter().zip(ids).zip(types) {
            self.scope.define(name, Item::Value(id));
            if let Some(ty) = ty {
                self.scope.set_type(id, ty);
            }
        }
    }

    /// Adds an operand; none for a shape that is computed, which has no value here.
    fn operand(&mut self, name: &str, layer: LayerId, inputs: &mut Vec<ValueId>) -> Option<usize> {
        inputs.push(self.scope.value(name, layer).ok()?);
        Some(inputs.len() - 1)
    }

    /// The type that the model declares for a value.
    fn declared_type(&mut self, name: &str) -> Option<TensorType> {
        let graph = self.graph;
        let by_name = self.declared.get_or_insert_with(|| {
            graph.value_info.iter().chain(&graph.output).map(|info| (info.name.as_str(), info)).collect()
        });
        by_name.get(name).and_then(|info| declared(info))
    }
}

/// The node without its operands and results, its attributes as they are in this call of the function that it is in.
fn message(node: &NodeProto, bindings: &Bindings<'_>) -> Bytes {
    let mut node = NodeProto { input: Vec::new(), output: Vec::new(), ..node.clone() };
    bind(&mut node, bindings);
    node.encode_to_vec().into()
}

fn bind(node: &mut NodeProto, bindings: &Bindings<'_>) {
    node.attribute.retain_mut(|attribute| {
        if !attribute.ref_attr_name.is_empty() {
            let Some(&bound) = bindings.get(attribute.ref_attr_name.as_str()) else { return false };
            let name = std::mem::take(&mut attribute.name);
            *attribute = bound.clone();
            attribute.name = name;
        }
        let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
        graphs.flat_map(|graph: &mut GraphProto| &mut graph.node).for_each(|node| bind(node, bindings));
        true
    });
}
