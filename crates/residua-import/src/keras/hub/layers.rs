//! A functional model as Keras 3 writes it, layer by layer.

use residua_ir::budget::{Limit, Meter};
use serde_json::{Value, json};

use crate::error::Result;

/// The layers so far.
pub(super) struct Layers {
    entries: Vec<Value>,
    /// What every layer computes in.
    dtype: Option<Value>,
    /// `channels_last`, or `channels_first`.
    pub(super) format: &'static str,
    count: Meter,
}

impl Layers {
    pub(super) fn new(dtype: Option<Value>, format: &'static str) -> Self {
        Self { entries: Vec::new(), dtype, format, count: Meter::new(Limit::LayerCalls) }
    }

    /// An input of this shape without its batch.
    pub(super) fn input(&mut self, name: &str, shape: Option<Value>) -> Result<String> {
        let sizes = shape.and_then(|shape| shape.as_array().cloned()).unwrap_or_else(|| vec![json!(null); 3]);
        let shape: Vec<Value> = std::iter::once(Value::Null).chain(sizes).collect();
        self.count.spend(1)?;
        let config = json!({ "batch_shape": shape, "dtype": "float32", "name": name });
        self.entries.push(json!({ "class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": [] }));
        Ok(name.to_owned())
    }

    /// A layer on these; its name.
    pub(super) fn add(&mut self, class: &str, name: &str, keys: Value, inputs: &[&str]) -> Result<String> {
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
    pub(super) fn model(&mut self, mut entry: Value, name: &str, input: &str) -> String {
        entry["name"] = json!(name);
        entry["inbound_nodes"] = json!([{ "args": [tensor(input)], "kwargs": {} }]);
        self.entries.push(entry);
        name.to_owned()
    }

    fn push(&mut self, class: &str, name: &str, config: Value, inputs: &[&str]) {
        let tensors: Vec<Value> = inputs.iter().map(|input| tensor(input)).collect();
        let args = if let [only] = &tensors[..] { vec![only.clone()] } else { vec![Value::Array(tensors)] };
        self.entries.push(json!({
            "module": "keras.layers", "class_name": class, "config": config, "name": name,
            "inbound_nodes": [{ "args": args, "kwargs": {} }],
        }));
    }

    /// The configuration of the model from its only input to this layer.
    pub(super) fn model_of(self, name: &str, input: &str, output: &str) -> Value {
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
