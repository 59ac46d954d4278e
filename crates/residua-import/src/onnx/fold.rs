//! Weights that the model computes from weights: tensors, computed when they are read.

use residua_exec::computed_when_read;
use residua_ir::rewrite::fold_constants;
use residua_ir::{Graph, Typed, in_full};

use crate::error::{Error, Result};

/// The graph with tensors in the place of what follows from tensors alone.
pub(super) fn fold(graph: Graph) -> Result<Graph> {
    let from_tensors = |inputs: &[_]| inputs.iter().all(|&id| graph.as_parameter(id).is_some());
    if !graph.nodes().iter().any(|node| from_tensors(&node.inputs)) {
        return Ok(graph);
    }
    let typed = Typed::new(graph);
    let folded = fold_constants(&typed, &computed_when_read).map_err(|error| Error::Unsupported {
        what: format!("what the model computes from its weights ({})", in_full(&error)).into(),
        help: "simplify it, with onnxsim or onnxruntime's optimizer".into(),
    })?;
    Ok(folded.unwrap_or_else(|| typed.into_graph()))
}
