//! The typed graph of residua: what every reader produces and everything else consumes.
//!
//! Here live tensors as views on bytes ([`Tensor`]), the operators ([`Op`]), the graph ([`Graph`], made only by
//! [`GraphBuilder`]), the only shape inference ([`mod@shape`]), and validation ([`validate()`]), the one door between a
//! graph and whatever runs or writes it ([`Checked`]).
//!
//! Axis order is NCHW for activations and OIHW for convolution kernels throughout. What the source model showed its
//! users (NHWC for most Keras files) is kept as a property of each value ([`SourceOrder`]).
//!
//! This crate knows nothing of formats, frameworks or residual networks; of files, how their bytes are had ([`files`]).

#![deny(clippy::wildcard_enum_match_arm, reason = "a new operator must not be misread in silence")]

pub mod budget;
pub mod cause;
pub mod computes;
pub mod cost;
pub mod faults;
pub mod files;
pub mod finding;
pub mod free_sizes;
pub mod graph;
pub mod hint;
pub mod identical;
pub mod interchange;
pub mod name;
pub mod op;
mod opaque;
pub mod preparation;
pub mod receptive;
pub mod rewrite;
pub mod shape;
pub mod tensor;
pub mod text;
pub mod validate;

pub use cause::in_full;
pub use cost::Counting;
pub use files::map_file;
pub use finding::{Code, Finding, Group, Level};
pub use graph::{
    Format, Framework, Graph, GraphBuilder, GraphError, InputType, Layer, LayerId, Metadata, Node, NodeId, OnnxHeader,
    Parameter, ParameterId, Role, Source, SourceOrder, Unused, Value, ValueId, ValueKind, ValueMetadata,
};
pub use hint::Hint;
pub use identical::{Difference, Pairing, Part, Unlike, pair, pair_in_parts};
pub use name::{Name, Shown, Text};
pub use op::resize::{Coordinates, Fit, Interpolation, ResizeTarget, Rounding};
pub use op::{
    Activation, ArgExtremum, Arithmetic, AvgPool, BatchNorm, Border, Comparison, Conv, ConvTranspose, CumSum,
    DynamicRange, Elementwise, Extent, Extremum, GlobalPool, Granularity, GroupNorm, IdentityReason, LayerNorm, LpPool,
    Lrn, MaxPool, Op, Pad, PadAxes, Padding, Pads, PoolKind, Property, Quantize, Reduce, ReshapeDim, Resize, TopK,
    Trilu,
};
pub use opaque::{Opaque, Verbatim};
pub use receptive::{ReceptiveField, receptive_fields};
pub use shape::{Dim, Shape, TensorType};
pub use tensor::{
    DType, Distribution, Endian, LazyBytes, Statistics, Tensor, TensorDifference, TensorError, Transform,
};
pub use validate::{Checked, Invalid, Typed, validate};
