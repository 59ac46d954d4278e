//! `diff`: what differs between two models in structure and tensors, without running anything.
//!
//! Layers and tensors correspond by name. A tensor that is found under another name with the same elements (in the
//! graph's axis order) is renamed, not removed and added.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use rayon::prelude::*;
use residua_ir::{Checked, Graph, Parameter, Role};
use serde::Serialize;

use crate::args::{DiffArgs, Format};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::Model;
use crate::progress::Progress;
use crate::render;
use crate::render::differences;

/// What differs.
#[derive(Debug, Serialize)]
pub(crate) struct Differences {
    pub(crate) schema: &'static str,
    pub(crate) a: String,
    pub(crate) b: String,
    /// `same` or `different`.
    pub(crate) verdict: &'static str,
    /// Properties of the whole model: architecture, inputs, outputs.
    pub(crate) model: Vec<Change>,
    pub(crate) layers: Layers,
    pub(crate) tensors: Tensors,
}

/// A property with another value.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) what: String,
    pub(crate) a: String,
    pub(crate) b: String,
}

/// Layers by name.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Layers {
    pub(crate) same: usize,
    pub(crate) only_a: Vec<String>,
    pub(crate) only_b: Vec<String>,
    pub(crate) changed: Vec<Change>,
}

/// Tensors by name.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tensors {
    pub(crate) same: usize,
    pub(crate) only_a: Vec<String>,
    pub(crate) only_b: Vec<String>,
    /// The same elements under another name.
    pub(crate) renamed: Vec<Change>,
    pub(crate) changed: Vec<TensorChange>,
}

/// A tensor with other elements, another shape or another type.
#[derive(Debug, Serialize)]
pub(crate) struct TensorChange {
    pub(crate) name: String,
    pub(crate) what: &'static str,
    pub(crate) a: String,
    pub(crate) b: String,
    /// Largest difference of two elements, where the shapes are the same.
    pub(crate) max_abs: Option<f64>,
}

pub(super) fn run(args: &DiffArgs, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "reading both models");
    let (a, b) = Model::load_both(&args.a, &args.b, &args.source)?;
    let tensors = tensors(a.checked.graph(), b.checked.graph())?;
    let layers = layers(&a.checked, &b.checked);
    let model = model(&a, &b);
    drop(progress);
    [&a, &b].into_iter().for_each(|model| model.tell(console));
    let same = model.is_empty() && layers.is_same() && tensors.is_same();
    let differences = Differences {
        schema: "residua.diff/1",
        a: args.a.display().to_string(),
        b: args.b.display().to_string(),
        verdict: if same { "same" } else { "different" },
        model,
        layers,
        tensors,
    };
    let style = console.style();
    match args.format {
        Format::Json => render::json(console.out(), &differences)?,
        Format::Text => differences::text(console.out(), style, &differences)?,
    }
    Ok(if same { Outcome::Holds } else { Outcome::Fails })
}

