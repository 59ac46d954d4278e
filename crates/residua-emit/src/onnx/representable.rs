//! The graph as ONNX can represent it: what a written model is to be compared with.

use residua_ir::op::description::Real;
use residua_ir::rewrite::cast_weights;
use residua_ir::tensor::decimal;
use residua_ir::{Checked, DType, Graph, Op};

use super::options::{FloatTypes, OnnxOptions};
use super::types;
use crate::EmitError;
use crate::float;

/// An attribute as it is read again; attributes of ONNX are f32.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
fn attribute(value: f64) -> f64 {
    decimal(value as f32)
}

/// A number that is an operand in ONNX, of the type of all others.
fn operand(value: f64, float: DType) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "operands are written from f32")]
    let rounded =
        residua_ir::Tensor::filled(float, vec![1], f64::from(value as f32)).and_then(|tensor| tensor.to_f64());
    rounded.ok().and_then(|values| values.first().copied()).unwrap_or(value)
}

fn op(op: &Op, float: DType) -> Op {
    let mut op = op.clone();
    for (kind, value) in op.reals_mut() {
        *value = match kind {
            Real::Attribute => attribute(*value),
            Real::Operand => operand(*value, float),
            Real::Single => single(*value),
        };
    }
    op
}

/// A number that is rounded to f32 alone.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

/// The same graph with every number rounded as ONNX has it: real attributes to f32, which is what frameworks compute
/// with as well, and weights to the float type that is asked for. Results of the written model are those of this graph,
/// bit for bit, unless operators were rearranged.
///
/// # Errors
/// [`EmitError::Option`], as [`super::stage`].
pub fn representable(model: &Checked, options: &OnnxOptions) -> Result<Graph, EmitError> {
    let float = float::check(options.float)?;
    let graph = model.graph().clone();
    if options.types == FloatTypes::Own {
        return Ok(graph.map_ops(|node| op(&node.op, types::of_node(model, node))));
    }
    let graph = if float::rounds(float::weights(&graph), float) { cast_weights(graph, float) } else { graph };
    Ok(graph.map_ops(|node| op(&node.op, float)))
}
