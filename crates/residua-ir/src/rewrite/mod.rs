//! Graph to graph: changes that keep the function, and changes of what the weights are stored as.
//!
//! Invariant: a rewrite keeps layers (and their handles), the names of inputs and outputs and their axis order. What it
//! computes anew is computed when it is read, so that a rewritten graph takes no more memory than its source.

mod edit;
mod fold_batch_norm;
mod fold_constants;
mod free_batch;
pub mod normalise;

pub use edit::{Edits, Expr, Origin};
pub use fold_batch_norm::{Folded, fold_batch_norm};
pub use fold_constants::{Lazily, computed_constants, fold_constants};
pub use free_batch::{FreeBatchError, Freed, free_batch};
pub use normalise::{Applied, Change, Normalised, normalise};

use crate::graph::{Graph, GraphError, Parameter, Role};
use crate::tensor::{DType, TensorError};

/// Why a graph could not be changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// A tensor could not be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The result is no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The same graph with every floating-point tensor rounded to `dtype`.
#[must_use]
pub fn cast_weights(graph: Graph, dtype: DType) -> Graph {
    let cast = |parameter: &Parameter| {
        let kept = !parameter.tensor.dtype().is_float() || parameter.role == Role::Counter;
        Ok::<_, std::convert::Infallible>(if kept { parameter.tensor.clone() } else { parameter.tensor.cast(dtype) })
    };
    match graph.map_tensors(cast) {
        Ok(graph) => graph,
        Err(never) => match never {},
    }
}
