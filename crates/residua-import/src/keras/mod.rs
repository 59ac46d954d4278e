//! Keras models with a configuration to a graph.

use residua_formats::keras::KerasFile;
use residua_ir::Graph;

use crate::error::{Error, Result};

/// The network in a container.
///
/// # Errors
/// [`Error`], naming the layer or tensor it is about.
pub fn import(_file: KerasFile, name: &str) -> Result<Graph> {
    Err(Error::Unsupported { what: name.to_owned(), help: "this reader is not built yet".to_owned() })
}
