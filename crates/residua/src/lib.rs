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

#[cfg(feature = "reports")]
pub mod check;
#[cfg(feature = "engine")]
pub mod comparison;
#[cfg(feature = "writers")]
pub mod convert;
pub mod diff;
pub mod error;
#[cfg(feature = "more-images")]
pub mod evaluate;
#[cfg(feature = "reports")]
pub mod explain;

mod floats;
#[cfg(feature = "engine")]
pub mod golden;
#[cfg(feature = "writers")]
pub mod head;
#[cfg(feature = "more-images")]
pub mod images;
#[cfg(feature = "writers")]
mod initial;
#[cfg(feature = "engine")]
pub mod input;
#[cfg(feature = "known")]
pub mod known;
#[cfg(feature = "engine")]
pub mod labels;
#[cfg(feature = "writers")]
pub mod layouts;
#[cfg(feature = "writers")]
pub mod manifest;
pub mod model;
#[cfg(feature = "writers")]
pub mod new;
pub mod options;
#[cfg(feature = "writers")]
pub mod output;
#[cfg(feature = "writers")]
mod paths;
#[cfg(feature = "engine")]
pub mod pooling;
#[cfg(feature = "more-images")]
pub mod predict;
pub mod preparation;
#[cfg(feature = "engine")]
pub mod proof;
pub mod render;
#[cfg(feature = "engine")]
pub mod run;
#[cfg(feature = "more-images")]
pub mod scores;
pub mod suggest;
pub mod summary;
mod watch;

#[cfg(feature = "writers")]
pub use residua_emit as emit;
#[cfg(feature = "engine")]
pub use residua_exec as exec;
#[cfg(feature = "readers")]
pub use residua_formats as formats;
#[cfg(feature = "readers")]
pub use residua_import as import;
pub use residua_ir as ir;
pub use residua_resnet as resnet;
#[cfg(feature = "writers")]
pub use residua_source as source;
#[cfg(feature = "writers")]
pub use residua_verify as verify;

#[cfg(feature = "reports")]
pub use check::{Check, Report};
#[cfg(feature = "engine")]
pub use comparison::{Compared, Comparison, compare};
#[cfg(feature = "writers")]
pub use convert::{Conversion, Convert, Onnx, Proof, Safetensors, SourceCrate, SourceOptions};
pub use diff::{Differences, diff};
pub use error::Error;
#[cfg(feature = "more-images")]
pub use evaluate::{Evaluate, Evaluator, Truth};
#[cfg(feature = "writers")]
pub use head::Head;
#[cfg(feature = "writers")]
pub use layouts::layouts;
pub use model::Model;
#[cfg(feature = "writers")]
pub use new::New;
pub use options::OpenOptions;
#[cfg(feature = "more-images")]
pub use predict::{Predict, Predictor};
#[cfg(feature = "readers")]
pub use residua_import::ModelSource;
#[cfg(feature = "engine")]
pub use run::{Engine, EngineOptions};
pub use watch::Watch;
