//! Calls of layers: `inbound_nodes`, `input_layers` and `output_layers`, in each form that Keras has written.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Body, DeclaredShape, Layer, Wiring, declared_shape};
use crate::error::Result;
use crate::keras::json::{integer, unexpected};

/// Lists within lists of one call's arguments.
const MAX_NESTING: usize = 8;

/// One output of one call of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::keras) struct TensorRef {
    /// Position of the layer in its model's list.
    pub(in crate::keras) layer: usize,
    /// Which of its calls.
    pub(in crate::keras) call: usize,
    /// Which output of that call.
    pub(in crate::keras) output: usize,
    /// Its shape, where the reference says it.
    pub(in crate::keras) shape: Option<DeclaredShape>,
}

/// What is given to a call.
#[derive(Debug)]
pub(in crate::keras) enum Arg<'a> {
    /// The output of another call.
    Tensor(TensorRef),
    /// A list with at least one tensor in it.
    List(Vec<Arg<'a>>),
    /// A number, a string, a list of them, nothing.
    Literal(&'a Value),
}

/// One application of a layer.
#[derive(Debug, Default)]
pub(in crate::keras) struct Call<'a> {
    pub(in crate::keras) args: Vec<Arg<'a>>,
    pub(in crate::keras) kwargs: Vec<(&'a str, Arg<'a>)>,
    /// The keyword arguments as they are written, which is where Keras 2 has the attributes of a function.
    pub(in crate::keras) keys: Option<&'a Map<String, Value>>,
}

impl<'a> Call<'a> {
    /// An argument by name.
    pub(in crate::keras) fn kwarg(&self, name: &str) -> Option<&Arg<'a>> {
        self.kwargs.iter().find(|(key, _)| *key == name).map(|(_, arg)| arg)
    }

    /// All tensors, those of positional arguments first.
    pub(in crate::keras) fn tensors(&self) -> Vec<&TensorRef> {
        let mut found = Vec::new();
        for arg in self.args.iter().chain(self.kwargs.iter().map(|(_, arg)| arg)) {
            arg.collect(&mut found);
        }
        found
    }
}

impl Arg<'_> {
    fn collect<'s>(&'s self, found: &mut Vec<&'s TensorRef>) {
        match self {
            Arg::Tensor(tensor) => found.push(tensor),
            Arg::List(items) => items.iter().for_each(|item| item.collect(found)),
            Arg::Literal(_) => {}
        }
    }
}

/// Reads the calls of all layers of a graph model.
///
/// # Errors
/// [`Error::Config`] naming the layer.
pub(super) fn connect<'a>(
    model: &'a str,
    config: &'a Value,
    entries: &'a [Value],
    layers: &mut [Layer<'a>],
) -> Result<Wiring> {
    let mut names = HashMap::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        if names.insert(layer.name, index).is_some() {
            let expected = format!("one layer of the name `{}`", layer.name);
            return Err(unexpected(model, &expected, entries.get(index).and_then(|entry| entry.get("config"))));
        }
    }
    let call_counts = layers.iter().zip(entries).map(|(layer, entry)| call_count(layer, entry)).collect();
    let reader = Reader { names, first_calls: first_calls(layers, entries), call_counts };
    for (layer, entry) in layers.iter_mut().zip(entries) {
        layer.calls = reader.calls(layer, entry)?;
    }
    let ends = |key: &str| reader.ends(model, key, config.get(key));
    Ok(Wiring::Graph { inputs: ends("input_layers")?, outputs: ends("output_layers")? })
}

/// The number that `[layer, node, tensor]` gives the first call of each layer.
///
/// A model that knew its input had been called once before it became a layer, and Keras 2 counts that. Keras 3 does so
/// at the ends of a model and for functional models only; its `keras_history` counts from 0. (Source: `get_config` and
/// `functional_from_config` in the `functional.py` of each.)
fn first_calls(layers: &[Layer<'_>], entries: &[Value]) -> Vec<usize> {
    let keras3 = entries.iter().any(|entry| entry.pointer("/inbound_nodes/0").is_some_and(Value::is_object));
    let counted = |layer: &Layer<'_>| match &layer.body {
        Body::Model(inner) if keras3 => matches!(inner.wiring, Wiring::Graph { .. }),
        Body::Model(inner) => inner.has_own_input(),
        Body::Input | Body::Wrapper(_) | Body::Operation | Body::Layer => false,
    };
    layers.iter().map(|layer| usize::from(counted(layer))).collect()
}

