//! Models of several float types: in which one each node computes, and whether they can be written so.
//!
//! Executors here compute in one type and take reals of several widths together; ONNX does not.

use residua_ir::op::description::Class;
use residua_ir::{Checked, DType, Node, Op, ValueId};

use crate::float::holds;

/// The type of a value.
fn dtype(model: &Checked, id: ValueId) -> Option<DType> {
    model.type_of(id).map(|ty| ty.dtype)
}

/// Reals among the operands of a node.
fn reals<'a>(model: &'a Checked, node: &'a Node) -> impl Iterator<Item = (ValueId, DType)> + 'a {
    node.inputs.iter().filter_map(|&id| Some((id, dtype(model, id).filter(|dtype| dtype.is_float())?)))
}

/// The type of the reals of a node: that of the first operand that is no tensor of the model.
pub(crate) fn of_node(model: &Checked, node: &Node) -> DType {
    let computed = reals(model, node).find(|&(id, _)| model.graph().as_parameter(id).is_none());
    let any = || reals(model, node).next();
    let given = || node.outputs.iter().find_map(|&id| dtype(model, id).filter(|dtype| dtype.is_float()));
    computed.or_else(any).map(|(_, dtype)| dtype).or_else(given).unwrap_or(DType::F32)
}

/// Whether the operands of a node are of types that have nothing to do with each other.
fn mixes_types(op: &Op) -> bool {
    matches!(
        op.describe().class,
        Class::Quantisation | Class::Dequantisation | Class::DynamicRange | Class::Cast | Class::Unknown
    )
}

/// The type in which the tensors of a node are written; `None` for each its own.
pub(crate) fn of_tensors(model: &Checked, node: &Node) -> Option<DType> {
    if mixes_types(&node.op) {
        return None;
    }
    let own = of_node(model, node);
    // Those of a norm may be of another type than what it normalises, from operator set 15 on.
    let is_wider = |&dtype: &DType| matches!(node.op, Op::BatchNorm(_)) && !holds(own, dtype);
    Some(reals(model, node).map(|(_, dtype)| dtype).find(is_wider).unwrap_or(own))
}

/// Whether all operators can be written with the types that their operands have in the graph, nothing rounded.
#[must_use]
pub fn own_types(model: &Checked) -> bool {
    let fits = |node: &Node| {
        let (own, Some(tensors)) = (of_node(model, node), of_tensors(model, node)) else { return true };
        reals(model, node).enumerate().all(|(place, (id, found))| {
            let tensor = place > 0 && model.graph().as_parameter(id).is_some();
            found == own || (tensor && holds(tensors, found))
        })
    };
    model.graph().nodes().iter().all(fits)
}
