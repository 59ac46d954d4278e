//! Graph to graph: changes that keep the function, and changes of what the weights are stored as.
//!
//! Invariant: a rewrite keeps layers (and their handles), the names of inputs and outputs and their axis order. What it
//! computes anew is computed when it is read, so that a rewritten graph takes no more memory than its source.

mod edit;
mod fold_batch_norm;
mod fold_constants;
mod free_batch;
pub mod normalise;
pub mod passes;

pub use edit::{Edits, Expr, Origin};
pub use fold_batch_norm::{FoldBatchNorms, Folded, fold_batch_norm};
pub use fold_constants::{FoldConstants, Lazily, computed_constants, fold_constants};
pub use free_batch::{FreeBatchError, Freed, free_batch};
pub use normalise::{Normalised, normalise, normalise_exactly};
pub use passes::{Applied, Change, Pass, Rewritten};

use crate::budget::Overrun;
use crate::graph::{Graph, GraphError, Parameter, Role};
use crate::tensor::{DType, TensorError};
use crate::validate::Typed;

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
    /// Passes would go on beyond their limit.
    #[error(transparent)]
    Limit(#[from] Overrun),
}

impl RewriteError {
    /// The limit that was met, where that is the reason.
    #[must_use]
    pub fn overrun(&self) -> Option<Overrun> {
        match self {
            Self::Limit(overrun) => Some(*overrun),
            Self::Tensor(_) | Self::Graph(_) => None,
        }
    }
}

/// Rounds every floating-point tensor to a type.
#[derive(Debug, Clone, Copy)]
pub struct CastWeights(pub DType);

impl Pass for CastWeights {
    fn name(&self) -> &'static str {
        "cast-weights"
    }

    fn what(&self) -> &'static str {
        "rounded weights to another float type"
    }

    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
        let graph = model.graph();
        let is_cast = |parameter: &&Parameter| {
            let dtype = parameter.tensor.dtype();
            dtype.is_float() && dtype != self.0 && parameter.role != Role::Counter
        };
        let nodes: Vec<String> =
            graph.parameters().iter().filter(is_cast).map(|parameter| parameter.name.raw().to_owned()).collect();
        if nodes.is_empty() {
            return Ok(None);
        }
        let applied = Applied { pass: self.name(), what: self.what(), change: Change::Rounding, nodes };
        Ok(Some(Rewritten { graph: cast_weights(graph.clone(), self.0), origin: Origin::identity(graph), applied }))
    }
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
