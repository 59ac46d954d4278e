//! One node of the graph to one or more of ONNX.

mod activation;
mod arithmetic;
mod axes;
mod extent;
mod gather;
mod norm;
mod opaque;
mod quantised;
mod resize;
mod top_k;
mod window;

pub(crate) use arithmetic::before_transpose;
pub(crate) use window::padding_before;

use residua_ir::{Activation, Checked, Node, NodeId, Op, Padding, PoolKind};

use super::lowering::Lowering;
use super::options::FloatTypes;
use crate::EmitError;

/// Whether a node gives its first operand on as it is.
pub(crate) fn passes_through(model: &Checked, types: FloatTypes, node: &Node) -> bool {
    match &node.op {
        Op::Identity(_) => true,
        Op::Cast { dtype } => {
            let from = model.type_of(node.inputs[0]).map(|ty| ty.dtype);
            match types {
                FloatTypes::Own => from == Some(*dtype) && dtype.is_float(),
                // Everything real has one type in the output.
                FloatTypes::One | FloatTypes::WideInterface => {
                    dtype.is_float() && from.is_none_or(residua_ir::DType::is_float)
                }
            }
        }
        Op::Activation(Activation::Clip { min: None, max: None }) => true,
        Op::Elementwise(op) => node.inputs.len() == 1 && op.most_operands() > 2,
        Op::Reduce(reduce) => {
            reduce.axes.is_empty()
                && match reduce.kind {
                    PoolKind::Max | PoolKind::Mean | PoolKind::Sum | PoolKind::Min | PoolKind::Product => true,
                    PoolKind::L1 | PoolKind::L2 | PoolKind::SumSquare | PoolKind::LogSum | PoolKind::LogSumExp => false,
                }
        }
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
        | Op::ConvTranspose(_)
        | Op::Lrn(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::LpPool(_)
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::PadAxes(_)
        | Op::Resize(_)
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::ScatterNd
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::CumSum(_)
        | Op::Trilu(_)
        | Op::Linear
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicRange(_)
        | Op::Opaque(_) => false,
    }
}

/// Whether how a node is written depends on the shapes of what it reads and gives. Behind an operator that is not known
/// they may be open.
pub(crate) fn needs_shapes(node: &Node) -> bool {
    match &node.op {
        Op::BatchNorm(_)
        | Op::Lrn(_)
        | Op::Activation(_)
        | Op::PRelu
        | Op::Elementwise(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::Reduce(_)
        | Op::ArgExtremum(_)
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::ScatterNd
        | Op::Linear
        | Op::MatMul
        | Op::Trilu(_)
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Opaque(_) => false,
        Op::Conv(conv) => !matches!(conv.padding, Padding::Explicit(_)),
        Op::ConvTranspose(_) | Op::LpPool(_) => true,
        Op::MaxPool(pool) => pool.ceil_mode || !matches!(pool.padding, Padding::Explicit(_)),
        Op::AvgPool(pool) => pool.ceil_mode || !matches!(pool.padding, Padding::Explicit(_)),
        Op::GlobalPool(pool) => !pool.keep_dims,
        Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::TopK(_)
        | Op::Pad(_)
        | Op::PadAxes(_)
        | Op::Resize(_)
        | Op::Reshape { .. }
        | Op::Slice { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::CumSum(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicRange(_) => true,
    }
}

/// Writes a node.
pub(crate) fn lower(out: &mut Lowering<'_>, id: NodeId) -> Result<(), EmitError> {
    let node = out.graph().node(id);
    out.turn_to(node);
    match &node.op {
        Op::Conv(conv) => window::conv(out, node, conv),
        Op::MaxPool(pool) => window::max_pool(out, node, pool),
        Op::AvgPool(pool) => window::avg_pool(out, node, pool),
        Op::LpPool(pool) => window::lp_pool(out, node, pool),
        Op::ConvTranspose(conv) => window::conv_transpose(out, node, conv),
        Op::GlobalPool(pool) => window::global_pool(out, node, *pool),
        Op::Pad(pad) => window::pad(out, node, pad),
        Op::PadAxes(pad) => axes::pad(out, node, pad),
        Op::Resize(resize) => resize::resize(out, node, resize),
        Op::BatchNorm(norm) => norm::batch_norm(out, node, norm.epsilon),
        Op::GroupNorm(norm) => norm::group_norm(out, node, *norm),
        Op::LayerNorm(norm) => norm::layer_norm(out, node, norm),
        Op::Lrn(lrn) => norm::lrn(out, node, *lrn),
        Op::Activation(function) => activation::activation(out, node, *function),
        Op::PRelu => arithmetic::same(out, node, "PRelu"),
        Op::Elementwise(function) => arithmetic::elementwise(out, node, *function),
        Op::Compare(comparison) => arithmetic::same(out, node, comparison.name()),
        Op::Is(property) => arithmetic::is(out, node, *property),
        Op::Where => arithmetic::same(out, node, "Where"),
        Op::Linear => arithmetic::linear(out, node),
        Op::MatMul => arithmetic::same(out, node, "MatMul"),
        Op::Reduce(reduce) => axes::reduce(out, node, reduce.kind, &reduce.axes, reduce.keep_dims),
        Op::ArgExtremum(arg) => top_k::arg_extremum(out, node, *arg),
        Op::TopK(top) => top_k::top_k(out, node, *top),
        Op::Concat { axis } => axes::concat(out, node, *axis),
        Op::Flatten { axis } => axes::flatten(out, node, *axis),
        Op::Reshape { shape } => axes::reshape(out, node, shape),
        Op::Transpose { perm } => axes::transpose(out, node, perm),
        Op::Squeeze { axes } => axes::squeeze(out, node, "Squeeze", axes),
        Op::Unsqueeze { axes } => axes::squeeze(out, node, "Unsqueeze", axes),
        Op::Slice { axis, start, end, step } => gather::slice(out, node, *axis, (start, end.as_ref(), *step)),
        Op::Gather { axis } => gather::along(out, node, "Gather", *axis),
        Op::GatherElements { axis } => gather::along(out, node, "GatherElements", *axis),
        Op::GatherNd { batch_dims } => gather::gather_nd(out, node, *batch_dims),
        Op::ScatterNd => gather::scatter_nd(out, node),
        Op::Expand { shape } => gather::sized(out, node, "Expand", shape),
        Op::Tile { repeats } => gather::sized(out, node, "Tile", repeats),
        Op::Sizes { sizes, scalar } => extent::sizes(out, node, sizes, *scalar),
        Op::Softmax { axis } => axes::softmax(out, node, "Softmax", *axis),
        Op::LogSoftmax { axis } => axes::softmax(out, node, "LogSoftmax", *axis),
        Op::Hardmax { axis } => axes::softmax(out, node, "Hardmax", *axis),
        Op::CumSum(sum) => axes::cum_sum(out, node, *sum),
        Op::Trilu(trilu) => axes::trilu(out, node, *trilu),
        Op::Cast { dtype } => axes::cast(out, node, *dtype),
        Op::Quantize(quantize) => quantised::quantize(out, id, quantize),
        Op::Dequantize(granularity) => quantised::dequantize(out, node, *granularity),
        Op::DynamicRange(which) => quantised::dynamic_range(out, id, *which),
        // What passes on its operand has no node, but for an integer cast to itself.
        Op::Identity(_) => Ok(()),
        Op::Opaque(opaque) => opaque::opaque(out, node, opaque),
    }
}
