//! What a graph without inputs gives: weights that a model computes from its weights.
//!
//! Planning a run computes all that depends on tensors alone, so there is nothing left to run, and no threads are started for
//! it: whoever asks computes, with the other threads of the pool that it is in.

use std::sync::Arc;

use bytes::Bytes;
use pulp::Arch;
use residua_ir::{Checked, LazyBytes, Tensor, TensorError, in_full};

use crate::array::Array;
use crate::error::ExecError;
use crate::estimate::estimate;
use crate::executor::Executor;
use crate::options::{Options, Precision};
use crate::plan::Plan;

/// The elements of the only output of a graph without inputs, row-major, computed in f64 when they are asked for and rounded to the
/// output's type once. It is what [`residua_ir::rewrite::fold_constants`] takes.
#[must_use]
pub fn computed_when_read(graph: Checked) -> Arc<dyn LazyBytes> {
    Arc::new(Constant(graph))
}

struct Constant(Checked);

impl LazyBytes for Constant {
    fn load(&self) -> Result<Bytes, TensorError> {
        let values = values(&self.0).map_err(|error| TensorError::Source(in_full(&error).into()))?;
        let ty = self.0.graph().outputs().first().and_then(|&id| self.0.type_of(id));
        let (Some(ty), Some(values)) = (ty, values) else {
            return Err(TensorError::Source("what it is computed from gives nothing".into()));
        };
        let mut bytes = Vec::new();
        Tensor::from_f64(vec![values.len()], &values)?.cast(ty.dtype).append_le_bytes(&mut bytes)?;
        Ok(bytes.into())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.0.graph().parameters().iter().fold(0, |sum, leaf| sum.saturating_add(leaf.tensor.stored_len())))
    }
}

/// The values of the only output of a graph without inputs.
fn values(model: &Checked) -> Result<Option<Vec<f64>>, ExecError> {
    let graph = model.graph();
    let [output] = graph.outputs() else { return Ok(None) };
    let mut pinned = vec![false; graph.values().len()];
    pinned[output.index()] = true;
    let limit = Options::default().memory_limit;
    estimate(model, Precision::F64, &[]).check(limit)?;
    let mut plan = Plan::<f64>::new(model, &pinned, Precision::F64, limit, Arch::new())?;
    if plan.steps.is_empty() {
        return Ok(plan.constants.remove(output));
    }
    // All of it together would take more than a run may hold, but not what has to be held at once.
    let options = Options { precision: Precision::F64, threads: Some(1), ..Options::default() };
    let outputs = Executor::new(model, &options)?.run(&[])?.outputs;
    Ok(outputs.first().map(Array::to_f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use residua_ir::{Activation, DType, Elementwise, GraphBuilder, Op, validate};

    use super::*;

    #[test]
    fn a_constant_is_computed_exactly_and_rounded_once() {
        let mut g = GraphBuilder::new("g");
        let a = g.weight("a", Tensor::from_f32(vec![3], &[1.0, 2.0, 3.0]).unwrap());
        let b = g.weight("b", Tensor::from_f32(vec![3], &[0.0, 2.0, 6.0]).unwrap());
        let sum = g.add("sum", Op::Elementwise(Elementwise::Add), &[a, b]);
        let root = g.add("root", Op::Activation(Activation::Sqrt), &[sum]);
        let half = g.add("half", Op::Cast { dtype: DType::F16 }, &[root]);
        g.output(half);
        let constant = computed_when_read(validate(g.finish().unwrap()).unwrap());
        assert_eq!(constant.stored(), Some(24));
        let tensor = Tensor::from_lazy(DType::F16, residua_ir::Endian::Little, vec![3], constant).unwrap();
        assert_eq!(tensor.to_f64().unwrap(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_tensor_that_is_given_back_as_it_is_is_a_constant() {
        let mut g = GraphBuilder::new("g");
        let a = g.weight("a", Tensor::from_f32(vec![2], &[0.5, -4.0]).unwrap());
        g.output(a);
        let values = values(&validate(g.finish().unwrap()).unwrap()).unwrap();
        assert_eq!(values, Some(vec![0.5, -4.0]));
    }
}
