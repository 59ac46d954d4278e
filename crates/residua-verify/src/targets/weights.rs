//! How the weights of a model fit the model code that a runtime has.

use residua_ir::{Checked, Format, Framework};
use residua_resnet::Anatomy;
use residua_resnet::layout_fit::{Fitted, fit_layout, fits_by_shapes};
use residua_resnet::layouts::ModelLibrary;

/// How a model's weights fit.
#[derive(Debug)]
pub(crate) enum Fit {
    /// The code cannot build the network, a reason each.
    Cannot(Vec<String>),
    /// The code finds each tensor that it asks for and computes something else, a reason each.
    Silent(Vec<String>),
    /// They are held once they have the names, or the container, that the code asks for.
    Renamed,
    /// The names are those that the code asks for, and the elements have to be others: what was done to the first.
    Changed(String),
    /// As they are.
    AsIs,
}

impl Fit {
    /// How the weights of a model fit the code of a library; none where there is no such library.
    pub(crate) fn of(model: &Checked, anatomy: &Anatomy, library: &str) -> Option<Self> {
        let library: &'static ModelLibrary = ModelLibrary::named(library)?;
        Some(match fit_layout(model, anatomy, library) {
            Ok(fitted) => Self::of_fitted(model, &fitted),
            Err(reasons) if fits_by_shapes(model, anatomy, library) => Self::Silent(reasons),
            Err(reasons) => Self::Cannot(reasons),
        })
    }

    fn of_fitted(model: &Checked, fitted: &Fitted) -> Self {
        let graph = model.graph();
        let source = graph.source();
        let of_tensors = source.framework == Framework::Pytorch && source.format != Format::Onnx;
        let is_named = |placed: &residua_resnet::layout_fit::FittedTensor| match placed.from.first() {
            Some(&id) => graph.parameter(id).name == placed.name,
            None => false,
        };
        if !of_tensors || !fitted.tensors.iter().all(is_named) {
            return Self::Renamed;
        }
        let changed = fitted.tensors.iter().find(|placed| !placed.moves.is_empty());
        changed.map_or(Self::AsIs, |placed| Self::Changed(format!("`{}`: {}", placed.name, placed.moves.join(", "))))
    }
}
