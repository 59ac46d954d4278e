//! A functional model as Keras 3 writes it, layer by layer.

use std::collections::BTreeMap;

use residua_ir::budget::{Limit, Meter};
use residua_resnet::layouts::keras_order;
use serde_json::{Value, json};

use crate::error::Result;

/// The layers so far.
pub(in crate::keras) struct Layers {
    entries: Vec<Value>,
    /// The entries that each reads.
    inputs: Vec<Vec<usize>>,
    by_name: BTreeMap<String, usize>,
    /// What every layer computes in.
    dtype: Option<Value>,
    /// `channels_last`, or `channels_first`.
    pub(in crate::keras) format: &'static str,
    count: Meter,
}

impl Layers {
    pub(in crate::keras) fn new(dtype: Option<Value>, format: &'static str) -> Self {
        Self {
            entries: Vec::new(),
            inputs: Vec::new(),
            by_name: BTreeMap::new(),
            dtype,
            format,
            count: Meter::new(Limit::LayerCalls),
        }
    }

    /// An input of this shape without its batch.
    pub(in crate::keras) fn input(&mut self, name: &str, shape: Option<Value>) -> Result<String> {
        let sizes = shape.and_then(|shape| shape.as_array().cloned()).unwrap_or_else(|| vec![json!(null); 3]);
        let shape: Vec<Value> = std::iter::once(Value::Null).chain(sizes).collect();
        self.count.spend(1)?;
        let config = json!({ "batch_shape": shape, "dtype": "float32", "name": name });
        let entry = json!({ "class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": [] });
        self.list(name, entry, &[]);
        Ok(name.to_owned())
    }

    /// A layer on these; its name.
    pub(in crate::keras) fn add(&mut self, class: &str, name: &str, keys: Value, inputs: &[&str]) -> Result<String> {
        self.count.spend(1)?;
        let mut config = keys;
        if let Some(map) = config.as_object_mut() {
            map.insert("name".to_owned(), json!(name));
            map.insert("trainable".to_owned(), json!(true));
            map.insert("dtype".to_owned(), self.dtype.clone().unwrap_or_else(|| json!("float32")));
        }
        self.push(class, name, config, inputs);
        Ok(name.to_owned())
    }

    /// A model as a layer.
    pub(in crate::keras) fn model(&mut self, mut entry: Value, name: &str, input: &str) -> String {
        entry["name"] = json!(name);
        entry["inbound_nodes"] = json!([{ "args": [tensor(input)], "kwargs": {} }]);
        self.list(name, entry, &[input]);
        name.to_owned()
    }

    fn push(&mut self, class: &str, name: &str, config: Value, inputs: &[&str]) {
        let tensors: Vec<Value> = inputs.iter().map(|input| tensor(input)).collect();
        let args = if let [only] = &tensors[..] { vec![only.clone()] } else { vec![Value::Array(tensors)] };
        let entry = json!({
            "module": "keras.layers", "class_name": class, "config": config, "name": name,
            "inbound_nodes": [{ "args": args, "kwargs": {} }],
        });
        self.list(name, entry, inputs);
    }

    /// Names of the layers so far.
    pub(in crate::keras) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(in crate::keras) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    fn list(&mut self, name: &str, entry: Value, inputs: &[&str]) {
        let inputs = inputs.iter().filter_map(|input| self.by_name.get(*input).copied()).collect();
        self.by_name.insert(name.to_owned(), self.entries.len());
        self.entries.push(entry);
        self.inputs.push(inputs);
    }

    /// The same, listed in the order in which Keras lists the layers of a model with this output, which is that of variables.
    pub(in crate::keras) fn in_keras_order(mut self, output: &str) -> Self {
        let Some(&last) = self.by_name.get(output) else { return self };
        let order = keras_order(&self.inputs, last);
        self.entries = order.into_iter().filter_map(|at| self.entries.get(at).cloned()).collect();
        self
    }

    /// The configuration of the model from its only input to this layer.
    pub(in crate::keras) fn model_of(self, name: &str, input: &str, output: &str) -> Value {
        json!({
            "name": name, "trainable": true, "layers": self.entries,
            "input_layers": [[input, 0, 0]], "output_layers": [[output, 0, 0]],
        })
    }
}

/// What a layer gives, as a call names it.
fn tensor(layer: &str) -> Value {
    json!({ "class_name": "__keras_tensor__", "config": { "keras_history": [layer, 0, 0] } })
}
