//! Runs a validated graph: the f64 reference, the f32 engine, and the comparison of two runs.
//!
//! An [`Executor`] owns a plan and packed weights for one [`Precision`]. In f64 every operator is computed as
//! `residua_ir::Op` defines it, one step a node. In f32 a batch norm, a sum and an activation are computed with
//! the layer before them while its result is in cache, except across values that were asked for.
//!
//! Invariant: results are bit-identical between runs, for any number of threads, and however the weights lie in
//! their file: every sum is taken in an order that depends on the operator alone.
//!
//! This crate knows nothing of files or residual networks, and reads no image.

#![deny(clippy::wildcard_enum_match_arm, reason = "a new operator must not be misread in silence")]

mod array;
mod buffer;
pub mod compare;
mod constant;
mod element;
mod engine;
mod error;
mod estimate;
mod executor;
mod kernels;
mod options;
pub mod order;
mod parallel;
mod plan;
mod run;
mod step;
mod steps;

pub use array::{Array, Data};
pub use constant::computed_when_read;
pub use error::ExecError;
pub use estimate::{Estimate, estimate};
pub use executor::Executor;
pub use options::{Computed, Options, Precision, Results, Watch};
