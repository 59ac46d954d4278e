//! An ONNX `TensorProto` in a `.pb` file, as ONNX's own test data is.

use std::path::Path;

use crate::error::{Context, Result};
use prost::Message;
use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::{ModelProto, TensorProto};
use residua_ir::{Shown, Tensor, map_file};

/// Reads one tensor.
pub(crate) fn read(path: &Path) -> Result<Tensor> {
    let bytes = map_file(path).with_context(|| format!("cannot read {}", path.shown()))?;
    let what = || format!("{} is no usable TensorProto", path.shown());
    let proto = TensorProto::decode(bytes).with_context(what)?;
    OnnxFile::from(ModelProto::default()).tensor(&proto).with_context(what)
}
