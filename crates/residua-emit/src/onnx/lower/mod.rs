//! One node of the graph to one or more of ONNX.

mod activation;
mod arithmetic;
mod axes;
mod norm;
mod window;

pub(crate) use window::padding_before;

use residua_ir::{Activation, Elementwise, Node, NodeId, Op};

use super::lowering::{Lowering, unsupported};
use crate::EmitError;

/// Whether a node gives its first operand on as it is.
pub(crate) fn passes_through(node: &Node) -> bool {
    match &node.op {
        Op::Identity(_) => true,
        // Everything real has one type in the output.
        Op::Cast { dtype } => dtype.is_float(),
        Op::Activation(Activation::Clip { min: None, max: None }) => true,
        Op::Elementwise(op) => {
            node.inputs.len() == 1
                && match op {
                    Elementwise::Add | Elementwise::Mul | Elementwise::Max | Elementwise::Min | Elementwise::Mean => {
                        true
                    }
                    Elementwise::Sub | Elementwise::Div | Elementwise::Pow => false,
                }
        }
        Op::Reduce(reduce) => reduce.axes.is_empty(),
        Op::Squeeze { axes } | Op::Unsqueeze { axes } => axes.is_empty(),
        Op::Conv(_)
        | Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::Activation(_)
        | Op::PRelu
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Pad(_)
        | Op::Linear
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Opaque(_) => false,
    }
}

/// Writes a node.
pub(crate) fn lower(out: &mut Lowering<'_>, id: NodeId) -> Result<(), EmitError> {
    let node = out.graph().node(id);
    match &node.op {
        Op::Conv(conv) => window::conv(out, node, conv),
        Op::MaxPool(pool) => window::max_pool(out, node, pool),
        Op::AvgPool(pool) => window::avg_pool(out, node, pool),
        Op::GlobalPool(pool) => window::global_pool(out, node, *pool),
        Op::Pad(pad) => window::pad(out, node, pad),
        Op::BatchNorm(norm) => norm::batch_norm(out, node, norm.epsilon),
        Op::GroupNorm(norm) => norm::group_norm(out, node, *norm),
        Op::LayerNorm(norm) => norm::layer_norm(out, node, norm),
        Op::Activation(function) => activation::activation(out, node, *function),
        Op::PRelu => arithmetic::same(out, node, "PRelu"),
        Op::Elementwise(function) => arithmetic::elementwise(out, node, *function),
        Op::Linear => arithmetic::linear(out, node),
        Op::MatMul => arithmetic::same(out, node, "MatMul"),
        Op::Reduce(reduce) => axes::reduce(out, node, reduce.kind, &reduce.axes, reduce.keep_dims),
        Op::Concat { axis } => axes::concat(out, node, *axis),
        Op::Flatten { axis } => axes::flatten(out, node, *axis),
        Op::Reshape { shape } => axes::reshape(out, node, shape),
        Op::Transpose { perm } => axes::transpose(out, node, perm),
        Op::Squeeze { axes } => axes::squeeze(out, node, "Squeeze", axes),
        Op::Unsqueeze { axes } => axes::squeeze(out, node, "Unsqueeze", axes),
        Op::Slice { axis, start, end, step } => axes::slice(out, node, *axis, [*start, *step], *end),
        Op::Softmax { axis } => axes::softmax(out, node, *axis),
        Op::Cast { dtype } => axes::cast(out, node, *dtype),
        // What passes on its operand has no node, but for an integer cast to itself.
        Op::Identity(_) => Ok(()),
        Op::Opaque(opaque) => Err(unsupported(node, opaque.reason.clone())),
    }
}
