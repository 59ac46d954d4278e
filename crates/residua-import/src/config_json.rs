//! A `config.json` or the like that lies beside weights.

use std::path::Path;

use residua_ir::budget::Limit;
use residua_ir::files;
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads one, of any content.
pub(crate) fn config_json(path: &Path) -> Result<Value> {
    let wrong = |found: String| Error::Config {
        at: path.to_string_lossy().into_owned().into(),
        expected: "a configuration in JSON".into(),
        found: found.into(),
    };
    let text = files::read(path, Limit::JsonBytes).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}
