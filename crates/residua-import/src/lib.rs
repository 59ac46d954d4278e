//! Containers to graphs: the front ends of residua.
//!
//! A front end takes what `residua-formats` read — named tensors, and the text of a network where the file holds one — and
//! gives a [`Graph`]: [`keras`] from a model's configuration, [`onnx`] from its messages, [`safetensors`] from the graph that this project
//! writes beside weights; and, from names and shapes alone, [`weights`] for Keras's files and `state_dict` for all others.
//!
//! Invariant: every tensor of the file is bound to an operator, or listed as unused with the reason, or it is an error.
//! Nothing in a file is executed; a layer that is not known becomes [`residua_ir::Op::Opaque`].
//!
//! Not done here: shapes are not checked against each other beyond what binding needs; that is [`residua_ir::validate()`].

mod config_json;
mod cycles;
mod error;
pub mod keras;
pub mod onnx;
mod opened;
mod preparation;
pub mod safetensors;
mod state_dict;
pub mod weights;

use std::path::PathBuf;

use bytes::Bytes;
use residua_formats::Container;
use residua_ir::Graph;
use residua_resnet::recognise::Given;

use error::Result;
pub use error::{Error as ImportProblem, ImportError};
pub use opened::Opened;
pub use residua_formats::{Companions, ModelSource};

/// What is known of a file besides its bytes.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Of several networks, the one that is meant: the path of its state dict, that of its tensors there, or one behind the other.
    pub which: Option<String>,
    /// The module at which the head begins: its tensors, and the classifier, are left out.
    pub head_from: Option<String>,
    /// What names and shapes leave open.
    pub given: Given,
    /// The `config.json` of Hugging Face that belongs to the file, where it does not lie beside it.
    pub config: Option<PathBuf>,
}

/// Reads the network in a file, a folder, or bytes in memory.
///
/// # Errors
/// [`ImportError`], naming the file, and the layer or tensor it is about.
pub fn load(source: impl Into<ModelSource>) -> Result<Graph, ImportError> {
    load_with(source, &LoadOptions::default())
}

/// As [`load`], with what is known besides. Files that hold their graph need none of it, and it is not looked at.
///
/// # Errors
/// [`ImportError`], naming the file, and the layer or tensor it is about.
pub fn load_with(source: impl Into<ModelSource>, options: &LoadOptions) -> Result<Graph, ImportError> {
    Opened::open(source)?.graph(options)
}

/// Reads the network in bytes in memory. `name` is that of the file in messages.
///
/// What the model says of other files (external data, shards) is refused; [`ModelSource::with_companions`] gives them.
///
/// # Errors
/// [`ImportError`] with this name, and the layer or tensor it is about.
pub fn load_bytes(name: &str, bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Graph, ImportError> {
    load_with(ModelSource::bytes(name, bytes), options)
}

/// The network in a container; `name` is its name where the container has none.
///
/// # Errors
/// [`ImportError`], naming the layer or tensor it is about.
pub fn from_container(container: Container, name: &str, options: &LoadOptions) -> Result<Graph, ImportError> {
    import(container, name, options).map_err(ImportError::from)
}

fn import(container: Container, name: &str, options: &LoadOptions) -> Result<Graph> {
    match container {
        Container::Keras(file) if file.config.is_some() => keras::import(file, name),
        Container::Keras(file) => weights::import(file, name, &options.given),
        Container::Onnx(file) => onnx::import(file, name),
        Container::Safetensors(file) if safetensors::holds_graph(&file) => safetensors::import(file, name),
        Container::Safetensors(file) => state_dict::from_safetensors(file, name, options),
        Container::Torch(file) => state_dict::from_torch(file, name, options),
    }
}
