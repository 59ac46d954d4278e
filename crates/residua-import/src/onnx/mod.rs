//! ONNX messages to a graph.
//!
//! Operators are read by their definition in the model's operator set; an attribute that is not known, an operand that
//! must be known and is not, a result beyond the first that something reads: each makes the node [`Op::Opaque`] with
//! the reason, never something close to it. Axes are those that the model declares, so the interface has the source's
//! order by definition.
//!
//! Nodes are read in topological order whatever their order in the file. Subgraphs and functions are not entered.

mod attributes;
mod constants;
mod interface;
mod nodes;
mod order;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::{ModelProto, NodeProto};
use residua_ir::{Graph, GraphBuilder, LayerId, Op, Opaque, Source, Unused, ValueId};

use crate::error::{Error, Result};
use attributes::Attributes;
use scope::{Constant, Item, Scope};

/// Newest operator set whose operators are known.
const NEWEST_OPSET: i64 = 28;

/// Why an operator is not known.
#[derive(Debug)]
struct Unknown(String);

/// A node while it is read.
struct Reader<'a> {
    scope: &'a mut Scope,
    node: &'a NodeProto,
    attributes: &'a Attributes<'a>,
    opset: i64,
    layer: LayerId,
    /// Name of the first result.
    name: &'a str,
}

fn source(model: &ModelProto, opset: i64) -> Source {
    let about = |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone());
    let producer = if model.producer_name.is_empty() { "onnx" } else { model.producer_name.as_str() };
    Source {
        format: "onnx".to_owned(),
        framework: producer.to_owned(),
        version: (!model.producer_version.is_empty()).then(|| model.producer_version.clone()),
        notes: vec![format!("IR version {}, opset {opset}", model.ir_version)],
        dangers: Vec::new(),
        preprocessing: about("residua.preprocessing"),
        architecture: about("residua.architecture"),
    }
}

/// The version of ONNX's own operators that a model uses.
fn opset(model: &ModelProto) -> Result<i64> {
    let own = model.opset_import.iter().find(|set| is_onnx(&set.domain));
    let version = own.map_or(1, |set| set.version);
    if (1..=NEWEST_OPSET).contains(&version) {
        return Ok(version);
    }
    Err(Error::Unsupported {
        what: format!("operator set {version}"),
        help: format!("sets 1 to {NEWEST_OPSET} are read; export the model with one of them"),
    })
}

fn is_onnx(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The network in a container.
///
/// # Errors
/// [`Error`], naming the node or tensor it is about.
pub fn import(file: OnnxFile, name: &str) -> Result<Graph> {
    let model = &file.model;
    let malformed =
        |what: &str| Error::Config { at: "model".to_owned(), expected: what.to_owned(), found: "none".to_owned() };
    let graph = model.graph.as_ref().ok_or_else(|| malformed("a graph"))?;
    if !graph.sparse_initializer.is_empty() {
        let what = "a model with sparse tensors".to_owned();
        return Err(Error::Unsupported { what, help: "export it with dense ones".to_owned() });
    }
    let opset = opset(model)?;
    let mut builder = GraphBuilder::new(if graph.name.is_empty() { name } else { &graph.name });
    builder.source(source(model, opset));
    let mut scope = Scope::new(builder);
    for proto in &graph.initializer {
        if scope.is_defined(&proto.name) {
            let at = format!("tensor `{}`", proto.name);
            return Err(Error::Config { at, expected: "one of this name".to_owned(), found: "two".to_owned() });
        }
        let constant =
            Constant { tensor: file.tensor(proto)?, name: proto.name.clone(), literal: proto.dims.is_empty() };
        scope.define(&proto.name, Item::Constant(constant));
    }
    interface::inputs(&mut scope, graph)?;
    let read: HashSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.input)
        .chain(graph.output.iter().map(|o| &o.name))
        .map(String::as_str)
        .collect();
    for index in order::order(graph)? {
        node(&mut scope, &file, &graph.node[index], opset, &read)?;
    }
    interface::outputs(&mut scope, graph)?;
    let unused = graph
        .initializer
        .iter()
        .filter(|tensor| !scope.read.contains(&tensor.name))
        .map(|tensor| Unused { location: tensor.name.clone(), reason: "no node reads it".to_owned() });
    let unused: Vec<Unused> = unused.collect();
    scope.builder.unused(unused);
    Ok(scope.builder.finish()?)
}

/// Reads one node.
fn node(scope: &mut Scope, file: &OnnxFile, node: &NodeProto, opset: i64, read: &HashSet<&str>) -> Result<()> {
    let Some(first) = node.output.iter().find(|name| !name.is_empty()) else { return Ok(()) };
    if let Some(missing) = node.input.iter().find(|name| !name.is_empty() && !scope.is_defined(name)) {
        return Err(Error::Layer {
            layer: node.name.clone(),
            kind: node.op_type.clone(),
            problem: format!("it reads `{missing}`, which nothing gives"),
        });
    }
    if let Some(again) = node.output.iter().find(|name| !name.is_empty() && scope.is_defined(name)) {
        return Err(Error::Layer {
            layer: node.name.clone(),
            kind: node.op_type.clone(),
            problem: format!("its result `{again}` has the name of an input or tensor"),
        });
    }
    let attributes = Attributes::of(node);
    let known = if is_onnx(&node.domain) {
        let folded = constants::fold(scope, file, node, opset)?;
        if let Some(item) = folded {
            scope.define(first, item);
            return Ok(());
        }
        let name = if node.name.is_empty() { first } else { &node.name };
        let layer = scope.builder.layer(name, &node.op_type, true);
        let reader = Reader { scope, node, attributes: &attributes, opset, layer, name: first };
        // Operators are known by their first result; what else they give is for training.
        let more = node.output.iter().skip(1).any(|name| read.contains(name.as_str()) && !name.is_empty());
        let result = if more {
            Err(Unknown("something reads a result of it beyond the first".to_owned()))
        } else {
            nodes::read(reader)
        };
        result.map_err(|unknown| (layer, unknown))
    } else {
        let layer = scope.builder.layer(if node.name.is_empty() { first } else { &node.name }, &node.op_type, true);
        Err((layer, Unknown(format!("operators of the domain `{}` are not known", node.domain))))
    };
    match known {
        Ok(value) => scope.define(first, Item::Value(value)),
        Err((layer, unknown)) => opaque(scope, node, layer, unknown)?,
    }
    Ok(())
}

/// Keeps a node that is not known, so that it can be inspected.
fn opaque(scope: &mut Scope, node: &NodeProto, layer: LayerId, unknown: Unknown) -> Result<()> {
    let domain = if is_onnx(&node.domain) { "onnx" } else { &node.domain };
    let op = Op::Opaque(Opaque { domain: domain.to_owned(), op_type: node.op_type.clone(), reason: unknown.0 });
    let mut inputs = Vec::new();
    for name in node.input.iter().filter(|name| !name.is_empty()) {
        // Shapes that are computed have no value here.
        if let Ok(id) = scope.value(name, layer) {
            inputs.push(id);
        }
    }
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let ids: Vec<ValueId> = scope.builder.node_with_outputs(op, &inputs, layer, &outputs);
    for (name, id) in outputs.into_iter().zip(ids) {
        scope.define(name, Item::Value(id));
    }
    Ok(())
}
