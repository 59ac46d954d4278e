//! From a path to a container.

use std::path::Path;

use crate::{Container, FormatError};

/// Reads the model in a file or folder.
///
/// # Errors
/// [`FormatError`], naming the file and the place in it.
pub fn open(path: &Path) -> Result<Container, FormatError> {
    Err(FormatError::unsupported("", "this file", "the reader is not built yet").in_file(path))
}
