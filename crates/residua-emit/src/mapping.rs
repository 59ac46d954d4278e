//! What was written from what: the answer to "where did my tensor go, and what happened to it".

use std::path::PathBuf;

use residua_ir::{DType, Framework, Graph, ParameterId, Tensor, Transform};
use serde::Serialize;

/// One tensor of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TensorMapping {
    /// Path or name in the source; several joined by ` + ` where it was computed from them, empty where the source leaves
    /// it out.
    pub from: String,
    /// The parameters that it was made of.
    #[serde(skip)]
    pub sources: Vec<ParameterId>,
    /// Name in the output.
    pub to: String,
    /// Shape in the output.
    pub shape: Vec<usize>,
    /// Element type in the output.
    pub dtype: DType,
    /// What was done to the stored tensor, in order; nothing where it is the same bytes.
    pub transforms: Vec<String>,
}

/// A tensor of the source that is not in the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dropped {
    /// Path or name in the source.
    pub from: String,
    /// Why.
    pub reason: String,
}

/// How the written function relates to the source's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Exactness {
    /// The same operations on the same numbers: f64 results are bit-identical.
    Identical,
    /// Some nodes had to be written as several operators, or some tensors were computed anew: the same function over the
    /// reals, rounded elsewhere.
    Rearranged {
        /// Names of these nodes and tensors.
        nodes: Vec<String>,
    },
    /// Weights were rounded: the output is the rounded source.
    Rounded {
        /// To what.
        dtype: DType,
        /// Nodes that had to be written as several operators besides, tensors that were computed anew.
        nodes: Vec<String>,
    },
}

impl Exactness {
    pub(crate) fn new(rounded: Option<DType>, nodes: Vec<String>) -> Self {
        match (rounded, nodes.is_empty()) {
            (Some(dtype), _) => Self::Rounded { dtype, nodes },
            (None, true) => Self::Identical,
            (None, false) => Self::Rearranged { nodes },
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Emitted {
    /// Files of the output, the one to open first.
    pub files: Vec<PathBuf>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Tensors, in the output's order.
    pub mapping: Vec<TensorMapping>,
    /// Tensors of the source that the output has no place for.
    pub dropped: Vec<Dropped>,
    /// How the function relates to the source's.
    pub exactness: Exactness,
    /// What else was done to the graph, a sentence each.
    pub notes: Vec<String>,
}

impl Emitted {
    /// What was written of a model whose tensors all have a place.
    #[must_use]
    pub fn new(
        files: Vec<PathBuf>,
        bytes: u64,
        mapping: Vec<TensorMapping>,
        exactness: Exactness,
        notes: Vec<String>,
    ) -> Self {
        Self { files, bytes, mapping, dropped: Vec::new(), exactness, notes }
    }
}

/// Where a parameter is in the source: its path in the file, or its name where that is the same. In PyTorch's files
/// the name is what people know, and the path only the number of a record.
pub(crate) fn origin(graph: &Graph, id: ParameterId) -> String {
    let parameter = graph.parameter(id);
    let by_name = parameter.location.is_empty() || graph.source().framework == Framework::Pytorch;
    let name = if by_name { &parameter.name } else { &parameter.location };
    name.raw().to_owned()
}

impl TensorMapping {
    /// What was made of these parameters, by whoever writes tensors of a graph.
    #[must_use]
    pub fn of(graph: &Graph, sources: &[ParameterId], to: &str, tensor: &Tensor) -> Self {
        Self::new(graph, sources, to, tensor)
    }

    /// What was made of these parameters.
    pub(crate) fn new(graph: &Graph, sources: &[ParameterId], to: &str, tensor: &Tensor) -> Self {
        let origins: Vec<String> = sources.iter().map(|&id| origin(graph, id)).collect();
        Self {
            from: origins.join(" + "),
            sources: sources.to_vec(),
            to: to.to_owned(),
            shape: tensor.shape().to_vec(),
            dtype: tensor.dtype(),
            transforms: without_inverses(tensor.transforms()).iter().map(ToString::to_string).collect(),
        }
    }
}

/// The same history without permutations that undo each other, such as a dense kernel's on its way through the graph.
fn without_inverses(transforms: &[Transform]) -> Vec<&Transform> {
    let mut kept: Vec<&Transform> = Vec::with_capacity(transforms.len());
    for transform in transforms {
        match (kept.last(), transform) {
            (Some(Transform::Permute(first)), Transform::Permute(second))
                if first.iter().enumerate().all(|(axis, &from)| second.get(from) == Some(&axis)) =>
            {
                kept.pop();
            }
            _ => kept.push(transform),
        }
    }
    kept
}
