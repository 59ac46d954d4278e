//! Operators: which are there once only, compute something else, or take something else.

use residua_ir::{Checked, Graph, Node, NodeId, Op, ValueId, ValueKind};
use serde::Serialize;
use serde_json::Value;

use super::Change;
use super::align::Alignment;

/// What differs between the operators.
#[derive(Debug, Default, Serialize)]
pub struct Layers {
    /// Operators that are the same.
    pub same: usize,
    /// Those of the first model alone.
    pub only_a: Vec<Layer>,
    /// Those of the second alone.
    pub only_b: Vec<Layer>,
    /// The same under another name.
    pub renamed: Vec<Change>,
    /// Those that compute something else.
    pub changed: Vec<LayerChange>,
    /// Those that take something else.
    pub moved: Vec<Moved>,
}

/// An operator of one model.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// Name of the layer.
    pub name: String,
    /// What the operator is called.
    pub op: String,
}

/// An operator that computes something else.
#[derive(Debug, Serialize)]
pub struct LayerChange {
    /// Its name in A.
    pub name: String,
    /// Its name in B.
    pub name_b: String,
    /// What the operator is called.
    pub op: String,
    /// What of it has another value.
    pub attributes: Vec<Change>,
}

/// An operator that takes something else.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// Its name in A.
    pub name: String,
    /// Its name in B.
    pub name_b: String,
    /// What it takes in A, by the names there.
    pub a: Vec<String>,
    /// What it takes in B.
    pub b: Vec<String>,
}

impl Layers {
    /// Whether nothing differs but names, where these count at all.
    pub fn is_same(&self, names: bool) -> bool {
        let Self { same: _, only_a, only_b, renamed, changed, moved } = self;
        only_a.is_empty()
            && only_b.is_empty()
            && changed.is_empty()
            && moved.is_empty()
            && (!names || renamed.is_empty())
    }
}

pub(super) fn compare(a: &Checked, b: &Checked, alignment: &Alignment) -> Layers {
    let (graph_a, graph_b) = (a.graph(), b.graph());
    let layer = |node: &Node| Layer { name: node.name.raw().to_owned(), op: node.op.name().to_owned() };
    let mut layers = Layers::default();
    for id in graph_a.node_ids() {
        let node = graph_a.node(id);
        let Some(other) = alignment.in_b(id) else {
            layers.only_a.push(layer(node));
            continue;
        };
        let twin = graph_b.node(other);
        let attributes = attributes(&node.op, &twin.op);
        let moved = moved(graph_a, graph_b, alignment, id, other);
        if attributes.is_empty() && moved.is_none() {
            layers.same += 1;
        }
        layers.renamed.extend(Change::between(node.op.name(), node.name.raw().to_owned(), twin.name.raw().to_owned()));
        layers.moved.extend(moved);
        if !attributes.is_empty() {
            let (name, name_b, op) = (node.name.clone(), twin.name.clone(), node.op.name().to_owned());
            layers.changed.push(LayerChange { name: name.into_raw(), name_b: name_b.into_raw(), op, attributes });
        }
    }
    let rest = graph_b.node_ids().filter(|&id| alignment.in_a(id).is_none());
    layers.only_b = rest.map(|id| layer(graph_b.node(id))).collect();
    layers
}

/// Attributes of one operator that have another value in the other; where they are other operators, both as they are.
fn attributes(a: &Op, b: &Op) -> Vec<Change> {
    if a == b {
        return Vec::new();
    }
    if std::mem::discriminant(a) != std::mem::discriminant(b) || a.name() != b.name() {
        return Change::between("operator", a.name().to_owned(), b.name().to_owned()).into_iter().collect();
    }
    let (Ok(a), Ok(b)) = (serde_json::to_value(a), serde_json::to_value(b)) else { return Vec::new() };
    let mut found = Vec::new();
    collect(&mut found, "", inner(&a), inner(&b));
    found
}

/// The attributes of an operator: `{"conv": {…}}` without its name.
fn inner(op: &Value) -> &Value {
    match op.as_object().and_then(|object| object.values().next()) {
        Some(inner) => inner,
        None => op,
    }
}

