//! Changes of an ONNX model.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use residua_formats::onnx::schema::{
    AttributeProto, DataType, DimensionValue, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, TypeValue,
};

use crate::kinds::{File, Kind, Numbering, Place, flipped, widened};

#[derive(Clone)]
pub(crate) struct Onnx(ModelProto);

impl Onnx {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self(ModelProto::decode(bytes).unwrap())
    }

    fn graph(&self) -> &GraphProto {
        self.0.graph.as_ref().unwrap()
    }

    fn graph_mut(&mut self) -> &mut GraphProto {
        self.0.graph.as_mut().unwrap()
    }
}

impl File for Onnx {
    fn places(&self, kind: Kind) -> Vec<Place<Self>> {
        let graph = self.graph();
        match kind {
            Kind::Bit => bits(graph),
            Kind::Attribute => attributes(graph),
            Kind::Edge => edges(graph),
            Kind::Operands => operands(graph),
            Kind::Dropped => dropped(graph),
            Kind::Doubled => doubled(graph),
            Kind::Exchanged => exchanged(graph),
            Kind::Inputs => (1..graph.input.len())
                .map(|at| place(at.to_string(), move |graph| graph.input.swap(at - 1, at)))
                .collect(),
            Kind::Outputs => (1..graph.output.len())
                .filter(|at| {
                    let numbering = numbering(graph);
                    numbering.of(&graph.output[at - 1].name) != numbering.of(&graph.output[*at].name)
                })
                .map(|at| place(at.to_string(), move |graph| graph.output.swap(at - 1, at)))
                .collect(),
            Kind::InputShape => input_shapes(graph),
            Kind::InputType => input_types(graph),
            Kind::TensorType => tensor_types(graph),
            Kind::Names => vec![place("all", rename)],
            Kind::Nodes => reordered(graph),
            Kind::Tensors => match graph.initializer.len() {
                0 | 1 => Vec::new(),
                _ => vec![place("all", |graph| graph.initializer.reverse())],
            },
            Kind::Commuted => commuted(graph),
            Kind::Unread => unread(graph),
        }
    }

    fn encode(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }
}

fn place(what: impl Into<String>, change: impl FnOnce(&mut GraphProto) + 'static) -> Place<Onnx> {
    Place::new(what, |file: &mut Onnx| change(file.graph_mut()))
}

/// What each value is made of.
fn numbering(graph: &GraphProto) -> Numbering {
    let mut numbering = Numbering::default();
    for input in &graph.input {
        numbering.put(&input.name, format!("input {}", input.name));
    }
    for tensor in &graph.initializer {
        numbering.put(&tensor.name, format!("{:?}", (tensor.data_type, &tensor.dims, &tensor.raw_data)));
    }
    for node in &graph.node {
        let inputs: Vec<usize> = node.input.iter().map(|input| numbering.of(input)).collect();
        for (which, output) in node.output.iter().enumerate() {
            if let ("Identity" | "Dropout", 0) = (&*node.op_type, which) {
                numbering.same(output, &node.input[0]);
            } else {
                numbering.put(output, format!("{:?}", (&node.op_type, &node.attribute, &inputs, which)));
            }
        }
    }
    numbering
}

/// A node with its place, in words.
fn said(node: &NodeProto) -> String {
    format!("{} {}", node.op_type, node.name)
}

fn bits(graph: &GraphProto) -> Vec<Place<Onnx>> {
    // A slice may end anywhere beyond its axis.
    let slices = graph.node.iter().filter(|node| node.op_type == "Slice");
    let ends: BTreeSet<&str> = slices.filter_map(|node| node.input.get(2).map(String::as_str)).collect();
    let tensors = graph.initializer.iter().enumerate().filter(|(_, tensor)| !ends.contains(&*tensor.name));
    let flip = |(at, tensor): (usize, &TensorProto)| {
        let size = DataType::read_as(tensor.data_type).map(residua_ir::DType::size)?;
        (!tensor.raw_data.is_empty()).then(|| {
            place(&*tensor.name, move |graph| {
                let data = &mut graph.initializer[at].raw_data;
                *data = Bytes::from(flipped(data, size).unwrap());
            })
        })
    };
    tensors.filter_map(flip).collect()
}

