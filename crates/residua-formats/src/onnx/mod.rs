//! ONNX models: the messages as the file has them, and their tensors as views on it.

pub mod schema;

use residua_ir::Tensor;

use crate::FormatError;
use schema::{ModelProto, TensorProto};

/// An ONNX model.
#[derive(Debug)]
pub struct OnnxFile {
    /// The model. Its `raw_data` are slices of the mapped file.
    pub model: ModelProto,
}

impl OnnxFile {
    /// The elements of a tensor of this model.
    ///
    /// # Errors
    /// [`FormatError`] naming the tensor.
    pub fn tensor(&self, proto: &TensorProto) -> Result<Tensor, FormatError> {
        Err(FormatError::unsupported(&proto.name, "this tensor", "the reader is not built yet"))
    }
}
