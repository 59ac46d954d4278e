//! Writes ONNX and safetensors from a validated graph.
//!
//! A target is written in two steps: [`onnx::stage`] and [`safetensors::stage`] write the whole output beside its
//! place, where it can be read back and proved; [`Staged::commit`] moves it there. What is dropped before that leaves
//! nothing.
//!
//! Both can write into memory or into a writer as well (`to_memory`, `write_to`), for whoever has no place on disk.
//!
//! Elements are never held, but where memory is the target: headers are encoded first, so that every tensor's place in the file is known, and workers
//! gather and write tensors piece by piece (`sink`).
//!
//! ```
//! use residua_emit::onnx::{self, OnnxOptions};
//! use residua_ir::{Conv, GraphBuilder, Op, Shape, Tensor, validate};
//!
//! let mut graph = GraphBuilder::new("one layer");
//! let image = graph.input("image", Shape::batch(&[3, 32, 32]));
//! let kernel = graph.weight("kernel", Tensor::from_f32(vec![8, 3, 3, 3], &[0.5; 216])?);
//! let map = graph.add("conv", Op::Conv(Conv::default()), &[image, kernel]);
//! graph.output(map);
//! let model = validate(graph.finish()?)?;
//!
//! let options = OnnxOptions { opset: 13, ..OnnxOptions::default() };
//! let written = onnx::to_memory(&model, &options, "model.onnx")?;
//! assert_eq!(written.emitted.bytes, written.bytes.len() as u64);
//! assert_eq!((&written.emitted.mapping[0].from[..], &written.emitted.mapping[0].to[..]), ("kernel", "kernel"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a target cannot represent is an [`EmitError`] that names the node, never something close to it.

#![deny(clippy::wildcard_enum_match_arm, reason = "a new operator must not be misread in silence")]

mod error;
mod file_ops;
mod float;
mod mapping;
mod memory;
mod metadata;
pub mod onnx;
pub mod place;
pub mod safetensors;
mod sink;

pub use error::EmitError;
pub use mapping::{Dropped, Emitted, Exactness, TensorMapping};
pub use memory::{InMemory, MemoryFile};
pub use place::Staged;
