//! The configuration of a model as a typed list of layers and calls: Functional, Sequential, and one within the other.
//!
//! Keras 2 and Keras 3 write the same facts differently; what is here knows of the difference so that nothing behind
//! it must. A layer that is shared is one [`Layer`] with several [`Call`]s.
//!
//! Invariant: every [`TensorRef`] of a model is in range: its layer exists and is called that often. Nesting is bounded.
//!
//! Not done here: the meaning of a layer's own keys, which `lower` reads from [`Layer::fields`].

mod call;

use residua_ir::DType;
use residua_ir::budget::Limit;
use serde_json::{Map, Value};

use super::json::{Fields, integer, unexpected};
use crate::error::{Error, Result};

pub(super) use call::{Arg, Call, TensorRef};

/// Bytes of a layer's name.
const MAX_NAME: usize = 1024;

/// Sizes as a configuration gives them, in the source's axis order, with the batch; `None` is free.
pub(super) type DeclaredShape = Vec<Option<usize>>;

/// A model, or a model that is a layer of another.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) name: &'a str,
    pub(super) trainable: bool,
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) wiring: Wiring,
    /// Shape of the only input where the model says it without an `InputLayer`.
    input_shape: Option<DeclaredShape>,
}

/// How the layers of a model are connected.
#[derive(Debug)]
pub(super) enum Wiring {
    /// Each layer takes what the one before it gives.
    Chain,
    /// By the calls of the layers.
    Graph { inputs: Vec<TensorRef>, outputs: Vec<TensorRef> },
}

/// One entry of a model's list of layers.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    /// The layer's own keys.
    config: &'a Map<String, Value>,
    pub(super) calls: Vec<Call<'a>>,
    pub(super) body: Body<'a>,
    /// Shape of its input, where that is written beside the layer.
    build_shape: Option<DeclaredShape>,
}

/// What kind of entry a layer is.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// An input of the model.
    Input,
    /// A model.
    Model(Box<Model<'a>>),
    /// A layer or model within a layer: `TimeDistributed`, `SpectralNormalization`.
    Wrapper(Box<Layer<'a>>),
    /// A function of Keras 3 that was applied to tensors: `x + 1` is `Add`. It is no layer to Keras.
    Operation,
    /// Any other layer.
    Layer,
}

/// What a model says about an input of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) shape: DeclaredShape,
    pub(super) dtype: Option<String>,
}

impl<'a> Model<'a> {
    /// The model of a file: an object with `class_name` and `config`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the place, [`Error::Unsupported`] for models without a list of layers.
    pub(super) fn parse(root: &'a Value) -> Result<Self> {
        let class = root.get("class_name").and_then(Value::as_str).unwrap_or("model");
        let config = root.get("config").unwrap_or(&Value::Null);
        if !holds_model(class, config) {
            return Err(Error::Unsupported {
                what: format!("a model of class {class}, which holds no list of layers").into(),
                help: "only Functional and Sequential models carry their graph; rebuild it as one of them".into(),
            });
        }
        Self::parse_config(class, config, build_shape(root), 0)
    }

    fn parse_config(class: &'a str, config: &'a Value, built: Option<DeclaredShape>, depth: usize) -> Result<Self> {
        Limit::ModelNesting.check_here(depth)?;
        let name = config.get("name").and_then(Value::as_str).unwrap_or(class);
        // Keras before 2.2.3 wrote the layers of a Sequential without an object around them.
        let entries = config.as_array().or_else(|| config.get("layers").and_then(Value::as_array));
        let entries = entries.ok_or_else(|| unexpected(name, "a list of layers", Some(config)))?;
        let mut layers = entries.iter().map(|entry| Layer::parse(entry, depth)).collect::<Result<Vec<_>>>()?;
        let wiring = if config.get("input_layers").is_some() || config.get("output_layers").is_some() {
            call::connect(name, config, entries, &mut layers)?
        } else {
            Wiring::Chain
        };
        Ok(Self {
            name,
            trainable: config.get("trainable").and_then(Value::as_bool).unwrap_or(true),
            layers,
            wiring,
            input_shape: config.get("build_input_shape").and_then(declared_shape).or(built),
        })
    }

