//! Keras models with a configuration to a graph: `.h5` of Keras 2 and 3, `.keras`.
//!
//! `config` makes a typed list of layers and calls of the JSON, `store` finds each layer's tensors, `model` walks
//! the calls in order, and `lower` turns each into operators, with what a `layer call` offers. Axis orders are tracked a
//! value at a time (`order`), so that channels-last and channels-first models, and mixtures, come out right, and so
//! that residual networks come out without a transpose.
//!
//! Invariant: a layer becomes operators with exactly its function, or [`residua_ir::Op::Opaque`] with the reason, or an
//! error; code in a configuration (Lambda layers) is never decoded.

pub(crate) mod applications;
mod config;
mod faults;
mod functional;
mod hub;
mod json;
mod layer_call;
mod lower;
mod model;
mod order;
mod store;
mod wrapper;

use std::collections::{BTreeMap, HashMap};

use residua_formats::keras::{KerasFile, KerasWeights};
use residua_ir::budget::{Limit, Meter};
use residua_ir::{DType, Format, Framework, Graph, GraphBuilder, Source, Unused};
use serde_json::Value;

use crate::error::{Error, Result};
use config::{Body, Model};
use layer_call::{Generation, Net};
use store::Store;

/// The network in a container; `name` is its name where the container has none.
///
/// # Errors
/// [`Error`], naming the layer or tensor it is about.
pub fn import(file: KerasFile, name: &str) -> Result<Graph> {
    let KerasFile { kind, version, backend, config, weights, unused, beside } = file;
    let Some(config) = config else {
        return Err(Error::Unsupported {
            what: format!("{name}, which holds no configuration").into(),
            help: "read it as weights".into(),
        });
    };
    let taken = beside.map(|name| format!("the network is that of `{name}`, which lies beside the weights"));
    let notes = taken.into_iter().collect();
    let parts = Parts { version, backend, weights, unused, format: kind.format(), notes };
    read(&config, parts).map_err(|error| {
        let faults = faults::find(&config);
        if faults.is_empty() { error } else { Error::Faults(faults) }
    })
}

/// What there is beside the configuration.
struct Parts {
    version: Option<String>,
    backend: Option<String>,
    weights: KerasWeights,
    unused: Vec<Unused>,
    format: Format,
    notes: Vec<String>,
}

fn read(config: &Value, parts: Parts) -> Result<Graph> {
    let Parts { version, backend, weights, unused, format, notes } = parts;
    let expanded = hub::expanded(config)?;
    let config = expanded.as_ref().unwrap_or(config);
    let root = Model::parse(config)?;
    let generation = generation(version.as_deref(), &weights, &root);
    let mut net = Net {
        builder: GraphBuilder::new(root.name),
        store: Store::new(weights, &root)?,
        generation,
        flipped_kernels: generation == Generation::Keras2 && backend.as_deref() == Some("theano"),
        channels_first: is_channels_first(&root),
        layers: HashMap::new(),
        bound: HashMap::new(),
        calls: Meter::new(Limit::LayerCalls),
        made: Meter::new(Limit::DecodedBytes),
        notes,
    };
    model::build(&mut net, &root)?;
    let Net { mut builder, store, notes, .. } = net;
    builder.source(Source {
        format,
        framework: Framework::Keras,
        version,
        notes,
        computes: policies(&root),
        ..Source::default()
    });
    builder.unused(unused);
    builder.unused(store.finish()?);
    Ok(builder.finish()?)
}

/// The type that each layer with a policy computes in; nothing where all compute in f32 or f64.
fn policies(root: &Model<'_>) -> BTreeMap<String, DType> {
    let mut found = BTreeMap::new();
    root.walk("", &mut |path, layer| {
        if let Some(dtype) = layer.computes_in() {
            found.insert(path.to_owned(), dtype);
        }
    });
    let narrow = found.values().any(|dtype| matches!(dtype, DType::F16 | DType::BF16));
    if narrow { found } else { BTreeMap::new() }
}

fn generation(version: Option<&str>, weights: &KerasWeights, root: &Model<'_>) -> Generation {
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let mut written_by_3 = false;
    root.walk("", &mut |_, layer| written_by_3 |= layer.is_keras3());
    let is_3 = major.map_or(written_by_3 || matches!(weights, KerasWeights::Paths(_)), |major| major >= 3);
    if is_3 { Generation::Keras3 } else { Generation::Keras2 }
}

/// Whether most layers of the model that care work on NCHW.
fn is_channels_first(root: &Model<'_>) -> bool {
    let (mut first, mut last) = (0usize, 0usize);
    root.walk("", &mut |path, layer| {
        if !matches!(layer.body, Body::Layer) || !layer.class.ends_with("2D") {
            return;
        }
        match layer.fields(path).str("data_format") {
            Ok(Some("channels_first")) => first += 1,
            Ok(Some(_)) => last += 1,
            Ok(None) | Err(_) => {}
        }
    });
    first > last
}
