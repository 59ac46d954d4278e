//! Whether a model may give values that are infinite or NaN, so that identity alone says nothing of what it gives.
//!
//! Two identical graphs are the same function also where they give nothing but NaN, and such a model is not proved: a run has
//! to find that. Seen without one: tensors that hold such values, norms that divide by zero, operators that make them of
//! numbers. Not seen: values that grow beyond f64, which takes weights beyond all that trained networks have.

use rayon::prelude::*;
use residua_ir::op::description::Finite;
use residua_ir::{Checked, Graph, Node, Parameter, TensorError};

use crate::error::{Context, Result};

/// Weights beyond this are looked at in a run.
const LARGE: f32 = 1e12;

/// Why values of a model may be infinite or NaN; `None` where nothing speaks for it.
///
/// # Errors
/// Where a tensor cannot be read.
pub(super) fn may_be_lost(model: &Checked) -> Result<Option<String>> {
    let graph = model.graph();
    let by_operator = graph.nodes().iter().find_map(|node| {
        let operator = loses(graph, node).transpose()?;
        Some(operator.map(|why| format!("`{}` {why}", node.name)))
    });
    if let Some(found) = by_operator {
        return found.map(Some).context("a tensor cannot be read");
    }
    let read = graph.parameters().iter().filter(|parameter| parameter.tensor.dtype().is_float());
    let lost = read.collect::<Vec<_>>().par_iter().find_map_first(|parameter| match is_tame(parameter) {
        Ok(true) => None,
        Ok(false) => Some(Ok(format!("`{}` holds values that are infinite, NaN or beyond {LARGE:e}", parameter.name))),
        Err(error) => Some(Err(error)),
    });
    lost.transpose().context("a tensor cannot be read")
}

fn is_tame(parameter: &Parameter) -> std::result::Result<bool, TensorError> {
    parameter.tensor.is_within(LARGE)
}

/// What an operator may do to numbers so that they are none any more.
fn loses(graph: &Graph, node: &Node) -> std::result::Result<Option<&'static str>, TensorError> {
    match node.op.describe().finite {
        Finite::Always => Ok(None),
        Finite::Lost(why) => Ok(Some(why)),
        Finite::Divides { by, plus, positive } => {
            let divisor = node.inputs.get(by).and_then(|&input| graph.as_parameter(input));
            let values = divisor.map(|parameter| parameter.tensor.to_f64()).transpose()?;
            let fits = |value: f64| if positive { value + plus > 0.0 } else { value + plus != 0.0 };
            let divides = values.is_some_and(|values| values.into_iter().all(fits));
            Ok(if divides { None } else { Some("may divide by 0") })
        }
    }
}