fn collect(found: &mut Vec<Change>, path: &str, a: &Value, b: &Value) {
    if a == b {
        return;
    }
    match (a, b) {
        // Four sides are one amount.
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) && !a.contains_key("top") => {
            for (key, value) in a {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(found, &path, value, &b[key]);
            }
        }
        _ => {
            let what = if path.is_empty() { "operator" } else { path };
            found.extend(Change::between(what, words(a), words(b)));
        }
    }
}

/// A value of an attribute as text.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let mut sides = object.values();
            if object.contains_key("top")
                && let Some(first) = sides.next()
                && sides.all(|side| side == first)
            {
                return format!("{} on each side", words(first));
            }
            let parts: Vec<String> = object.iter().map(|(key, value)| format!("{key} {}", words(value))).collect();
            parts.join(" ")
        }
        other => other.to_string(),
    }
}

/// What an operator takes, where that does not correspond.
fn moved(a: &Graph, b: &Graph, alignment: &Alignment, id: NodeId, other: NodeId) -> Option<Moved> {
    let takes_a: Vec<Origin> = origins(a, id, |node| alignment.in_b(node).is_some());
    let takes_b: Vec<Origin> = origins(b, other, |node| alignment.in_a(node).is_some());
    let in_b = |origin: &Origin| match *origin {
        Origin::Input(place) => Some(Origin::Input(place)),
        Origin::Node(node, index) => alignment.in_b(node).map(|node| Origin::Node(node, index)),
        Origin::Nothing => None,
    };
    let mut wanted: Vec<Option<Origin>> = takes_a.iter().map(in_b).collect();
    let mut found: Vec<Option<Origin>> = takes_b.iter().map(|&origin| Some(origin)).collect();
    if matches!(a.node(id).op, Op::Elementwise(op) if op.most_operands() > 2) {
        wanted.sort_unstable();
        found.sort_unstable();
    }
    if wanted == found {
        return None;
    }
    let names = |graph: &Graph, id: NodeId| {
        let inputs = graph.node(id).inputs.iter().filter(|&&input| graph.as_parameter(input).is_none());
        inputs.map(|&input| giver(graph, input)).collect::<Vec<String>>()
    };
    let (name, name_b) = (a.node(id).name.clone(), b.node(other).name.clone());
    Some(Moved { name: name.into_raw(), name_b: name_b.into_raw(), a: names(a, id), b: names(b, other) })
}

/// Where an operand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Input of the model, by place.
    Input(usize),
    /// Output of an operator that is in both models.
    Node(NodeId, usize),
    /// Of one that is in one model only, and takes several values or none.
    Nothing,
}

/// Origins of the operands that are computed; what is in one model only and passes one value on is looked through, so that
/// a layer that was put in between is told of once.
fn origins(graph: &Graph, id: NodeId, both: impl Fn(NodeId) -> bool) -> Vec<Origin> {
    let inputs = graph.node(id).inputs.iter().copied().filter(|&input| graph.as_parameter(input).is_none());
    inputs.map(|input| origin(graph, input, &both)).collect()
}

fn origin(graph: &Graph, mut value: ValueId, both: &impl Fn(NodeId) -> bool) -> Origin {
    loop {
        match graph.value(value).kind {
            ValueKind::Computed { node, index } if both(node) => return Origin::Node(node, index),
            ValueKind::Computed { node, .. } => {
                let inputs = graph.node(node).inputs.iter().copied();
                let mut computed = inputs.filter(|&input| graph.as_parameter(input).is_none());
                match (computed.next(), computed.next()) {
                    (Some(only), None) => value = only,
                    (Some(_), Some(_)) | (None, _) => return Origin::Nothing,
                }
            }
            ValueKind::Input(_) => {
                let place = graph.inputs().iter().position(|&input| input == value);
                return place.map_or(Origin::Nothing, Origin::Input);
            }
            ValueKind::Parameter(_) => return Origin::Nothing,
        }
    }
}

/// What gives a value, by name.
fn giver(graph: &Graph, value: ValueId) -> String {
    match graph.producer(value) {
        Some(node) => graph.node(node).name.raw().to_owned(),
        None => graph.value(value).name.raw().to_owned(),
    }
}
