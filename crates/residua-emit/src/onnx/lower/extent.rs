//! Numbers that follow from sizes: constants where they are known, arithmetic on shapes where they are not.

use residua_ir::{DType, Extent, Node, Shape};

use super::super::lowering::Lowering;
use super::super::proto::int;
use crate::EmitError;

/// One number as a list of one.
fn one(out: &mut Lowering<'_>, node: &Node, extent: &Extent) -> Result<String, EmitError> {
    let single = Shape::fixed(&[1]);
    match extent {
        Extent::Known(number) => out.list(&format!("{}/number", node.name.raw()), &[*number]),
        Extent::Of { operand, axis } => {
            let value = node.inputs[*operand];
            let rank = Shape::fixed(&[out.shape(value).rank()]);
            let from = out.operand(value)?;
            let shape = out.step_of(node, "Shape", vec![from], Vec::new(), (DType::I64, &rank))?;
            let place = out.list(&format!("{}/axis", node.name.raw()), &[i64::try_from(*axis).unwrap_or(i64::MAX)])?;
            out.step_of(node, "Gather", vec![shape, place], vec![int("axis", 0)], (DType::I64, &single))
        }
        Extent::Computed { by, a, b } => {
            let operands = vec![one(out, node, a)?, one(out, node, b)?];
            out.step_of(node, by.name(), operands, Vec::new(), (DType::I64, &single))
        }
    }
}

/// Numbers as a list that a node reads.
pub(super) fn list(out: &mut Lowering<'_>, node: &Node, what: &str, extents: &[Extent]) -> Result<String, EmitError> {
    if let Some(known) = extents.iter().map(Extent::known).collect::<Option<Vec<i64>>>() {
        return out.list(&format!("{}/{what}", node.name.raw()), &known);
    }
    let parts = extents.iter().map(|extent| one(out, node, extent)).collect::<Result<Vec<String>, _>>()?;
    if let [only] = &parts[..] {
        return Ok(only.clone());
    }
    let shape = Shape::fixed(&[parts.len()]);
    out.step_of(node, "Concat", parts, vec![int("axis", 0)], (DType::I64, &shape))
}

/// Numbers as the result of a node.
pub(super) fn sizes(out: &mut Lowering<'_>, node: &Node, extents: &[Extent], scalar: bool) -> Result<(), EmitError> {
    let list = list(out, node, "sizes", extents)?;
    if scalar {
        let axes = out.list(&format!("{}/axes", node.name.raw()), &[0])?;
        return out.result(node, "Squeeze", vec![list, axes], Vec::new());
    }
    out.result(node, "Identity", vec![list], Vec::new())
}
