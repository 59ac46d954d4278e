//! An architecture as JSON, as `model.to_json()` writes it, and weights that lie beside it.

use std::fs;
use std::path::{Path, PathBuf};

use residua_ir::Shown;
use residua_ir::budget::Limit;
use serde_json::Value;

use super::{KerasFile, read_h5};
use crate::error::Result;
use crate::folder::{map_regular, parent};
use crate::{FormatError, hdf5, json};

/// Files of a kind that are looked into, to find the only one that is what is looked for.
const MOST: usize = 16;

/// Whether JSON is the architecture of a model.
pub(crate) fn is_architecture(value: &Value) -> bool {
    let is_text = value.get("class_name").is_some_and(Value::is_string);
    let config = value.get("config");
    is_text && config.is_some_and(|config| config.is_array() || config.get("layers").is_some())
}

/// Whether a text may be one, without its whole being parsed.
pub(crate) fn may_be_architecture(text: &[u8]) -> bool {
    let holds = |key: &[u8]| text.windows(key.len()).any(|window| window == key);
    holds(b"\"class_name\"") && holds(b"\"config\"") && holds(b"\"layers\"")
}

/// Files with an ending in a folder, in order; none where there are too many to look into.
fn with_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut seen = 0u64;
    for entry in fs::read_dir(folder).map_err(FormatError::io)? {
        let path = entry.map_err(FormatError::io)?.path();
        seen += 1;
        FormatError::check("", Limit::FolderFiles, seen)?;
        let is_one = path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending)) && path.is_file();
        if is_one {
            found.push(path);
        }
    }
    found.sort();
    Ok(if found.len() > MOST { Vec::new() } else { found })
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Weights with the only architecture that lies beside them; as they are where there is none, or several.
pub(crate) fn with_architecture(weights: &Path, file: KerasFile) -> Result<KerasFile> {
    if file.config.is_some() {
        return Ok(file);
    }
    let mut found = Vec::new();
    for path in with_ending(&parent(weights), "json")? {
        let Ok(text) = map_regular(&path) else { continue };
        if !may_be_architecture(&text) {
            continue;
        }
        // JSON of others is no reason to refuse the weights.
        if let Ok(value) = json::parse(&name_of(&path), &text)
            && is_architecture(&value)
        {
            found.push((path, value));
        }
    }
    Ok(match <[(PathBuf, Value); 1]>::try_from(found) {
        Ok([(path, value)]) => KerasFile { config: Some(value), beside: Some(name_of(&path)), ..file },
        Err(_) => file,
    })
}

/// An architecture with the only weights that lie beside it.
pub(crate) fn with_weights(architecture: &Path, text: &[u8]) -> Result<KerasFile> {
    let name = name_of(architecture);
    let value = json::parse("", text)?;
    if !is_architecture(&value) {
        return Err(FormatError::malformed("", "the architecture of a Keras model", "JSON without a list of layers"));
    }
    let mut found = Vec::new();
    for path in with_ending(&parent(architecture), "h5")? {
        let bytes = map_regular(&path)?;
        if !hdf5::is_hdf5(&bytes) {
            continue;
        }
        let file = read_h5(bytes).map_err(|error| error.in_file(&path))?;
        if file.config.is_none() {
            found.push((path, file));
        }
    }
    match <[(PathBuf, KerasFile); 1]>::try_from(found) {
        Ok([(_, file)]) => Ok(KerasFile { config: Some(value), beside: Some(name), ..file }),
        Err(found) if found.is_empty() => Err(FormatError::unsupported(
            "",
            "JSON without weights",
            "put the file of its weights (`.weights.h5`, or `.h5` of `save_weights`) beside it",
        )),
        Err(found) => {
            let names: Vec<String> = found.iter().map(|(path, _)| format!("`{}`", name_of(path).shown())).collect();
            let found = format!("{}; give the weights that are meant", names.join(", "));
            Err(FormatError::malformed("", "one file of weights beside the architecture", found))
        }
    }
}