    /// The input of a chain, whether or not it has an `InputLayer`.
    pub(super) fn chain_input(&self) -> Result<Input> {
        let Some(first) = self.layers.first() else {
            return Err(unexpected(self.name, "at least one layer", None));
        };
        if let Body::Input = first.body {
            return first.input();
        }
        let shape = first.declared_input().or_else(|| self.input_shape.clone()).or_else(|| match &first.body {
            Body::Model(inner) => inner.chain_input().ok().map(|input| input.shape),
            Body::Input | Body::Wrapper(_) | Body::Operation | Body::Layer => first.build_shape.clone(),
        });
        let shape = shape.ok_or_else(|| unexpected(self.name, "the shape of the model's input", None))?;
        Ok(Input { name: format!("{}_input", first.name), shape, dtype: None })
    }

    /// Whether the model knew its input before it was called on anything.
    fn has_own_input(&self) -> bool {
        match self.wiring {
            Wiring::Graph { .. } => true,
            Wiring::Chain => self
                .layers
                .first()
                .is_some_and(|first| matches!(first.body, Body::Input) || first.declared_input().is_some()),
        }
    }

    /// Every layer below this one, with its path.
    pub(super) fn walk(&self, prefix: &str, visit: &mut impl FnMut(&str, &Layer<'a>)) {
        for layer in &self.layers {
            let path = format!("{prefix}{}", layer.name);
            visit(&path, layer);
            layer.walk_below(&path, visit);
        }
    }
}

impl<'a> Layer<'a> {
    /// Every layer within this one.
    pub(super) fn walk_below(&self, path: &str, visit: &mut impl FnMut(&str, &Layer<'a>)) {
        match &self.body {
            Body::Model(inner) => inner.walk(&format!("{path}/"), visit),
            Body::Wrapper(inner) => {
                let path = format!("{path}/{}", inner.name);
                visit(&path, inner);
                inner.walk_below(&path, visit);
            }
            Body::Input | Body::Operation | Body::Layer => {}
        }
    }

    fn parse(entry: &'a Value, depth: usize) -> Result<Self> {
        let error = |expected| unexpected("a layer", expected, Some(entry));
        let class =
            entry.get("class_name").and_then(Value::as_str).ok_or_else(|| error("an object with class_name"))?;
        let config = entry.get("config").ok_or_else(|| error("an object with config"))?;
        let name = config.get("name").or_else(|| entry.get("name")).and_then(Value::as_str);
        if name.is_some_and(|name| name.len() > MAX_NAME) {
            return Err(error("a layer's name of usual length"));
        }
        let built = build_shape(entry);
        let body = if class == "InputLayer" {
            Body::Input
        } else if holds_model(class, config) {
            Body::Model(Box::new(Model::parse_config(class, config, built.clone(), depth + 1)?))
        } else if let Some(inner) = config.get("layer").filter(|_| wraps(class)) {
            Limit::ModelNesting.check_here(depth)?;
            Body::Wrapper(Box::new(Layer::parse(inner, depth + 1)?))
        } else if is_operation(entry, config) {
            Body::Operation
        } else {
            Body::Layer
        };
        // Only a list of layers without an object around it has neither a name nor keys.
        let (name, config) = match (name, config.as_object(), entry.as_object()) {
            (Some(name), Some(config), _) => (name, config),
            (None, _, Some(entry)) if matches!(body, Body::Model(_)) => (class, entry),
            _ => return Err(error("a layer with a name and a config object")),
        };
        Ok(Self { name, class, config, calls: Vec::new(), body, build_shape: built })
    }

    /// The layer's own keys; `at` names the layer in errors.
    pub(super) fn fields<'b>(&'b self, at: &'b str) -> Fields<'b> {
        Fields::new(at, self.config)
    }

    /// The layer's own keys as they are written.
    pub(super) fn keys(&self) -> &'a Map<String, Value> {
        self.config
    }

