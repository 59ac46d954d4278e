//! Writes the source of a network as a person would have written it.
//!
//! [`plan`](plan()) makes a [`Program`] of a graph and its anatomy: modules with parameters, the blocks of a network as
//! one module each, stages as rows of them. [`execute`](execute()) makes a graph of a program again, so that both can be
//! held against each other. [`candle`] says how candle computes each operator, and prints a crate; [`onnx`] prints the
//! crate around a model for a runtime that reads ONNX.
//!
//! Invariant: no text of a file gets into source but through [`ident`].
//!
//! Not here: files. A crate is a list of names with their text; tensors are named, not written.

pub mod burn;
pub mod candle;
pub mod execute;
pub mod form;
pub mod ident;
mod image_input;
pub mod onnx;
pub mod package;
mod plan;
mod rust;
mod slots;

pub use execute::{ExecuteError, execute};
pub use form::Program;
pub use plan::plan;
