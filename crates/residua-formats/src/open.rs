//! From a path to a container.

use std::path::Path;

use bytes::Bytes;
use residua_ir::map_file;

use crate::error::Result;
use crate::keras::archive;
use crate::keras::zip::Archive;
use crate::{Container, FormatError, hdf5, keras};

/// Reads the model in a file or folder.
///
/// # Errors
/// [`FormatError`], naming the file and the place in it.
pub fn open(path: &Path) -> Result<Container> {
    let result = if path.is_dir() { folder(path) } else { map_file(path).map_err(FormatError::io).and_then(file) };
    result.map_err(|error| error.in_file(path))
}

fn folder(path: &Path) -> Result<Container> {
    archive::read_folder(path).map(Container::Keras)
}

fn file(bytes: Bytes) -> Result<Container> {
    if hdf5::is_hdf5(&bytes) {
        return keras::read_h5(bytes).map(Container::Keras);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return archive::read_zip(Archive::open(&bytes)?).map(Container::Keras);
    }
    Err(FormatError::unsupported("", "this file", "the reader is not built yet"))
}
