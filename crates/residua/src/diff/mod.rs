//! What differs between two models in structure and tensors, without running anything.
//!
//! Operators correspond where they hold the same weights, where they have the same name, or where they have the same place
//! in the network (`align`); so names may be another framework's. What corresponds is held against each other: attributes,
//! what it takes, and each tensor, element by element, in one pass over both files.

mod align;
mod elements;
mod layers;
mod tensors;

use serde::Serialize;

use crate::error::Result;
use crate::model::Model;
use crate::render;
use crate::summary::Parameters;

pub use layers::{Layer, LayerChange, Layers, Moved};
pub use tensors::{Single, TensorChange, Tensors};

use align::Alignment;

/// What differs.
#[derive(Debug, Serialize)]
pub struct Differences {
    /// Name and version of the document.
    pub schema: &'static str,
    /// The first file.
    pub a: String,
    /// The second.
    pub b: String,
    /// `same` or `different`.
    pub verdict: &'static str,
    /// Properties of the whole model: architecture, inputs, outputs.
    pub model: Vec<Change>,
    /// What differs between operators.
    pub layers: Layers,
    /// What differs between tensors.
    pub tensors: Tensors,
}

/// A property with another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The property.
    pub what: String,
    /// Its value in the first model.
    pub a: String,
    /// And in the second.
    pub b: String,
}

impl Change {
    /// Where both values are not the same.
    pub fn between(what: impl Into<String>, a: String, b: String) -> Option<Self> {
        (a != b).then(|| Self { what: what.into(), a, b })
    }
}

/// What differs between the operators and the tensors of two models.
///
/// # Errors
/// Where a tensor cannot be read.
fn differences(a: &Model, b: &Model) -> Result<(Layers, Tensors)> {
    let alignment = Alignment::of(a, b)?;
    let layers = layers::compare(&a.checked, &b.checked, &alignment);
    let tensors = tensors::compare(a.checked.graph(), b.checked.graph(), &alignment)?;
    Ok((layers, tensors))
}

/// What differs between two models in structure and tensors. Names are listed where they differ; with `ignore_names` they
/// are no difference.
///
/// # Errors
/// Where a tensor cannot be read.
///
/// ```
/// use residua::Model;
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let model = Model::open(digits)?;
/// assert!(residua::diff(&model, &model, false)?.is_same());
/// # Ok::<(), residua::Error>(())
/// ```
pub fn diff(a: &Model, b: &Model, ignore_names: bool) -> Result<Differences> {
    let names = !ignore_names;
    let (layers, tensors) = differences(a, b)?;
    let model = model(a, b, names);
    let same = model.is_empty() && layers.is_same(names) && tensors.is_same(names);
    Ok(Differences {
        schema: "residua.diff/1",
        a: a.path.to_string_lossy().into_owned(),
        b: b.path.to_string_lossy().into_owned(),
        verdict: if same { "same" } else { "different" },
        model,
        layers,
        tensors,
    })
}

impl Differences {
    /// Whether there are none.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.verdict == "same"
    }
}

/// Properties of the whole models that differ.
fn model(a: &Model, b: &Model, names: bool) -> Vec<Change> {
    let architecture = |model: &Model| {
        model.anatomy.architecture.as_ref().map_or_else(|| "none".to_owned(), |architecture| architecture.name.clone())
    };
    let interface = |model: &Model, outputs: bool| {
        let graph = model.checked.graph();
        let ids = if outputs { graph.outputs() } else { graph.inputs() };
        let text = |&id| {
            let shape = model.checked.source_shape_of(id).map(|shape| shape.to_string()).unwrap_or_default();
            let name = if names { graph.value(id).name.raw() } else { "" };
            format!("{name} {shape}").trim().to_owned()
        };
        ids.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let count = |model: &Model| render::number(Parameters::of(model.checked.graph()).total);
    let facts = [
        ("architecture", architecture(a), architecture(b)),
        ("inputs", interface(a, false), interface(b, false)),
        ("outputs", interface(a, true), interface(b, true)),
        ("parameters", count(a), count(b)),
    ];
    facts.into_iter().filter_map(|(what, a, b)| Change::between(what, a, b)).collect()
}
