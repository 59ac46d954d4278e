//! What a source says beside what is computed: for people, and for the tools of whoever wrote it.
//!
//! None of it changes what a graph computes. It is kept so that a model that is written in the format it came in says the
//! same again.

use crate::shape::TensorType;

/// A text, and named values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The text.
    pub doc: String,
    /// Keys and values, in the source's order.
    pub properties: Vec<(String, String)>,
}

impl Metadata {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.doc.is_empty() && self.properties.is_empty()
    }
}

/// What an ONNX file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxHeader {
    /// Version of the format.
    pub ir_version: i64,
    /// Version of ONNX's own operators.
    pub opset: i64,
    /// What wrote it.
    pub producer: String,
    /// Version of what wrote it.
    pub producer_version: String,
    /// Name space of the model, in reverse-DNS form.
    pub domain: String,
    /// Version of the model.
    pub model_version: i64,
    /// Of the model.
    pub model: Metadata,
    /// Of the graph.
    pub graph: Metadata,
    /// Of inputs, outputs, tensors and what is in between, where there is something to say.
    pub values: Vec<ValueMetadata>,
    /// Tensors that are listed among the inputs as well: whoever runs the model may replace them.
    pub replaceable: Vec<String>,
}

/// What an ONNX file says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueMetadata {
    /// Its name.
    pub name: String,
    /// The type that is declared for an output.
    pub declared: Option<TensorType>,
    /// What else is said.
    pub metadata: Metadata,
}
