//! Operators that give the largest or smallest elements, or where they are.

use residua_ir::{ArgExtremum, DType, Extremum, Node, TopK};

use super::super::lowering::Lowering;
use super::super::proto::{self, int};
use crate::EmitError;

pub(super) fn arg_extremum(out: &mut Lowering<'_>, node: &Node, arg: ArgExtremum) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let mut attributes = vec![int("axis", arg.axis), int("keepdims", i64::from(arg.keep_dims))];
    if arg.last {
        attributes.push(int("select_last_index", 1));
    }
    out.result(node, node.op.name(), vec![x], attributes)
}

/// Both results are given in ONNX; the one that is not asked for gets a name that nothing reads.
pub(super) fn top_k(out: &mut Lowering<'_>, node: &Node, top: TopK) -> Result<(), EmitError> {
    out.check_operand(node.name.raw(), "TopK", out.source_dtype(node.inputs[0]))?;
    let k = i64::try_from(top.k).unwrap_or(i64::MAX);
    let inputs = vec![out.operand(node.inputs[0])?, out.list(&format!("{}/k", node.name.raw()), &[k])?];
    let attributes =
        vec![int("axis", top.axis), int("largest", i64::from(top.of == Extremum::Largest)), int("sorted", 1)];
    let (own, other) = (out.operand(node.output())?, out.fresh(&format!("{}/unread", node.name.raw())));
    let dtype = if top.indices { out.dtype(out.source_dtype(node.inputs[0])) } else { DType::I64 };
    let shape = out.shape(node.output());
    out.types.push(proto::value_info(&other, dtype, &shape));
    let outputs = if top.indices { vec![other, own] } else { vec![own, other] };
    out.push_all("TopK", node.name.raw(), inputs, outputs, attributes)
}
