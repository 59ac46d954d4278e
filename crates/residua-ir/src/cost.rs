//! What a node costs: multiply-adds, from shapes alone.
//!
//! One multiply-add is one MAC and two FLOPs. MACs count convolutions and matrix products, without biases; everything
//! else counts none, as fvcore, torchinfo and Keras do.

use crate::op::Op;
use crate::shape::TensorType;

/// Multiply-adds of one node for operands and result of these types; `None` where a size is free or the number
/// overflows. A free batch counts as 1.
#[must_use]
pub fn macs(op: &Op, operands: &[TensorType], result: &TensorType) -> Option<u64> {
    let elements = |ty: &TensorType, skip: usize| {
        ty.shape.dims().iter().skip(skip).try_fold(1u64, |product, dim| product.checked_mul(dim.fixed()? as u64))
    };
    let batch = result.shape.dims().first().map_or(Some(1), |dim| Some(dim.fixed().map_or(1, |n| n as u64)))?;
    let per_element = match op {
        Op::Conv(_) => elements(operands.get(1)?, 1)?,
        Op::Linear => operands.get(1)?.shape.dims().get(1)?.fixed()? as u64,
        Op::MatMul => operands.first()?.shape.dims().last()?.fixed()? as u64,
        // Every element of `x` meets every tap of its group's kernels.
        Op::ConvTranspose(_) => {
            let x = operands.first()?;
            let batch = x.shape.dims().first()?.fixed().map_or(1, |n| n as u64);
            return elements(x, 1)?.checked_mul(batch)?.checked_mul(elements(operands.get(1)?, 1)?);
        }
        Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::Activation(_)
        | Op::PRelu
        | Op::Elementwise(_)
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::Pad(_)
        | Op::PadAxes(_)
        | Op::Lrn(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::LpPool(_)
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::Resize(_)
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicRange(_)
        | Op::Opaque(_) => return Some(0),
    };
    elements(result, 1)?.checked_mul(batch)?.checked_mul(per_element)
}