fn attributes(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let mut places = Vec::new();
    for (at, node) in graph.node.iter().enumerate() {
        for (which, attribute) in node.attribute.iter().enumerate() {
            if says_nothing(graph, node, attribute) {
                continue;
            }
            let Some(changed) = changed(attribute) else { continue };
            let what = format!("{}: {}", said(node), attribute.name);
            places.push(place(what, move |graph| graph.node[at].attribute[which] = changed));
        }
    }
    places
}

/// Whether an attribute has no effect there: windows of one element are not dilated, averages that hang over nothing count
/// nothing, indices of maxima are not asked for.
fn says_nothing(graph: &GraphProto, node: &NodeProto, attribute: &AttributeProto) -> bool {
    let ints = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name).map(|a| &a.ints[..]);
    match (&*node.op_type, &*attribute.name) {
        ("Conv" | "ConvTranspose" | "MaxPool" | "AveragePool", "dilations") => {
            let kernel = graph.initializer.iter().find(|tensor| Some(&tensor.name) == node.input.get(1));
            let window = ints("kernel_shape").map(<[i64]>::to_vec).or_else(|| Some(kernel?.dims.get(2..)?.to_vec()));
            window.is_some_and(|window| window.first() == Some(&1))
        }
        ("AveragePool", "count_include_pad") => ints("pads").is_none_or(|pads| pads.iter().all(|&pad| pad == 0)),
        ("MaxPool", "storage_order") => node.output.len() < 2,
        _ => false,
    }
}

fn changed(attribute: &AttributeProto) -> Option<AttributeProto> {
    let mut changed = attribute.clone();
    let AttributeProto { f, i, ints, floats, .. } = &mut changed;
    match (f, i, ints.first_mut(), floats.first_mut()) {
        (Some(f), ..) => *f = f32::from_bits(f.to_bits() ^ 1),
        // What is 0 or 1 may be a truth value.
        (None, Some(i @ (0 | 1)), ..) => *i ^= 1,
        (None, Some(i), ..) => *i += 1,
        (None, None, Some(first), _) => *first += 1,
        (None, None, None, Some(f)) => *f = f32::from_bits(f.to_bits() ^ 1),
        (None, None, None, None) => return None,
    }
    Some(changed)
}

/// What a node computes on is what an earlier node of the same operator as that of its operand gives.
fn edges(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let nodes = graph.node.iter().enumerate();
    let producers: BTreeMap<&str, usize> =
        nodes.clone().flat_map(|(at, node)| node.output.iter().map(move |output| (output.as_str(), at))).collect();
    let all = nodes.flat_map(|(at, node)| (0..node.input.len()).map(move |which| (at, node, which)));
    let numbering = numbering(graph);
    let moved = |(at, node, which): (usize, &NodeProto, usize)| {
        let producer = *producers.get(&*node.input[which])?;
        let op = &graph.node[producer].op_type;
        let is_another = |other: &NodeProto| {
            other.op_type == *op && numbering.of(&other.output[0]) != numbering.of(&node.input[which])
        };
        let other = graph.node[..producer].iter().rposition(is_another)?;
        let name = graph.node[other].output.first()?.clone();
        let what = format!("{} reads {name} instead of {}", said(node), node.input[which]);
        Some(place(what, move |graph| graph.node[at].input[which] = name))
    };
    all.filter_map(moved).collect()
}

fn commutes(node: &NodeProto) -> bool {
    matches!(&*node.op_type, "Add" | "Mul" | "Sum" | "Mean" | "Max" | "Min" | "And" | "Or" | "Xor" | "Equal")
}

/// Whether two operands are one value or tensors of the same bits.
fn alike(graph: &GraphProto, x: &str, y: &str) -> bool {
    let tensor = |name: &str| graph.initializer.iter().find(|tensor| tensor.name == name);
    x == y || tensor(x).zip(tensor(y)).is_some_and(|(p, q)| same(p, q))
}

fn same(p: &TensorProto, q: &TensorProto) -> bool {
    (p.data_type, &p.dims, &p.raw_data) == (q.data_type, &q.dims, &q.raw_data)
}

