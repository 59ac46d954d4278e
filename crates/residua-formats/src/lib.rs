//! Untrusted bytes to containers of named tensors: Keras HDF5 and `.keras`, PyTorch, ONNX, safetensors.
//!
//! [`open`] maps a file, or takes bytes in memory ([`ModelSource`]), tells from its bytes what it is ([`sniff`]) and gives a [`Container`]: the tensors as views on
//! the map, and whatever text about the network the file holds, parsed as JSON or protobuf and not interpreted.
//!
//! Invariant: nothing in a file is trusted. Sizes are checked against [`residua_ir::budget`] and against the bytes that are there
//! before anything is allocated, nesting is bounded, names of other files are confined to the model's folder, nothing is
//! executed. Every tensor of a file is in its container or listed as unused with the reason.
//!
//! Not done here: what the tensors mean. Layers, operators and axis orders are the importer's business.

#![forbid(unsafe_code)]

mod decoded;
mod error;
mod folder;
mod hdf5;
mod json;
pub mod keras;
pub mod npy;
pub mod onnx;
mod open;
mod pickle;
pub mod safetensors;
pub mod sniff;
mod source;
pub mod torch;
mod zip;

use residua_ir::Tensor;

pub use error::{FormatError, Problem};
pub use open::{Beside, beside, open, open_bytes, open_onnx};
pub use source::{Companions, ModelSource};
pub use zip::open_zip;

/// What [`open`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each file that is open")]
pub enum Container {
    /// Any of the five containers that Keras writes.
    Keras(keras::KerasFile),
    /// An ONNX model.
    Onnx(onnx::OnnxFile),
    /// A safetensors file, or the shards of one.
    Safetensors(safetensors::SafetensorsFile),
    /// Whatever PyTorch wrote.
    Torch(torch::TorchFile),
}

/// A tensor under the name that its container gives it.
#[derive(Debug, Clone)]
pub struct NamedTensor {
    /// Name within whatever holds it: `conv1_conv/kernel:0` in a layer, `0` in a list of variables.
    pub name: String,
    /// Full path in the file.
    pub location: String,
    /// Its elements.
    pub tensor: Tensor,
}
