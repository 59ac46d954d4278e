//! `.keras`: the configuration and the weights side by side, zipped or in a folder.

use std::path::Path;

use bytes::Bytes;
use residua_ir::budget::Limit;
use serde_json::Value;

use super::{KerasFile, KerasKind, task};
use crate::error::Result;
use crate::folder::map_regular;
use crate::zip::Archive;
use crate::{FormatError, json};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
const NPZ_WEIGHTS: &str = "model.weights.npz";

/// Whether entries or files of these names make a Keras model.
pub(crate) fn is_keras<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> bool {
    names.clone().any(|name| name == CONFIG) && names.any(is_weights)
}

/// What is missing in an archive that has two of the three entries of a Keras model, and is one by all appearance.
pub(crate) fn missing<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> Option<&'static str> {
    let metadata = names.clone().any(|name| name == METADATA);
    let (config, weights) = (names.clone().any(|name| name == CONFIG), names.any(is_weights));
    match (metadata, config, weights) {
        (true, false, true) => Some(CONFIG),
        (true, true, false) => Some(WEIGHTS),
        _ => None,
    }
}

fn is_weights(name: &str) -> bool {
    [WEIGHTS, NPZ_WEIGHTS, "model.weights.json"].contains(&name)
}

/// Reads a zipped model.
pub(crate) fn read_zip(mut archive: Archive) -> Result<KerasFile> {
    read(KerasKind::Zip, &mut |name, limit| archive.entry(name, limit))
}

/// Reads a model in a folder.
pub(crate) fn read_folder(folder: &Path) -> Result<KerasFile> {
    let mut entry = |name: &str, _| {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        map_regular(&path).map(Some)
    };
    let file = read(KerasKind::Folder, &mut entry)?;
    task::with_task(file, &mut |name| entry(name, Limit::JsonBytes))
}

fn read(kind: KerasKind, entry: &mut dyn FnMut(&str, Limit) -> Result<Option<Bytes>>) -> Result<KerasFile> {
    let metadata = match entry(METADATA, Limit::JsonBytes)? {
        Some(text) => json::parse(METADATA, &text)?,
        None => Value::Null,
    };
    let Some(config) = entry(CONFIG, Limit::JsonBytes)? else {
        return Err(FormatError::malformed(CONFIG, "the model's configuration", "nothing"));
    };
    let config = json::parse(CONFIG, &config)?;
    let Some(weights) = entry(WEIGHTS, Limit::DecodedBytes)? else {
        let help = "save the model again with a current version of Keras, which writes `model.weights.h5`";
        return Err(FormatError::unsupported("", format!("a Keras model without `{WEIGHTS}`"), help));
    };
    let file = super::read_h5(weights).map_err(|error| error.within(WEIGHTS))?;
    let version = metadata.get("keras_version").and_then(Value::as_str).map(str::to_owned);
    Ok(KerasFile { kind, version: version.or(file.version), config: Some(config), ..file })
}