    /// Whether a key is there and `null`, where that differs from its absence.
    pub(super) fn says_null(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(Value::is_null)
    }

    fn declared_input(&self) -> Option<DeclaredShape> {
        ["batch_shape", "batch_input_shape"].iter().find_map(|key| self.config.get(*key).and_then(declared_shape))
    }

    /// What an `InputLayer` says.
    pub(super) fn input(&self) -> Result<Input> {
        let shape = self.declared_input().ok_or_else(|| {
            unexpected(format!("layer `{}`", self.name), "batch_shape or batch_input_shape", self.config.get("shape"))
        })?;
        Ok(Input { name: self.name.to_owned(), shape, dtype: self.dtype().map(str::to_owned) })
    }

    /// The layer's dtype, or the name of its dtype policy.
    pub(super) fn dtype(&self) -> Option<&'a str> {
        let dtype = self.config.get("dtype")?;
        dtype.as_str().or_else(|| dtype.pointer("/config/name").and_then(Value::as_str))
    }

    /// The type that it computes in, where its policy is known.
    pub(super) fn computes_in(&self) -> Option<DType> {
        // A map of policies has the layer's own beside those of layers in it.
        let default = ["/config/default_policy/config/name", "/config/default_policy"];
        let of_map = || default.iter().find_map(|place| self.config.get("dtype")?.pointer(place)?.as_str());
        let policy = self.dtype().or_else(of_map)?;
        // A quantised layer computes the rest in the type that it was quantised from.
        let policy = policy.rsplit_once("_from_").map_or(policy, |(_, from)| from);
        Some(match policy {
            "float16" | "mixed_float16" => DType::F16,
            "bfloat16" | "mixed_bfloat16" => DType::BF16,
            "float32" => DType::F32,
            "float64" => DType::F64,
            _ => return None,
        })
    }

    /// Shape of what is given to it, where the configuration says so.
    pub(super) fn input_hint(&self) -> Option<&DeclaredShape> {
        self.build_shape.as_ref()
    }

    /// Whether any layer of it is written as Keras 3 does.
    pub(super) fn is_keras3(&self) -> bool {
        self.config.contains_key("batch_shape") || matches!(self.body, Body::Operation)
    }
}

fn holds_model(class: &str, config: &Value) -> bool {
    matches!(class, "Functional" | "Model" | "Sequential")
        || (config.get("layers").is_some() && config.get("input_layers").is_some())
}

/// Classes that call the layer in them and add nothing of their own when they are run.
fn wraps(class: &str) -> bool {
    matches!(class, "TimeDistributed" | "SpectralNormalization")
}

/// Keras 3 gives the module of an operation in `.keras` files only; but layers always have keys that operations have not.
fn is_operation(entry: &Value, config: &Value) -> bool {
    match entry.get("module").and_then(Value::as_str) {
        Some(module) if module.starts_with("keras.src.ops") => true,
        // Models of KerasHub have no keys of layers either.
        Some(module) if module.starts_with("keras_hub.") => false,
        Some(_) | None => {
            let layer_key = ["trainable", "dtype"].iter().any(|key| config.get(*key).is_some());
            !layer_key && entry.pointer("/inbound_nodes/0/args").is_some()
        }
    }
}

fn build_shape(entry: &Value) -> Option<DeclaredShape> {
    entry.pointer("/build_config/input_shape").and_then(declared_shape)
}

fn declared_shape(value: &Value) -> Option<DeclaredShape> {
    let size = |dim: &Value| match dim {
        Value::Null => Some(None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            integer(dim).and_then(|size| usize::try_from(size).ok()).map(Some)
        }
    };
    value.as_array().filter(|dims| !dims.is_empty())?.iter().map(size).collect()
}

#[cfg(test)]
mod tests;
