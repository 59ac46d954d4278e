//! The table with a row a layer, in the order of the source.

use residua_ir::{Checked, Graph, LayerId, NodeId, Shape, ValueId};
use serde::Serialize;

use super::cost::Parameters;
use super::interface::{Size, sizes};

/// A layer of the source.
#[derive(Debug, Serialize)]
pub(crate) struct LayerRow<'a> {
    pub(crate) name: &'a str,
    /// What the framework calls it.
    pub(crate) op: &'a str,
    /// Of its (last) result, in the source's axis order.
    pub(crate) output_shape: Option<Vec<Size>>,
    pub(crate) parameters: u64,
    pub(crate) trainable: u64,
    /// Null where a size is not known.
    pub(crate) macs: Option<u64>,
    /// Layers and inputs that it reads.
    pub(crate) connected_to: Vec<&'a str>,
    /// The shape with the free sizes as expressions.
    #[serde(skip)]
    pub(crate) shape_text: String,
}

/// The rows of a model; `macs` of each node.
pub(super) fn rows<'a>(model: &'a Checked, macs: &[Option<u64>]) -> Vec<LayerRow<'a>> {
    let graph = model.graph();
    let mut nodes: Vec<Vec<NodeId>> = vec![Vec::new(); graph.layers().len()];
    for id in graph.node_ids() {
        nodes[graph.node(id).layer.index()].push(id);
    }
    let mut parameters = vec![Parameters::default(); graph.layers().len()];
    for parameter in graph.parameters() {
        parameters[parameter.layer.index()].add(graph, parameter);
    }
    let mut rows = inputs(model);
    rows.extend(graph.layer_ids().map(|id| {
        let layer = graph.layer(id);
        let nodes = &nodes[id.index()];
        let result = nodes.last().map(|&node| graph.node(node).output()).or_else(|| input_of(graph, id));
        let shape = result.and_then(|value| model.source_shape_of(value));
        LayerRow {
            name: &layer.name,
            op: &layer.kind,
            output_shape: shape.as_ref().map(sizes),
            shape_text: shape.as_ref().map_or_else(String::new, Shape::to_string),
            parameters: parameters[id.index()].total,
            trainable: parameters[id.index()].trainable,
            macs: nodes.iter().try_fold(0u64, |sum, node| sum.checked_add(macs[node.index()]?)),
            connected_to: operands(graph, id, nodes),
        }
    }));
    rows
}

/// A row for each input that is no layer of its own: Keras counts inputs as layers, ONNX gives them names.
fn inputs(model: &Checked) -> Vec<LayerRow<'_>> {
    let graph = model.graph();
    let op = if graph.source().framework == "keras" { "InputLayer" } else { "Input" };
    let own = |id: &ValueId| graph.layers().iter().all(|layer| layer.name != graph.value(*id).name);
    let row = |id: ValueId| {
        let shape = model.source_shape_of(id);
        LayerRow {
            name: &graph.value(id).name,
            op,
            output_shape: shape.as_ref().map(sizes),
            shape_text: shape.as_ref().map_or_else(String::new, Shape::to_string),
            parameters: 0,
            trainable: 0,
            macs: Some(0),
            connected_to: Vec::new(),
        }
    };
    graph.inputs().iter().copied().filter(own).map(row).collect()
}

/// The input that a layer without nodes stands for.
fn input_of(graph: &Graph, layer: LayerId) -> Option<ValueId> {
    let name = graph.layer(layer).name.as_str();
    graph.inputs().iter().copied().find(|&id| graph.value(id).name == name)
}

fn operands<'a>(graph: &'a Graph, layer: LayerId, nodes: &[NodeId]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for &value in nodes.iter().flat_map(|&node| &graph.node(node).inputs) {
        if graph.as_parameter(value).is_some() {
            continue;
        }
        let name = match graph.producer(value).map(|node| graph.node(node).layer) {
            Some(own) if own == layer => continue,
            Some(other) => graph.layer(other).name.as_str(),
            None => graph.value(value).name.as_str(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
