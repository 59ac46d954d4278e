//! The table with a row a layer, in the order of the source.

use std::collections::{HashMap, HashSet};

use residua_ir::op::description::Flow;
use residua_ir::{
    Checked, Finding, Framework, Graph, LayerId, Name, Node, NodeId, Parameter, ReceptiveField, Shape, ValueId,
    receptive_fields,
};
use residua_resnet::Anatomy;
use serde::Serialize;

use super::cost::{self, Parameters};
use super::interface::{Size, sizes};
use super::parts::parts;
use crate::options::Count;

/// A layer of the source.
#[derive(Debug, Default, Serialize)]
pub struct LayerRow<'a> {
    /// Its name in the source.
    pub name: &'a str,
    /// What the framework calls it.
    pub op: &'a str,
    /// Of its (last) result, in the source's axis order.
    pub output_shape: Option<Vec<Size>>,
    /// Numbers that it holds.
    pub parameters: u64,
    /// Those of them that are trained.
    pub trainable: u64,
    /// Null where a size is not known.
    pub macs: Option<u64>,
    /// Layers and inputs that it reads.
    pub connected_to: Vec<&'a str>,
    /// `stem`, the name of a block, `head`; `loose` for what lies between blocks. Null in a network without blocks.
    pub part: Option<&'a str>,
    /// Its window; null for a layer without one.
    #[serde(flatten)]
    pub window: Windows,
    /// Bytes of what it gives, for a batch of 1. Null where a size is not known.
    pub memory: Option<u64>,
    /// Of the image, through the widest path.
    pub receptive_field: Option<Field>,
    /// Pixels of the image between neighbouring pixels of the result.
    pub step: Option<[u64; 2]>,
    /// Share of all parameters that this layer and those above it have.
    pub cumulative_parameters: Option<f64>,
    /// Share of all multiply-adds that this layer and those above it have.
    pub cumulative_macs: Option<f64>,
    /// Codes of the findings about it.
    pub findings: Vec<&'static str>,
    /// The shape with the free sizes as expressions.
    #[serde(skip)]
    pub shape_text: String,
}

/// The window of a convolution or pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Rows and columns, as all of these.
    pub kernel: Option<[usize; 2]>,
    pub stride: Option<[usize; 2]>,
    pub dilation: Option<[usize; 2]>,
    pub groups: Option<usize>,
}

impl Windows {
    fn of(model: &Checked, node: &Node) -> Option<Self> {
        let of_kernel = || {
            let kernel = model.shape_of(*node.inputs.get(1)?)?.as_fixed()?;
            Some([*kernel.get(2)?, *kernel.get(3)?])
        };
        let described = node.op.describe();
        let (Flow::Window(windows) | Flow::Spread(windows)) = described.flow else { return None };
        let kernel = windows.kernel.or_else(of_kernel)?;
        let groups = described.class.groups();
        let (stride, dilation) = (Some(windows.strides), Some(windows.dilations));
        Some(Self { kernel: Some(kernel), stride, dilation, groups })
    }
}

/// A receptive field: `[427, 427]`, or `"all"` of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// Rows and columns.
    Window([u64; 2]),
    /// All of the input.
    Whole(&'static str),
}

/// The rows of a model; `sized` is the same model at sizes that are known, `macs` of each node there.
pub(super) fn rows<'a>(
    model: &'a Checked,
    sized: &Checked,
    anatomy: &'a Anatomy,
    macs: &[Option<u64>],
    count: Count,
) -> Vec<LayerRow<'a>> {
    let graph = model.graph();
    let mut nodes: Vec<Vec<NodeId>> = vec![Vec::new(); graph.layers().len()];
    for id in graph.node_ids() {
        nodes[graph.node(id).layer.index()].push(id);
    }
    let mut parameters = vec![Parameters::default(); graph.layers().len()];
    for parameter in graph.parameters() {
        parameters[parameter.layer.index()].add(graph, parameter, count);
    }
    let fields = receptive_fields(model);
    let parts = parts(graph, anatomy);
    let consumers = graph.consumers();
    let mut rows = inputs(model, sized, &fields);
    // The inputs that layers without nodes stand for.
    let named: HashMap<&str, ValueId> = graph.inputs().iter().map(|&id| (graph.value(id).name.raw(), id)).collect();
    rows.extend(graph.layer_ids().map(|id| {
        let layer = graph.layer(id);
        let nodes = &nodes[id.index()];
        let result = nodes
            .last()
            .map(|&node| graph.node(node).output())
            .or_else(|| named.get(graph.layer(id).name.raw()).copied());
        let given = |node: &NodeId| {
            let output = graph.node(*node).output();
            let readers = &consumers[output.index()];
            let leaves = readers.is_empty() || readers.iter().any(|&reader| graph.node(reader).layer != id);
            (leaves || graph.is_output(output)).then_some(output)
        };
        LayerRow {
            name: layer.name.raw(),
            op: layer.kind.raw(),
            parameters: parameters[id.index()].total,
            trainable: parameters[id.index()].trainable,
            macs: nodes.iter().try_fold(0u64, |sum, node| sum.checked_add(macs[node.index()]?)),
            connected_to: operands(graph, id, nodes),
            part: nodes.last().and_then(|node| parts[node.index()]),
            window: nodes.iter().find_map(|&node| Windows::of(model, graph.node(node))).unwrap_or_default(),
            memory: if nodes.is_empty() {
                result.and_then(|value| memory(sized, value))
            } else {
                nodes.iter().filter_map(given).try_fold(0u64, |sum, value| sum.checked_add(memory(sized, value)?))
            },
            ..of_value(model, &fields, result)
        }
    }));
    accumulate(&mut rows);
    rows
}

