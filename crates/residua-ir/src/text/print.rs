//! A graph to text.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value as Json;

use super::{LISTED, TextError, is_bare};
use crate::graph::{Graph, LayerId, Parameter, Role, SourceOrder, ValueId, ValueKind};
use crate::interchange::InterchangeError;
use crate::shape::{Dim, Shape};
use crate::tensor::{DType, Tensor, decimal};

/// The graph as text; `stored` names the elements of a parameter that are too many to be listed and not all the same.
///
/// # Errors
/// [`TextError`] where elements cannot be read, or an attribute is no number that JSON can hold.
pub fn write(graph: &Graph, mut stored: impl FnMut(&Parameter) -> String) -> Result<String, TextError> {
    let mut text = format!("graph {}\n", name(graph.name().raw()));
    let users = layer_users(graph);
    for &id in graph.inputs() {
        if let ValueKind::Input(input) = &graph.value(id).kind {
            line(&mut text, &format!("input {}: {}{}", value(graph, id)?, input.dtype, shape(&input.shape)));
        }
    }
    let mut values: Vec<Option<ValueId>> = vec![None; graph.parameters().len()];
    for id in graph.value_ids() {
        if let ValueKind::Parameter(parameter) = graph.value(id).kind {
            values[parameter.index()] = Some(id);
        }
    }
    for (parameter, id) in graph.parameters().iter().zip(values) {
        let failed = |error| TextError::Tensor { parameter: parameter.name.clone(), error };
        let called = match id {
            None => format!("{} unread", name(parameter.name.raw())),
            Some(id) if graph.value(id).name == parameter.name => value(graph, id)?,
            Some(id) => format!("{} as {}", name(parameter.name.raw()), value(graph, id)?),
        };
        let elements = match elements(&parameter.tensor).map_err(failed)? {
            Some(elements) => elements,
            None => json(&stored(parameter))?,
        };
        let (dtype, sizes) = (parameter.tensor.dtype(), Shape::fixed(parameter.tensor.shape()));
        let own = (parameter.name.raw(), "Parameter");
        let layer = layer(graph, parameter.layer, own, &users);
        line(&mut text, &format!("{} {called}: {dtype}{} = {elements}{layer}", role(parameter.role), shape(&sizes)));
    }
    for node in graph.nodes() {
        let results = node.outputs.iter().map(|&id| value(graph, id)).collect::<Result<Vec<_>, _>>()?.join(", ");
        let operands: Vec<String> = node.inputs.iter().map(|&id| name(graph.value(id).name.raw())).collect();
        let layer = layer(graph, node.layer, (node.name.raw(), node.op.name()), &users);
        line(&mut text, &format!("{results} = {} ({}){layer}", operator(&node.op)?, operands.join(", ")));
    }
    let outputs: Vec<String> = graph.outputs().iter().map(|&id| name(graph.value(id).name.raw())).collect();
    line(&mut text, format!("return {}", outputs.join(", ")).trim_end());
    Ok(text)
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "  {line}");
}

/// How many nodes and parameters each layer has.
fn layer_users(graph: &Graph) -> Vec<usize> {
    let mut users = vec![0; graph.layers().len()];
    let of_nodes = graph.nodes().iter().map(|node| node.layer);
    for layer in of_nodes.chain(graph.parameters().iter().map(|parameter| parameter.layer)) {
        users[layer.index()] += 1;
    }
    users
}

/// The layer of a node or parameter, unless it is its own and named like it.
fn layer(graph: &Graph, id: LayerId, own: (&str, &str), users: &[usize]) -> String {
    let layer = graph.layer(id);
    if users[id.index()] == 1 && layer.trainable && (layer.name.raw(), layer.kind.raw()) == own {
        return String::new();
    }
    let frozen = if layer.trainable { "" } else { " frozen" };
    format!(" in {} {}{frozen}", name(layer.name.raw()), name(layer.kind.raw()))
}

fn value(graph: &Graph, id: ValueId) -> Result<String, TextError> {
    let value = graph.value(id);
    let called = name(value.name.raw());
    Ok(match value.order {
        SourceOrder::Same => called,
        SourceOrder::Permuted(_) | SourceOrder::FlattenedChannelsLast { .. } => {
            format!("{called} order {}", json(&value.order)?)
        }
    })
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Weight => "weight",
        Role::Statistic => "statistic",
        Role::Counter => "counter",
        Role::Literal => "literal",
        Role::Default => "default",
    }
}

fn name(name: &str) -> String {
    if is_bare(name) { name.to_owned() } else { Json::from(name).to_string() }
}

fn json(value: &impl Serialize) -> Result<String, TextError> {
    let json = serde_json::to_value(value).map_err(InterchangeError::Json)?;
    let mut text = String::new();
    spaced(&json, &mut text);
    Ok(text)
}

/// JSON on one line, with a space behind each comma and colon.
fn spaced(json: &Json, text: &mut String) {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let _ = write!(text, "{json}");
        }
        Json::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                spaced(item, text);
            }
            text.push(']');
        }
        Json::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                let _ = write!(text, "{}{}: ", if index == 0 { "" } else { ", " }, Json::from(key.as_str()));
                spaced(value, text);
            }
            text.push('}');
        }
    }
}

/// The tag of an operator, and its fields where it has some.
fn operator(op: &crate::op::Op) -> Result<String, TextError> {
    let json_of_op = serde_json::to_value(op).map_err(InterchangeError::Json)?;
    Ok(match json_of_op {
        Json::String(tag) => tag,
        Json::Object(fields) => {
            let (tag, fields) = fields.into_iter().next().unwrap_or_default();
            format!("{tag} {}", json(&fields)?)
        }
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_)) => other.to_string(),
    })
}

fn shape(shape: &Shape) -> String {
    let dims: Vec<String> = shape
        .dims()
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Symbolic { symbol, offset: 0, divisor: 1 } => name(symbol.as_ref()),
            Dim::Symbolic { symbol, offset, divisor } => format!("({} {offset:+} / {divisor})", name(symbol.as_ref())),
            Dim::Unknown => "?".to_owned(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

/// Elements that are few or all the same.
fn elements(tensor: &Tensor) -> Result<Option<String>, crate::tensor::TensorError> {
    if tensor.is_empty() {
        return Ok(Some("[]".to_owned()));
    }
    let dtype = tensor.dtype();
    let one = |value: f64| {
        if dtype == DType::F32 { number(decimal(value as f32)) } else { number(value) }
    };
    if !dtype.is_float() {
        if tensor.len() > LISTED && dtype != DType::Bool {
            return Ok(None);
        }
        let values = tensor.to_i64()?;
        return Ok((values.len() <= LISTED).then(|| list(values.iter().map(ToString::to_string))));
    }
    let values = tensor.to_f64()?;
    let same = values.iter().all(|value| value.to_bits() == values[0].to_bits());
    if same && values[0].is_finite() {
        return Ok(Some(one(values[0])));
    }
    Ok((values.len() <= LISTED).then(|| list(values.into_iter().map(one))))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { format!("\"{value}\"") }
}