fn model(a: &Model, b: &Model) -> Vec<Change> {
    let architecture = |model: &Model| {
        model.anatomy.architecture.as_ref().map_or_else(|| "none".to_owned(), |architecture| architecture.name.clone())
    };
    let interface = |model: &Model, outputs: bool| {
        let graph = model.checked.graph();
        let ids = if outputs { graph.outputs() } else { graph.inputs() };
        let text = |&id| match model.checked.source_shape_of(id) {
            Some(shape) => format!("{} {shape}", graph.value(id).name),
            None => graph.value(id).name.clone(),
        };
        ids.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let count = |model: &Model| render::number(crate::summary::Parameters::of(model.checked.graph()).total);
    [
        ("architecture", architecture(a), architecture(b)),
        ("inputs", interface(a, false), interface(b, false)),
        ("outputs", interface(a, true), interface(b, true)),
        ("parameters", count(a), count(b)),
    ]
    .into_iter()
    .filter(|(_, a, b)| a != b)
    .map(|(what, a, b)| Change { what: what.to_owned(), a, b })
    .collect()
}

/// What a layer computes: its operators with their attributes.
fn layer_texts(model: &Checked) -> BTreeMap<&str, (usize, String)> {
    let graph = model.graph();
    let mut texts = vec![Vec::new(); graph.layers().len()];
    for node in graph.nodes() {
        texts[node.layer.index()].push(format!("{:?}", node.op));
    }
    let rows = graph.layers().iter().zip(texts).enumerate();
    rows.map(|(place, (layer, ops))| (layer.name.as_str(), (place, ops.join(", ")))).collect()
}

fn layers(a: &Checked, b: &Checked) -> Layers {
    let (mut texts, mut others) = (layer_texts(a), layer_texts(b));
    let mut layers = Layers::default();
    for layer in a.graph().layers() {
        let Some((_, text)) = texts.remove(layer.name.as_str()) else { continue };
        match others.remove(layer.name.as_str()) {
            None => layers.only_a.push(layer.name.clone()),
            Some((_, other)) if text == other => layers.same += 1,
            Some((_, other)) => layers.changed.push(Change { what: layer.name.clone(), a: text, b: other }),
        }
    }
    let mut rest: Vec<(usize, &str)> = others.into_iter().map(|(name, (place, _))| (place, name)).collect();
    rest.sort_unstable();
    layers.only_b = rest.into_iter().map(|(_, name)| name.to_owned()).collect();
    layers
}

impl Layers {
    fn is_same(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.changed.is_empty()
    }
}

impl Tensors {
    fn is_same(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.renamed.is_empty() && self.changed.is_empty()
    }
}

/// Parameters that the file states, not those that a reader filled in.
fn stated(graph: &Graph) -> Vec<&Parameter> {
    let stated = |parameter: &&Parameter| match parameter.role {
        Role::Weight | Role::Statistic | Role::Counter => true,
        Role::Literal | Role::Default => false,
    };
    graph.parameters().iter().filter(stated).collect()
}

/// A number for shape, type and elements.
fn fingerprint(parameter: &Parameter) -> Result<u64> {
    let mut bytes = Vec::new();
    let tensor = &parameter.tensor;
    tensor.append_le_bytes(&mut bytes).with_context(|| format!("tensor `{}`", parameter.name))?;
    let mut hasher = DefaultHasher::new();
    (tensor.shape(), tensor.dtype(), bytes).hash(&mut hasher);
    Ok(hasher.finish())
}

fn tensors(a: &Graph, b: &Graph) -> Result<Tensors> {
    let (a, b) = (stated(a), stated(b));
    let prints = |parameters: &[&Parameter]| {
        parameters.par_iter().map(|parameter| fingerprint(parameter)).collect::<Result<Vec<u64>>>()
    };
    let (prints_a, prints_b) = (prints(&a)?, prints(&b)?);
    let by_name: BTreeMap<&str, usize> = b.iter().enumerate().map(|(index, p)| (p.name.as_str(), index)).collect();
    let mut tensors = Tensors::default();
    let mut taken = vec![false; b.len()];
    let mut left = Vec::new();
    for (index, parameter) in a.iter().enumerate() {
        match by_name.get(parameter.name.as_str()) {
            None => left.push(index),
            Some(&other) => {
                taken[other] = true;
                if prints_a[index] == prints_b[other] {
                    tensors.same += 1;
                } else {
                    tensors.changed.push(change(parameter, b[other])?);
                }
            }
        }
    }
    for index in left {
        let name = a[index].name.clone();
        match (0..b.len()).find(|&other| !taken[other] && prints_a[index] == prints_b[other]) {
            None => tensors.only_a.push(name),
            Some(other) => {
                taken[other] = true;
                let what = "name".to_owned();
                tensors.renamed.push(Change { what, a: name, b: b[other].name.clone() });
            }
        }
    }
    let rest = b.iter().zip(taken).filter(|(_, taken)| !taken);
    tensors.only_b = rest.map(|(parameter, _)| parameter.name.clone()).collect();
    Ok(tensors)
}

fn change(a: &Parameter, b: &Parameter) -> Result<TensorChange> {
    let name = a.name.clone();
    let (x, y) = (&a.tensor, &b.tensor);
    if x.shape() != y.shape() {
        let (a, b) = (format!("{:?}", x.shape()), format!("{:?}", y.shape()));
        return Ok(TensorChange { name, what: "shape", a, b, max_abs: None });
    }
    let differences = x.to_f64()?.into_iter().zip(y.to_f64()?).map(|(x, y)| (x - y).abs());
    let max_abs =
        differences.fold(0.0f64, |largest, difference| if difference > largest { difference } else { largest });
    let what = if x.dtype() == y.dtype() { "elements" } else { "dtype" };
    let text = |parameter: &Parameter| format!("{} {:?}", parameter.tensor.dtype(), parameter.tensor.shape());
    Ok(TensorChange { name, what, a: text(a), b: text(b), max_abs: Some(max_abs) })
}
