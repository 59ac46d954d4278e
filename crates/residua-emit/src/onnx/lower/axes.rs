//! Reductions and whatever moves elements without changing them.

use residua_ir::{Border, CumSum, DType, Dim, Extent, Node, PadAxes, PoolKind, ReshapeDim, Shape, Trilu};

use super::super::lowering::{Lowering, needs};
use super::super::proto::{data_type, int, ints, string, to_i64};
use super::extent;
use crate::EmitError;

/// Operands and attributes of a reduction: axes became an operand of sums at opset 13, of the others at 18.
fn reduction(
    out: &mut Lowering<'_>,
    node: &Node,
    op: &str,
    x: String,
    (axes, keep): (&[usize], bool),
) -> Result<(Vec<String>, Vec<residua_formats::onnx::schema::AttributeProto>), EmitError> {
    let mut attributes = vec![int("keepdims", i64::from(keep))];
    let mut inputs = vec![x];
    if out.opset >= 18 || op == "ReduceSum" {
        inputs.push(out.list(&format!("{}/axes", node.name.raw()), &to_i64(axes))?);
    } else {
        attributes.push(ints("axes", axes));
    }
    Ok((inputs, attributes))
}

/// A reduction on the way to a node's result, axes left in place.
pub(super) fn reduce_step(
    out: &mut Lowering<'_>,
    node: &Node,
    op: &str,
    x: String,
    axes: &[usize],
) -> Result<String, EmitError> {
    let shape = out.shape(node.inputs[0]);
    reduce_step_of(out, node, op, x, axes, &shape)
}

/// The same of an operand of another shape than the node's.
pub(super) fn reduce_step_of(
    out: &mut Lowering<'_>,
    node: &Node,
    op: &str,
    x: String,
    axes: &[usize],
    shape: &Shape,
) -> Result<String, EmitError> {
    let (inputs, attributes) = reduction(out, node, op, x, (axes, true))?;
    out.step(node, op, inputs, attributes, &axes_kept(shape, axes))
}

pub(super) fn cum_sum(out: &mut Lowering<'_>, node: &Node, sum: CumSum) -> Result<(), EmitError> {
    let axis = out.list(&format!("{}/axis", node.name.raw()), &to_i64(&[sum.axis]))?;
    let attributes = vec![int("exclusive", i64::from(sum.exclusive)), int("reverse", i64::from(sum.reverse))];
    let inputs = vec![out.operand(node.inputs[0])?, axis];
    out.result(node, "CumSum", inputs, attributes)
}

pub(super) fn trilu(out: &mut Lowering<'_>, node: &Node, trilu: Trilu) -> Result<(), EmitError> {
    let mut inputs = vec![out.operand(node.inputs[0])?];
    if trilu.diagonal != 0 {
        inputs.push(out.integer(&format!("{}/diagonal", node.name.raw()), trilu.diagonal)?);
    }
    out.result(node, "Trilu", inputs, vec![int("upper", i64::from(trilu.upper))])
}

pub(super) fn reduce(
    out: &mut Lowering<'_>,
    node: &Node,
    kind: PoolKind,
    axes: &[usize],
    keep: bool,
) -> Result<(), EmitError> {
    let op = match kind {
        PoolKind::Max => "ReduceMax",
        PoolKind::Mean => "ReduceMean",
        PoolKind::Sum => "ReduceSum",
        PoolKind::Min => "ReduceMin",
        PoolKind::Product => "ReduceProd",
        PoolKind::L1 => "ReduceL1",
        PoolKind::L2 => "ReduceL2",
        PoolKind::SumSquare => "ReduceSumSquare",
        PoolKind::LogSum => "ReduceLogSum",
        PoolKind::LogSumExp => "ReduceLogSumExp",
    };
    if axes.is_empty() {
        return reduce_nothing(out, node, kind);
    }
    let x = out.operand(node.inputs[0])?;
    let (inputs, attributes) = reduction(out, node, op, x, (axes, keep))?;
    out.result(node, op, inputs, attributes)
}

/// A reduction over no axis, element by element: without axes ONNX reduces all.
fn reduce_nothing(out: &mut Lowering<'_>, node: &Node, kind: PoolKind) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    match kind {
        PoolKind::L1 | PoolKind::L2 => out.result(node, "Abs", vec![x], Vec::new()),
        PoolKind::SumSquare => out.result(node, "Mul", vec![x.clone(), x], Vec::new()),
        PoolKind::LogSum => out.result(node, "Log", vec![x], Vec::new()),
        PoolKind::Max | PoolKind::Mean | PoolKind::Sum | PoolKind::Min | PoolKind::Product | PoolKind::LogSumExp => {
            out.result(node, "Identity", vec![x], Vec::new())
        }
    }
}

pub(super) fn concat(out: &mut Lowering<'_>, node: &Node, axis: usize) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "Concat", inputs, vec![int("axis", axis)])
}

pub(super) fn flatten(out: &mut Lowering<'_>, node: &Node, axis: usize) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    out.result(node, "Flatten", vec![x], vec![int("axis", axis)])
}

