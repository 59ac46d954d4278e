//! Models against what their own framework computed.

use std::path::Path;

use residua_ir::Shown;
use serde::Serialize;

use crate::error::{Context, Result};
use crate::input;
use crate::model::Model;
use crate::proof::{self, Golden, Verification};

/// A model against one set of golden outputs.
#[derive(Debug, Serialize)]
pub struct Held {
    /// The file or folder that holds the set.
    pub set: String,
    /// What was found.
    #[serde(flatten)]
    pub verification: Verification,
}

/// The model on each golden set.
///
/// # Errors
/// Where a set cannot be read, or the model not be run.
pub fn hold(model: &Model, path: &Path, how: &proof::Settings) -> Result<Vec<Held>> {
    let held = |set: Golden| {
        let verification =
            proof::golden(&model.checked, &set, how).with_context(|| format!("golden file {}", path.shown()))?;
        Ok(Held { set: set.name, verification })
    };
    input::read_golden(path, &model.checked)?.into_iter().map(held).collect()
}
