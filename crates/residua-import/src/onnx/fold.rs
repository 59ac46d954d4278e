//! Weights that the model computes from weights: tensors, computed when they are read.

use std::sync::Arc;

use bytes::Bytes;
use residua_exec::{ExecError, Executor, Options, Precision};
use residua_ir::rewrite::fold_constants;
use residua_ir::{Checked, Graph, LazyBytes, Tensor, TensorError, Typed, in_full};

use crate::error::{Error, Result};

/// A graph without inputs, whose only output is wanted.
struct Computation(Checked);

impl LazyBytes for Computation {
    /// Computed in f64, and rounded once.
    fn load(&self) -> Result<Bytes, TensorError> {
        let failed = |error: ExecError| TensorError::Source(in_full(&error).into());
        let options = Options { precision: Precision::F64, threads: Some(1), ..Options::default() };
        let results = Executor::new(&self.0, &options).and_then(|executor| executor.run(&[])).map_err(failed)?;
        let ty = self.0.graph().outputs().first().and_then(|&id| self.0.type_of(id));
        let (Some(ty), [array]) = (ty, &results.outputs[..]) else {
            return Err(TensorError::Source("what it is computed from gives nothing".into()));
        };
        let mut bytes = Vec::new();
        Tensor::from_f64(vec![array.len()], &array.to_f64())?.cast(ty.dtype).append_le_bytes(&mut bytes)?;
        Ok(bytes.into())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.0.graph().parameters().iter().fold(0, |sum, leaf| sum.saturating_add(leaf.tensor.stored_len())))
    }
}

/// The graph with tensors in the place of what follows from tensors alone.
pub(super) fn fold(graph: Graph) -> Result<Graph> {
    let from_tensors = |inputs: &[_]| inputs.iter().all(|&id| graph.as_parameter(id).is_some());
    if !graph.nodes().iter().any(|node| from_tensors(&node.inputs)) {
        return Ok(graph);
    }
    let typed = Typed::new(graph);
    let folded = fold_constants(&typed, &|part| Arc::new(Computation(part))).map_err(|error| Error::Unsupported {
        what: format!("what the model computes from its weights ({})", in_full(&error)).into(),
        help: "simplify it, with onnxsim or onnxruntime's optimizer".into(),
    })?;
    Ok(folded.unwrap_or_else(|| typed.into_graph()))
}
