//! Operators that gather elements or repeat them.

use residua_ir::{Extent, Node};

use super::super::lowering::Lowering;
use super::super::proto::int;
use super::extent;
use crate::EmitError;

pub(super) fn slice(
    out: &mut Lowering<'_>,
    node: &Node,
    axis: usize,
    (start, end, step): (&Extent, Option<&Extent>, i64),
) -> Result<(), EmitError> {
    let all_the_way = Extent::Known(if step > 0 { i64::MAX } else { i64::MIN });
    let inputs = vec![
        out.operand(node.inputs[0])?,
        extent::list(out, node, "starts", std::slice::from_ref(start))?,
        extent::list(out, node, "ends", std::slice::from_ref(end.unwrap_or(&all_the_way)))?,
        extent::list(out, node, "axes", &[Extent::from(axis)])?,
        extent::list(out, node, "steps", &[Extent::Known(step)])?,
    ];
    out.result(node, "Slice", inputs, Vec::new())
}

/// `Gather` and `GatherElements`.
pub(super) fn along(out: &mut Lowering<'_>, node: &Node, op: &str, axis: usize) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, op, inputs, vec![int("axis", axis)])
}

pub(super) fn gather_nd(out: &mut Lowering<'_>, node: &Node, batch_dims: usize) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "GatherND", inputs, vec![int("batch_dims", batch_dims)])
}

pub(super) fn scatter_nd(out: &mut Lowering<'_>, node: &Node) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "ScatterND", inputs, Vec::new())
}

/// `Expand` and `Tile`: an operand and a list of numbers.
pub(super) fn sized(out: &mut Lowering<'_>, node: &Node, op: &str, extents: &[Extent]) -> Result<(), EmitError> {
    let inputs = vec![out.operand(node.inputs[0])?, extent::list(out, node, "sizes", extents)?];
    out.result(node, op, inputs, Vec::new())
}