fn memory(sized: &Checked, value: ValueId) -> Option<u64> {
    cost::bytes(sized.type_of(value)?)
}

/// What there is to say about the value that a layer gives.
fn of_value<'a>(model: &Checked, fields: &[Option<ReceptiveField>], value: Option<ValueId>) -> LayerRow<'a> {
    let shape = value.and_then(|value| model.source_shape_of(value));
    let (receptive_field, step) = match value.and_then(|value| fields[value.index()]) {
        Some(ReceptiveField::Window { size, step }) => (Some(Field::Window(size)), Some(step)),
        Some(ReceptiveField::Whole) => (Some(Field::Whole("all")), None),
        None => (None, None),
    };
    LayerRow {
        output_shape: shape.as_ref().map(sizes),
        shape_text: shape.as_ref().map_or_else(String::new, Shape::to_string),
        receptive_field,
        step,
        ..LayerRow::default()
    }
}

/// A row for each input that is no layer of its own: Keras counts inputs as layers, ONNX gives them names.
fn inputs<'a>(model: &'a Checked, sized: &Checked, fields: &[Option<ReceptiveField>]) -> Vec<LayerRow<'a>> {
    let graph = model.graph();
    let op = if graph.source().framework == Framework::Keras { "InputLayer" } else { "Input" };
    let layers: HashSet<&str> = graph.layers().iter().map(|layer| layer.name.raw()).collect();
    let own = |id: &ValueId| !layers.contains(graph.value(*id).name.raw());
    let row = |id: ValueId| LayerRow {
        name: graph.value(id).name.raw(),
        op,
        macs: Some(0),
        memory: memory(sized, id),
        ..of_value(model, fields, Some(id))
    };
    graph.inputs().iter().copied().filter(own).map(row).collect()
}

fn operands<'a>(graph: &'a Graph, layer: LayerId, nodes: &[NodeId]) -> Vec<&'a str> {
    let (mut names, mut seen): (Vec<&str>, HashSet<&str>) = (Vec::new(), HashSet::new());
    for &value in nodes.iter().flat_map(|&node| &graph.node(node).inputs) {
        if graph.as_parameter(value).is_some() {
            continue;
        }
        let name = match graph.producer(value).map(|node| graph.node(node).layer) {
            Some(own) if own == layer => continue,
            Some(other) => graph.layer(other).name.raw(),
            None => graph.value(value).name.raw(),
        };
        if seen.insert(name) {
            names.push(name);
        }
    }
    names
}

/// Fills in the shares of what lies above each row.
fn accumulate(rows: &mut [LayerRow]) {
    let parameters: u64 = rows.iter().map(|row| row.parameters).sum();
    let macs = rows.iter().try_fold(0u64, |sum, row| sum.checked_add(row.macs?));
    let (mut parameters_so_far, mut macs_so_far) = (0u64, 0u64);
    for row in rows {
        parameters_so_far += row.parameters;
        macs_so_far = macs_so_far.saturating_add(row.macs.unwrap_or(0));
        row.cumulative_parameters = share(parameters_so_far, Some(parameters));
        row.cumulative_macs = share(macs_so_far, macs);
    }
}

/// A share to a millionth; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "six digits are kept")]
fn share(part: u64, whole: Option<u64>) -> Option<f64> {
    let whole = whole.filter(|&whole| whole > 0)?;
    Some((part as f64 / whole as f64 * 1e6).round() / 1e6)
}

/// Notes at each row which findings are about it: by the name of the layer, of one of its nodes, or of its tensors.
pub(super) fn mark(rows: &mut [LayerRow], graph: &Graph, findings: &[Finding]) {
    let mut layers: HashMap<&str, &str> = HashMap::new();
    let layer = |id: LayerId| graph.layer(id).name.raw();
    let of_tensor = |parameter: &'_ Parameter| layer(parameter.layer);
    layers.extend(graph.parameters().iter().map(|parameter| (parameter.name.raw(), of_tensor(parameter))));
    layers.extend(graph.nodes().iter().map(|node| (node.name.raw(), layer(node.layer))));
    layers.extend(graph.layers().iter().map(|layer| (layer.name.raw(), layer.name.raw())));
    let places: HashMap<&str, usize> = rows.iter().enumerate().map(|(index, row)| (row.name, index)).collect();
    for row in rows.iter_mut() {
        row.findings.clear();
    }
    for finding in findings {
        let Some(name) = finding.node.as_ref().map(Name::raw) else { continue };
        let name = layers.get(name).copied().unwrap_or(name);
        if let Some(&row) = places.get(name)
            && !rows[row].findings.contains(&finding.code.id)
        {
            rows[row].findings.push(finding.code.id);
        }
    }
}
