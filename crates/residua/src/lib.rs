//! Takes residual networks out of Keras, PyTorch, ONNX and safetensors files: reads, checks, runs and writes them, with
//! proof that the numbers survived.
//!
//! ```no_run
//! use residua::{Comparison, Model, Onnx, Proof};
//! # fn main() -> Result<(), residua::Error> {
//! let model = Model::open("resnet50v2.h5")?;
//! assert_eq!(model.anatomy().standard_name(), Some("resnet50v2"));
//! model.convert("resnet50v2.onnx", Onnx::default())?.prove(&Proof::default())?.commit()?;
//! let written = Model::open("resnet50v2.onnx")?;
//! assert!(residua::compare(&model, &written, &Comparison::default())?.is_same());
//! # Ok(())
//! # }
//! ```
//!
//! The crates below this one are here under short names.

pub mod check;
pub mod comparison;
pub mod convert;
pub mod diff;
pub mod error;
pub mod explain;
pub mod fit;
mod floats;
pub mod input;
pub mod labels;
pub mod layouts;
pub mod manifest;
pub mod model;
pub mod options;
pub mod output;
mod paths;
pub mod pooling;
pub mod proof;
pub mod render;
pub mod run;
pub mod suggest;
pub mod summary;
mod watch;

pub use residua_emit as emit;
pub use residua_exec as exec;
pub use residua_formats as formats;
pub use residua_import as import;
pub use residua_ir as ir;
pub use residua_resnet as resnet;
pub use residua_verify as verify;

pub use check::{Check, Report};
pub use comparison::{Compared, Comparison, compare};
pub use convert::{Conversion, Convert, Onnx, Proof, Safetensors};
pub use diff::{Differences, diff};
pub use error::Error;
pub use layouts::layouts;
pub use model::Model;
pub use options::OpenOptions;
pub use run::{Engine, EngineOptions};
pub use watch::Watch;