fn call_count(layer: &Layer<'_>, entry: &Value) -> usize {
    match layer.body {
        Body::Input => 1,
        Body::Model(_) | Body::Wrapper(_) | Body::Operation | Body::Layer => {
            entry.get("inbound_nodes").and_then(Value::as_array).map_or(0, Vec::len)
        }
    }
}

struct Reader<'a> {
    names: HashMap<&'a str, usize>,
    /// By layer.
    first_calls: Vec<usize>,
    call_counts: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn calls(&self, layer: &Layer<'a>, entry: &'a Value) -> Result<Vec<Call<'a>>> {
        let nodes = match entry.get("inbound_nodes").and_then(Value::as_array) {
            _ if matches!(layer.body, Body::Input) => return Ok(vec![Call::default()]),
            Some(nodes) => nodes,
            None => return Err(unexpected(format!("layer `{}`", layer.name), "inbound_nodes", None)),
        };
        let call = |node: &'a Value| {
            let call = match node {
                Value::Object(_) => self.keras3(node),
                Value::Array(entries) => self.keras2(entries),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            let place = || format!("layer `{}`, inbound_nodes", layer.name);
            call.ok_or_else(|| unexpected(place(), "calls on layers of the model", self.stranger(node).or(Some(node))))
        };
        nodes.iter().map(call).collect()
    }

    /// The first name in a call that is no layer's.
    fn stranger(&self, value: &'a Value) -> Option<&'a Value> {
        match value {
            Value::Array(items) => match &items[..] {
                [Value::String(name), Value::Number(_), Value::Number(_), ..]
                    if !self.names.contains_key(name.as_str()) =>
                {
                    items.first()
                }
                items => items.iter().find_map(|item| self.stranger(item)),
            },
            Value::Object(map) => map.values().find_map(|item| self.stranger(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// `{"args": [...], "kwargs": {...}}`.
    fn keras3(&self, node: &'a Value) -> Option<Call<'a>> {
        let args = node.get("args")?.as_array()?.iter().map(|arg| self.keras3_arg(arg, 0)).collect::<Option<_>>()?;
        let kwargs = match node.get("kwargs").and_then(Value::as_object) {
            None => Vec::new(),
            Some(map) => {
                map.iter().map(|(k, v)| Some((k.as_str(), self.keras3_arg(v, 0)?))).collect::<Option<Vec<_>>>()?
            }
        };
        Some(Call { args, kwargs, keys: None })
    }

    fn keras3_arg(&self, value: &'a Value, depth: usize) -> Option<Arg<'a>> {
        let list = |items: &mut dyn Iterator<Item = &'a Value>| {
            if depth >= MAX_NESTING {
                return None;
            }
            let items: Vec<Arg<'a>> = items.map(|item| self.keras3_arg(item, depth + 1)).collect::<Option<_>>()?;
            let plain = items.iter().all(|item| matches!(item, Arg::Literal(_)));
            Some(if plain { Arg::Literal(value) } else { Arg::List(items) })
        };
        match value {
            Value::Array(items) => list(&mut items.iter()),
            Value::Object(map) => match map.get("class_name").and_then(Value::as_str) {
                Some("__keras_tensor__") => {
                    let config = map.get("config")?;
                    let history = config.get("keras_history")?.as_array()?;
                    let mut tensor = self.reference_from(history, |_| 0)?;
                    tensor.shape = config.get("shape").and_then(declared_shape);
                    Some(Arg::Tensor(tensor))
                }
                Some(_) => Some(Arg::Literal(value)),
                // Inputs by name: a model takes them in the order of their names.
                None => {
                    let mut items: Vec<(&String, &'a Value)> = map.iter().collect();
                    items.sort_by_key(|(key, _)| *key);
                    list(&mut items.into_iter().map(|(_, item)| item))
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(Arg::Literal(value)),
        }
    }

    /// A list of `[layer, node, tensor, kwargs]`, or for a TensorFlow operation on one tensor just that.
    fn keras2(&self, entries: &'a [Value]) -> Option<Call<'a>> {
        let mut call = Call::default();
        if entries.first().is_some_and(Value::is_string) {
            self.keras2_entry(entries, &mut call)?;
        } else {
            entries.iter().try_for_each(|entry| self.keras2_entry(entry.as_array()?, &mut call))?;
        }
        Some(call)
    }

    fn keras2_entry(&self, entry: &'a [Value], call: &mut Call<'a>) -> Option<()> {
        let (head, kwargs) = entry.split_at_checked(3)?;
        call.args.push(match head[0].as_str()? {
            "_CONSTANT_VALUE" => Arg::Literal(&head[2]),
            _ => Arg::Tensor(self.reference_from(head, |layer| self.first_calls[layer])?),
        });
        // All entries of a call repeat its keyword arguments.
        if let (Some(Value::Object(map)), None) = (kwargs.first(), call.keys) {
            call.keys = Some(map);
            call.kwargs = map.iter().map(|(key, value)| (key.as_str(), self.keras2_arg(value, 0))).collect();
        }
        Some(())
    }

    /// A keyword argument: a constant, `[layer, node, tensor]`, or a list of either.
    fn keras2_arg(&self, value: &'a Value, depth: usize) -> Arg<'a> {
        let Some(items) = value.as_array().filter(|_| depth < MAX_NESTING) else { return Arg::Literal(value) };
        if let Some(tensor) = self.reference(value) {
            return Arg::Tensor(tensor);
        }
        let items: Vec<Arg<'a>> = items.iter().map(|item| self.keras2_arg(item, depth + 1)).collect();
        if items.iter().all(|item| matches!(item, Arg::Literal(_))) { Arg::Literal(value) } else { Arg::List(items) }
    }

    /// `[layer, node, tensor]`.
    fn reference(&self, value: &'a Value) -> Option<TensorRef> {
        self.reference_from(value.as_array()?, |layer| self.first_calls[layer])
    }

    fn reference_from(&self, parts: &'a [Value], first: impl Fn(usize) -> usize) -> Option<TensorRef> {
        let [layer, call, output] = parts else { return None };
        let number = |value: &Value| integer(value).and_then(|number| usize::try_from(number).ok());
        let layer = *self.names.get(layer.as_str()?)?;
        let call = match (number(call)?, self.call_counts[layer]) {
            // Where there is one call, it is that one, however it was counted.
            (0 | 1, 1) => 0,
            (number, count) => number.checked_sub(first(layer)).filter(|&call| call < count)?,
        };
        Some(TensorRef { layer, call, output: number(output)?, shape: None })
    }

    /// The tensors of `input_layers` or `output_layers`: one `[layer, node, tensor]`, lists or objects of them.
    fn ends(&self, model: &str, key: &str, value: Option<&'a Value>) -> Result<Vec<TensorRef>> {
        let mut found = Vec::new();
        let complete = value.is_some_and(|value| self.collect_ends(value, 0, &mut found));
        if complete && !found.is_empty() {
            return Ok(found);
        }
        Err(unexpected(format!("model `{model}`, key `{key}`"), "[layer, node, tensor] of its own layers", value))
    }

    fn collect_ends(&self, value: &'a Value, depth: usize, found: &mut Vec<TensorRef>) -> bool {
        if depth > MAX_NESTING {
            return false;
        }
        if let Some(tensor) = self.reference(value) {
            found.push(tensor);
            return true;
        }
        match value {
            Value::Array(items) => items.iter().all(|item| self.collect_ends(item, depth + 1, found)),
            Value::Object(map) => {
                let mut items: Vec<(&String, &'a Value)> = map.iter().collect();
                items.sort_by_key(|(key, _)| *key);
                items.into_iter().all(|(_, item)| self.collect_ends(item, depth + 1, found))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
}
