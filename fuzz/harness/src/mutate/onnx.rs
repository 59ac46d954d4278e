//! ONNX: sizes, types, names, attributes, edges and nodes of a decoded model.

use bytes::Bytes;
use fastrand::Rng;
use prost::Message;
use residua::formats::onnx::schema::{
    AttributeProto, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto,
    TypeValue, ValueInfoProto,
};

use super::{numbers, times};

/// Operators that do much with what they are given.
const OPERATORS: &[&str] = &[
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "CumSum",
    "DequantizeLinear",
    "Div",
    "Einsum",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "If",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "QLinearConv",
    "QuantizeLinear",
    "Range",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Sub",
    "Sum",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// The model with some changes; none where these bytes are no model.
pub(super) fn mutate(data: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    let mut model = ModelProto::decode(data).ok()?;
    for _ in 0..times(random) {
        change(&mut model, random);
    }
    Some(model.encode_to_vec())
}

fn change(model: &mut ModelProto, random: &mut Rng) {
    match random.u8(..20) {
        0 => {
            if let Some(set) = any(&mut model.opset_import, random) {
                set.version = random.i64(-1..=30);
            }
        }
        1 => outline(model, random),
        2 => {
            if let Some(function) = any(&mut model.functions, random) {
                nodes(&mut function.node, random);
            }
        }
        _ => {
            if let Some(graph) = &mut model.graph {
                graphs(graph, random);
            }
        }
    }
}

fn any<'a, T>(items: &'a mut [T], random: &mut Rng) -> Option<&'a mut T> {
    let place = random.usize(..items.len().max(1));
    items.get_mut(place)
}

/// A node becomes a call of a function that holds it.
fn outline(model: &mut ModelProto, random: &mut Rng) {
    let Some(graph) = &mut model.graph else { return };
    let Some(node) = any(&mut graph.node, random) else { return };
    let name = format!("f{}", random.u8(..3));
    let call = NodeProto { op_type: name.clone(), domain: "local".to_owned(), attribute: Vec::new(), ..node.clone() };
    let body = std::mem::replace(node, call);
    model.functions.push(FunctionProto {
        name,
        domain: "local".to_owned(),
        input: body.input.clone(),
        output: body.output.clone(),
        opset_import: model.opset_import.clone(),
        node: vec![body],
        ..FunctionProto::default()
    });
}

fn graphs(graph: &mut GraphProto, random: &mut Rng) {
    match random.u8(..10) {
        0 => {
            let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
            let mut values: Vec<&mut ValueInfoProto> = values.collect();
            if let Some(value) = any(&mut values, random) {
                declared(value, random);
            }
        }
        1 | 2 => {
            if let Some(tensor) = any(&mut graph.initializer, random) {
                tensors(tensor, random);
            }
        }
        3 => {
            // An output, or an input, more.
            let name = any(&mut graph.node, random).and_then(|node| node.output.first().cloned());
            let value = ValueInfoProto { name: name.unwrap_or_default(), ..ValueInfoProto::default() };
            if random.bool() { graph.output.push(value) } else { graph.input.push(value) }
        }
        4 => {
            let place = random.usize(..graph.initializer.len().max(1));
            if place < graph.initializer.len() {
                drop(graph.initializer.remove(place));
            }
        }
        5 => edges(graph, random),
        _ => nodes(&mut graph.node, random),
    }
}

/// One operand becomes another value of the graph.
fn edges(graph: &mut GraphProto, random: &mut Rng) {
    let mut names: Vec<String> = graph.node.iter().flat_map(|node| node.output.iter().cloned()).collect();
    names.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
    names.extend(graph.input.iter().map(|value| value.name.clone()));
    names.push(String::new());
    let name = names.get(random.usize(..names.len())).cloned().unwrap_or_default();
    if let Some(node) = any(&mut graph.node, random) {
        match random.u8(..4) {
            0 => node.input.push(name),
            1 => drop(node.input.pop()),
            _ => {
                if let Some(input) = any(&mut node.input, random) {
                    *input = name;
                }
            }
        }
    }
}

