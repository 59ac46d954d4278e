//! What differs between two models in structure and tensors, without running anything.
//!
//! Operators correspond where they hold the same weights, where they have the same name, or where they have the same place
//! in the network (`align`); so names may be another framework's. What corresponds is held against each other: attributes,
//! what it takes, and each tensor, element by element, in one pass over both files.

mod align;
mod elements;
mod layers;
mod tensors;

use anyhow::Result;
use residua_ir::Checked;
use residua_resnet::Anatomy;
use serde::Serialize;

pub(crate) use layers::{Layer, LayerChange, Layers, Moved};
pub(crate) use tensors::{Single, TensorChange, Tensors};

use align::Alignment;

/// A model with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) model: &'a Checked,
    pub(crate) anatomy: &'a Anatomy,
}

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) what: String,
    pub(crate) a: String,
    pub(crate) b: String,
}

impl Change {
    /// Where both values are not the same.
    pub(crate) fn between(what: impl Into<String>, a: String, b: String) -> Option<Self> {
        (a != b).then(|| Self { what: what.into(), a, b })
    }
}

/// What differs between the operators and the tensors of two models.
///
/// # Errors
/// Where a tensor cannot be read.
pub(crate) fn differences(a: Side<'_>, b: Side<'_>) -> Result<(Layers, Tensors)> {
    let alignment = Alignment::of(a, b)?;
    let layers = layers::compare(a.model, b.model, &alignment);
    let tensors = tensors::compare(a.model.graph(), b.model.graph(), &alignment)?;
    Ok((layers, tensors))
}
