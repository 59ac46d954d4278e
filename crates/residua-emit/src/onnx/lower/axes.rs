//! Reductions and whatever moves elements without changing them.

use residua_ir::{DType, Node, PoolKind, ReshapeDim, Shape};

use super::super::lowering::{Lowering, unsupported};
use super::super::proto::{data_type, int, ints, to_i64};
use super::norm::axes_kept;
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
        inputs.push(out.list(&format!("{}/axes", node.name), &to_i64(axes))?);
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
    };
    let x = out.operand(node.inputs[0])?;
    let (inputs, attributes) = reduction(out, node, op, x, (axes, keep))?;
    out.result(node, op, inputs, attributes)
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
    let mut inferred = shape.contains(&ReshapeDim::Infer);
    let mut target = Vec::with_capacity(shape.len());
    for (axis, dim) in shape.iter().enumerate() {
        target.push(match *dim {
            // 0 copies the axis at the same place.
            ReshapeDim::Copy(from) if from == axis => 0,
            ReshapeDim::Copy(from) => match x.dims()[from].fixed() {
                Some(size) => i64::try_from(size).unwrap_or(i64::MAX),
                None if !inferred => {
                    inferred = true;
                    -1
                }
                None => {
                    return Err(unsupported(node, format!("{x} to {shape:?} has more than one free size to move")));
                }
            },
            ReshapeDim::Fixed(0) => return Err(unsupported(node, "a size of 0 means something else there")),
            ReshapeDim::Fixed(size) => i64::try_from(size).unwrap_or(i64::MAX),
            ReshapeDim::Infer => -1,
        });
    }
    let inputs = vec![out.operand(node.inputs[0])?, out.list(&format!("{}/shape", node.name), &target)?];
    out.result(node, "Reshape", inputs, Vec::new())
}

pub(super) fn transpose(out: &mut Lowering<'_>, node: &Node, perm: &[usize]) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    out.result(node, "Transpose", vec![x], vec![ints("perm", perm)])
}

/// `Squeeze` and `Unsqueeze`.
pub(super) fn squeeze(out: &mut Lowering<'_>, node: &Node, op: &str, axes: &[usize]) -> Result<(), EmitError> {
    let inputs = vec![out.operand(node.inputs[0])?, out.list(&format!("{}/axes", node.name), &to_i64(axes))?];
    out.result(node, op, inputs, Vec::new())
}

pub(super) fn slice(
    out: &mut Lowering<'_>,
    node: &Node,
    axis: usize,
    [start, step]: [usize; 2],
    end: Option<usize>,
) -> Result<(), EmitError> {
    let mut inputs = vec![out.operand(node.inputs[0])?];
    for (name, value) in [("starts", start), ("ends", end.unwrap_or(usize::MAX)), ("axes", axis), ("steps", step)] {
        inputs.push(out.list(&format!("{}/{name}", node.name), &to_i64(&[value]))?);
    }
    out.result(node, "Slice", inputs, Vec::new())
}

pub(super) fn softmax(out: &mut Lowering<'_>, node: &Node, axis: usize) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    out.result(node, "Softmax", vec![x], vec![int("axis", axis)])
}

pub(super) fn cast(out: &mut Lowering<'_>, node: &Node, dtype: DType) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let to = i32::from(data_type(out.dtype(dtype)));
    out.result(node, "Cast", vec![x], vec![int("to", to)])
}