fn operands(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let mut places = Vec::new();
    for (at, node) in graph.node.iter().enumerate().filter(|(_, node)| !commutes(node)) {
        for which in 1..node.input.len() {
            // The larger of two numbers is one whichever comes first.
            let is_bound = node.op_type == "Clip" && which == 1;
            if is_bound || alike(graph, &node.input[which - 1], &node.input[which]) {
                continue;
            }
            let what = format!("{}: {which}", said(node));
            places.push(place(what, move |graph| graph.node[at].input.swap(which - 1, which)));
        }
    }
    places
}

/// The operands of what rounds one exact result, which knows no order.
fn commuted(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let exact = |node: &NodeProto| {
        matches!(&*node.op_type, "Add" | "Mul" | "And" | "Or" | "Xor" | "Equal") && node.input.len() == 2
    };
    let nodes = graph.node.iter().enumerate().filter(|(_, node)| exact(node));
    nodes.map(|(at, node)| place(said(node), move |graph| graph.node[at].input.swap(0, 1))).collect()
}

fn dropped(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let outputs: BTreeSet<&str> = graph.output.iter().map(|output| &*output.name).collect();
    let nodes = graph.node.iter().enumerate();
    let drop = |(at, node): (usize, &NodeProto)| {
        let ([output], Some(input)) = (&node.output[..], node.input.first()) else { return None };
        if matches!(&*node.op_type, "Identity" | "Dropout") || outputs.contains(&**output) {
            return None;
        }
        let (output, input) = (output.clone(), input.clone());
        Some(place(said(node), move |graph| {
            graph.node.remove(at);
            for operand in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|operand| **operand == output)
            {
                input.clone_into(operand);
            }
        }))
    };
    nodes.filter_map(drop).collect()
}

/// Whether a node does to its own result nothing more.
fn is_idempotent(node: &NodeProto) -> bool {
    matches!(
        &*node.op_type,
        "Identity"
            | "Dropout"
            | "Relu"
            | "Clip"
            | "Flatten"
            | "Reshape"
            | "Squeeze"
            | "Abs"
            | "Cast"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "Expand"
            | "Max"
            | "Min"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "ReduceMean"
            | "ReduceMax"
            | "ReduceMin"
            | "ReduceSum"
            | "Slice"
            | "Gather"
            | "Resize"
    )
}

/// A node on its own result.
fn doubled(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let nodes = graph.node.iter().enumerate();
    let double = |(at, node): (usize, &NodeProto)| {
        let ([output], Some(_)) = (&node.output[..], node.input.first()) else { return None };
        let once = format!("{output} once");
        (!is_idempotent(node)).then(|| {
            place(said(node), move |graph| {
                let mut again = graph.node[at].clone();
                again.name.push_str(" again");
                again.input[0].clone_from(&once);
                graph.node[at].output[0] = once;
                graph.node.insert(at + 1, again);
            })
        })
    };
    nodes.filter_map(double).collect()
}

fn unread(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let nodes = graph.node.iter().enumerate().filter(|(_, node)| node.output.len() == 1);
    let copied = |(at, node): (usize, &NodeProto)| {
        place(said(node), move |graph: &mut GraphProto| {
            let mut copy = graph.node[at].clone();
            copy.name.push_str(" again");
            copy.output[0].push_str(" again");
            graph.node.insert(at + 1, copy);
        })
    };
    nodes.map(copied).collect()
}

fn exchanged(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let all = &graph.initializer;
    let exchange = |at: usize| {
        let tensor = &all[at];
        let fits = |other: &TensorProto| {
            (other.data_type, &other.dims) == (tensor.data_type, &tensor.dims) && other.raw_data != tensor.raw_data
        };
        let other = at + 1 + all[at + 1..].iter().position(fits)?;
        Some(place(format!("{} and {}", tensor.name, all[other].name), move |graph| {
            let data = graph.initializer[at].raw_data.clone();
            graph.initializer[at].raw_data = std::mem::replace(&mut graph.initializer[other].raw_data, data);
        }))
    };
    (0..all.len()).filter_map(exchange).collect()
}

