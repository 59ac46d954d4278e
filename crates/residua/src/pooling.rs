//! Map or mean: which of them a network without a classifier gives, where golden outputs tell.
//!
//! Weights do not say which, and what is taken for a layout may not be what whoever computed the outputs wanted. Outputs of the other form
//! are no reason to fail: the network is held to that form, which is said.

use std::path::Path;

use crate::error::Result;
use residua_ir::{Hint, ValueId};

use crate::input;
use crate::model::Model;
use crate::options::{OpenOptions, Pooling};

/// The model, or, where it has no classifier and golden outputs are of the other form, the one that gives that.
///
/// # Errors
/// Where the golden file cannot be read.
pub fn as_golden(model: Model, golden: Option<&Path>, options: &OpenOptions) -> Result<Model> {
    let (Some(golden), None, Some(gives)) = (golden, options.pooling, rank(&model)) else { return Ok(model) };
    let sets = input::read_golden(golden, &model.checked)?;
    let mut ranks = sets.iter().filter_map(|set| Some(set.outputs.first()?.shape().len()));
    let (pooling, form, name) = match (gives, ranks.next()) {
        (2, Some(4)) => (Pooling::None, "the map of the last block", "none"),
        (4, Some(2)) => (Pooling::Avg, "the mean of the last map", "avg"),
        _ => return Ok(model),
    };
    let options = OpenOptions { pooling: Some(pooling), ..options.clone() };
    let hint = Hint::Pooling;
    let note = format!("the golden file holds {form} (as {hint} {name}), and so the network is taken to give that");
    // Where there is no other form, that is told when outputs are compared.
    match model.again_noting(&options, note) {
        Ok(other) if rank(&other).is_some_and(|rank| rank != gives) => Ok(other),
        Ok(_) | Err(_) => Ok(model),
    }
}

/// Axes of a model's only output.
fn rank(model: &Model) -> Option<usize> {
    let shape = |&id: &ValueId| Some(model.checked.shape_of(id)?.dims().len());
    match model.checked.graph().outputs() {
        [only] => shape(only),
        _ => None,
    }
}