pub(super) fn reshape(out: &mut Lowering<'_>, node: &Node, shape: &[ReshapeDim]) -> Result<(), EmitError> {
    let x = out.shape(node.inputs[0]);
    let fixed = |dim: &ReshapeDim| match dim {
        ReshapeDim::Fixed(size) => Some(*size),
        ReshapeDim::Copy(from) => x.dims()[*from].fixed(),
        ReshapeDim::Infer | ReshapeDim::Computed(_) => None,
    };
    let zero = shape.iter().any(|dim| fixed(dim) == Some(0));
    if zero && out.opset < 14 {
        return Err(needs(out, node, "a size of 0, which before copied the axis at the same place,", 14));
    }
    let mut inferred = shape.contains(&ReshapeDim::Infer);
    let mut target = Vec::with_capacity(shape.len());
    for (axis, dim) in shape.iter().enumerate() {
        target.push(match dim {
            // 0 copies the axis at the same place.
            ReshapeDim::Copy(from) if *from == axis && !zero => Extent::Known(0),
            ReshapeDim::Copy(from) => match x.dims()[*from].fixed() {
                Some(size) => Extent::from(size),
                None if !inferred => {
                    inferred = true;
                    Extent::Known(-1)
                }
                None => Extent::Of { operand: 0, axis: *from },
            },
            ReshapeDim::Fixed(size) => Extent::from(*size),
            ReshapeDim::Infer => Extent::Known(-1),
            ReshapeDim::Computed(extent) => extent.clone(),
        });
    }
    let inputs = vec![out.operand(node.inputs[0])?, extent::list(out, node, "shape", &target)?];
    out.result(node, "Reshape", inputs, if zero { vec![int("allowzero", 1)] } else { Vec::new() })
}

/// Amounts before all axes, then those behind.
pub(super) fn pad(out: &mut Lowering<'_>, node: &Node, pad: &PadAxes) -> Result<(), EmitError> {
    let amounts: Vec<usize> = [0, 1].iter().flat_map(|&side| pad.amounts.iter().map(move |both| both[side])).collect();
    let mut inputs =
        vec![out.operand(node.inputs[0])?, out.list(&format!("{}/pads", node.name.raw()), &to_i64(&amounts))?];
    let mode = match pad.border {
        Border::Constant(value) => {
            if value != 0.0 {
                inputs.push(out.scalar_like(node.inputs[0], &format!("{}/value", node.name.raw()), value)?);
            }
            return out.result(node, "Pad", inputs, Vec::new());
        }
        Border::Reflect => "reflect",
        Border::Edge => "edge",
        Border::Wrap if out.opset < 19 => {
            return Err(needs(out, node, "padding from the other end", 19));
        }
        Border::Wrap => "wrap",
    };
    out.result(node, "Pad", inputs, vec![string("mode", mode)])
}

pub(super) fn transpose(out: &mut Lowering<'_>, node: &Node, perm: &[usize]) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    out.result(node, "Transpose", vec![x], vec![ints("perm", perm)])
}

/// `Squeeze` and `Unsqueeze`.
pub(super) fn squeeze(out: &mut Lowering<'_>, node: &Node, op: &str, axes: &[usize]) -> Result<(), EmitError> {
    let inputs = vec![out.operand(node.inputs[0])?, out.list(&format!("{}/axes", node.name.raw()), &to_i64(axes))?];
    out.result(node, op, inputs, Vec::new())
}

/// Softmax, its logarithm, and `Hardmax`. Before opset 13 they took the axis and all behind it as one.
pub(super) fn softmax(out: &mut Lowering<'_>, node: &Node, op: &str, axis: usize) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let shape = out.shape(node.inputs[0]);
    let dims = shape.dims();
    let alone = dims.iter().skip(axis + 1).all(|dim| dim.fixed() == Some(1));
    if out.opset >= 13 || alone {
        return out.result(node, op, vec![x], vec![int("axis", axis)]);
    }
    let last = dims.len() - 1;
    let perm: Vec<usize> = (0..dims.len())
        .map(|at| {
            if at == axis {
                last
            } else if at == last {
                axis
            } else {
                at
            }
        })
        .collect();
    let turned = Shape::new(perm.iter().map(|&at| dims[at].clone()).collect());
    let x = out.step(node, "Transpose", vec![x], vec![ints("perm", &perm)], &turned)?;
    let y = out.step(node, op, vec![x], vec![int("axis", last)], &turned)?;
    out.result(node, "Transpose", vec![y], vec![ints("perm", &perm)])
}

pub(super) fn cast(out: &mut Lowering<'_>, node: &Node, dtype: DType) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let to = i32::from(data_type(out.dtype(dtype)));
    out.result(node, "Cast", vec![x], vec![int("to", to)])
}

/// A shape after a reduction that leaves the axes in place.
pub(super) fn axes_kept(shape: &Shape, axes: &[usize]) -> Shape {
    let dims = shape.dims().iter().enumerate();
    Shape::new(dims.map(|(axis, dim)| if axes.contains(&axis) { Dim::Fixed(1) } else { dim.clone() }).collect())
}
