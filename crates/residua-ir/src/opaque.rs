//! Operators that are not known: what can be said of them, and what a writer of the same format needs to write them again.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::shape::TensorType;

/// An operator that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opaque {
    /// Where the operator comes from: `keras`, an ONNX domain.
    pub domain: String,
    /// Its name there: `Lambda`, `NonMaxSuppression`.
    pub op_type: String,
    /// Why it is not known, in the user's terms.
    pub reason: String,
    /// Whether the reason is that the node contradicts the definition of its operator, so that nothing can run it.
    #[serde(skip)]
    pub misused: bool,
    /// Types of its results as far as the source declares them; none for those past the end.
    #[serde(skip)]
    pub results: Vec<Option<TensorType>>,
    /// The node as its source has it, where it can be written again as it is.
    #[serde(skip)]
    pub verbatim: Option<Verbatim>,
}

/// A node of an ONNX model, but for the names of what it reads and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbatim {
    /// The message `NodeProto`, without operands and results. Subgraphs in it call what is around them by the names of
    /// the source.
    pub message: Bytes,
    /// For each operand of the message, which operand of the node it is; none where it is left out.
    pub operands: Vec<Option<usize>>,
    /// For each result of the message, which result of the node it is; none where it is left out.
    pub results: Vec<Option<usize>>,
    /// Names that subgraphs call what is around them by, and which operands of the node that is.
    pub captured: Vec<(String, usize)>,
    /// Version of its operator set.
    pub version: i64,
}

impl Opaque {
    /// An operator that cannot be written again.
    #[must_use]
    pub fn new(domain: impl Into<String>, op_type: impl Into<String>, reason: impl Into<String>) -> Self {
        let (domain, op_type, reason) = (domain.into(), op_type.into(), reason.into());
        Self { domain, op_type, reason, misused: false, results: Vec::new(), verbatim: None }
    }
}