fn nodes(nodes: &mut Vec<NodeProto>, random: &mut Rng) {
    let count = nodes.len();
    let place = random.usize(..count.max(1));
    match random.u8(..10) {
        0 if count > 1 => drop(nodes.remove(place)),
        1 if count > 0 => {
            let node = nodes.get(place).cloned().unwrap_or_default();
            nodes.insert(random.usize(..=count), node);
        }
        2 if count > 0 => nodes.swap(place, random.usize(..count)),
        3 => {
            if let (Some(node), Some(operator)) = (nodes.get_mut(place), OPERATORS.get(random.usize(..OPERATORS.len())))
            {
                node.op_type = (*operator).to_owned();
            }
        }
        4 => {
            if let Some(node) = nodes.get_mut(place) {
                match random.u8(..3) {
                    0 => node.output.push(format!("more{}", random.u8(..4))),
                    1 => drop(node.output.pop()),
                    _ => node.domain = "com.microsoft".to_owned(),
                }
            }
        }
        _ => {
            let other = nodes.get(random.usize(..count.max(1))).and_then(|node| node.attribute.first().cloned());
            if let Some(node) = nodes.get_mut(place) {
                attributes(&mut node.attribute, other, random);
            }
        }
    }
}

fn attributes(list: &mut Vec<AttributeProto>, other: Option<AttributeProto>, random: &mut Rng) {
    match random.u8(..6) {
        0 => drop(list.pop()),
        1 => list.extend(other),
        _ => {
            let Some(attribute) = any(list, random) else { return };
            if let Some(i) = &mut attribute.i {
                *i = numbers::integer(*i, random);
            }
            if let Some(f) = &mut attribute.f {
                *f = numbers::real(random);
            }
            if let Some(s) = &mut attribute.s {
                *s = Bytes::from_static(if random.bool() { b"SAME_UPPER" } else { b"" });
            }
            match random.u8(..4) {
                0 => drop(attribute.ints.pop()),
                1 => attribute.ints.push(numbers::integer(1, random)),
                _ => {
                    if let Some(number) = any(&mut attribute.ints, random) {
                        *number = numbers::integer(*number, random);
                    }
                }
            }
            if let Some(tensor) = &mut attribute.t {
                tensors(tensor, random);
            }
            if let Some(graph) = &mut attribute.g {
                nodes(&mut graph.node, random);
            }
        }
    }
}

fn tensors(tensor: &mut TensorProto, random: &mut Rng) {
    match random.u8(..6) {
        0 => tensor.data_type = random.i32(-1..=26),
        1 => tensor.dims.push(numbers::integer(1, random)),
        2 => drop(tensor.dims.pop()),
        3 => tensor.raw_data = tensor.raw_data.slice(..tensor.raw_data.len() / 2),
        4 => {
            // The elements as they are, of another shape or value.
            let mut raw = tensor.raw_data.to_vec();
            if let Some(byte) = any(&mut raw, random) {
                *byte = random.u8(..);
            }
            tensor.raw_data = raw.into();
        }
        _ => {
            if let Some(size) = any(&mut tensor.dims, random) {
                *size = numbers::integer(*size, random);
            }
        }
    }
}

fn declared(value: &mut ValueInfoProto, random: &mut Rng) {
    let Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), .. }) = &mut value.r#type else { return };
    match (random.u8(..4), &mut tensor.shape) {
        (0, _) => tensor.elem_type = random.i32(0..=20),
        (1, shape) => *shape = None,
        (_, Some(shape)) => {
            if let Some(size) = any(&mut shape.dim, random) {
                size.value = match random.u8(..3) {
                    0 => Some(DimensionValue::Param("n".to_owned())),
                    1 => None,
                    _ => Some(DimensionValue::Value(numbers::integer(8, random))),
                };
            }
        }
        (_, None) => {}
    }
}