fn tensor_type(ty: &mut Option<TypeProto>) -> Option<&mut residua_formats::onnx::schema::TensorTypeProto> {
    match &mut ty.as_mut()?.value {
        Some(TypeValue::Tensor(tensor)) => Some(tensor),
        _ => None,
    }
}

fn input_types(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let declared = |at: usize| tensor_type(&mut graph.input[at].r#type.clone()).map_or(0, |tensor| tensor.elem_type);
    let wanted = [DataType::Float16, DataType::Double, DataType::Float, DataType::Int32];
    let others = |at| wanted.into_iter().map(|wanted| wanted as i32).filter(move |&wanted| wanted != declared(at));
    let all = (0..graph.input.len()).flat_map(|at| others(at).map(move |wanted| (at, wanted)));
    all.map(|(at, wanted)| {
        place(format!("{at}: {wanted}"), move |graph| {
            if let Some(tensor) = tensor_type(&mut graph.input[at].r#type) {
                tensor.elem_type = wanted;
            }
        })
    })
    .collect()
}

/// Each size of each input: one that is free is fixed, one that is fixed is one more.
fn input_shapes(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let rank = |at: usize| {
        let mut ty = graph.input[at].r#type.clone();
        tensor_type(&mut ty).and_then(|tensor| tensor.shape.as_ref()).map_or(0, |shape| shape.dim.len())
    };
    let all = (0..graph.input.len()).flat_map(|at| (0..rank(at)).map(move |axis| (at, axis)));
    all.map(|(at, axis)| {
        place(format!("{at}: axis {axis}"), move |graph| {
            let shape = tensor_type(&mut graph.input[at].r#type).and_then(|tensor| tensor.shape.as_mut()).unwrap();
            let value = match shape.dim[axis].value {
                Some(DimensionValue::Value(size)) => size + 1,
                _ => 3,
            };
            shape.dim[axis].value = Some(DimensionValue::Value(value));
        })
    })
    .collect()
}

/// The same numbers as f64.
fn tensor_types(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let reals = graph.initializer.iter().enumerate().filter(|(_, tensor)| tensor.data_type == DataType::Float as i32);
    let widen = |(at, tensor): (usize, &TensorProto)| {
        place(&*tensor.name, move |graph| {
            let tensor = &mut graph.initializer[at];
            tensor.data_type = DataType::Double as i32;
            tensor.raw_data = Bytes::from(widened(&tensor.raw_data));
        })
    };
    reals.map(widen).collect()
}

/// Calls everything otherwise.
fn rename(graph: &mut GraphProto) {
    let rename = |name: &mut String| {
        if !name.is_empty() {
            *name = format!("other {name}");
        }
    };
    for node in &mut graph.node {
        rename(&mut node.name);
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    graph.initializer.iter_mut().for_each(|tensor| rename(&mut tensor.name));
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.for_each(|value| rename(&mut value.name));
    rename(&mut graph.name);
}

/// Each node as late as those that read it allow.
fn reordered(graph: &GraphProto) -> Vec<Place<Onnx>> {
    let nodes = &graph.node;
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    for input in nodes.iter().flat_map(|node| &node.input) {
        *wanted.entry(input).or_default() += 1;
    }
    // From the end: of those that nobody waits for the first one.
    let mut rest: Vec<usize> = (0..nodes.len()).collect();
    let mut last_first = Vec::new();
    let open = |at: usize, wanted: &BTreeMap<&str, usize>| {
        nodes[at].output.iter().all(|output| wanted.get(&**output).copied().unwrap_or(0) == 0)
    };
    while let Some(first) = rest.iter().position(|&at| open(at, &wanted)) {
        let at = rest.remove(first);
        for input in &nodes[at].input {
            *wanted.get_mut(&**input).unwrap() -= 1;
        }
        last_first.push(at);
    }
    assert!(rest.is_empty(), "a written model has no cycles");
    last_first.reverse();
    if last_first.is_sorted() {
        return Vec::new();
    }
    vec![place("all", move |graph| graph.node = last_first.iter().map(|&at| graph.node[at].clone()).collect())]
}
