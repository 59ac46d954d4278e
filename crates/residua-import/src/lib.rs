//! Containers to graphs: the front ends of residua.
//!
//! A front end takes what `residua-formats` read — named tensors, and the text of a network where the file holds one — and
//! gives a [`Graph`]: [`keras`] from a model's configuration, [`onnx`] from its messages, [`weights`] from names and
//! shapes alone, [`safetensors`] from what the metadata or the layout says.
//!
//! Invariant: every tensor of the file is bound to an operator, or listed as unused with the reason, or it is an error.
//! Nothing in a file is executed; a layer that is not known becomes [`residua_ir::Op::Opaque`].
//!
//! Not done here: shapes are not checked against each other beyond what binding needs; that is [`residua_ir::validate()`].

mod error;
pub mod keras;
pub mod onnx;
pub mod safetensors;
pub mod weights;

use std::path::Path;

use residua_formats::Container;
use residua_ir::Graph;

pub use error::{Error as ImportError, Result};

/// Reads the network in a file or folder.
///
/// # Errors
/// [`ImportError`], naming the file, and the layer or tensor it is about.
pub fn load(path: &Path) -> Result<Graph> {
    let name = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
    from_container(residua_formats::open(path)?, &name)
        .map_err(|error| ImportError::InFile { file: path.to_owned(), error: Box::new(error) })
}

/// The network in a container; `name` is its name where the container has none.
///
/// # Errors
/// [`ImportError`], naming the layer or tensor it is about.
pub fn from_container(container: Container, name: &str) -> Result<Graph> {
    match container {
        Container::Keras(file) if file.config.is_some() => keras::import(file, name),
        Container::Keras(file) => weights::import(file, name),
        Container::Onnx(file) => onnx::import(file, name),
        Container::Safetensors(file) => safetensors::import(file, name),
        Container::Torch(file) => Err(ImportError::Unsupported {
            what: format!("a network from a file of the kind {}", file.kind.format()),
            help: "in Python, `safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")`".to_owned(),
        }),
    }
}
