//! Elementwise functions of several values, and matrix products.

use residua_ir::{Elementwise, Node, Transform};

use super::super::lowering::Lowering;
use super::super::proto::{int, ints};
use crate::EmitError;

/// Operands and result as they are, under ONNX's name.
pub(super) fn same(out: &mut Lowering<'_>, node: &Node, op: &str) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, op, inputs, Vec::new())
}

pub(super) fn elementwise(out: &mut Lowering<'_>, node: &Node, function: Elementwise) -> Result<(), EmitError> {
    match function {
        // Of two operands in ONNX, folded from the left here.
        Elementwise::Add | Elementwise::Mul if node.inputs.len() > 2 => {
            let mut left = out.operand(node.inputs[0])?;
            let last = node.inputs.len() - 1;
            let shape = out.shape(node.output());
            for &id in &node.inputs[1..last] {
                let right = out.operand(id)?;
                left = out.step(node, function.name(), vec![left, right], Vec::new(), &shape)?;
            }
            let right = out.operand(node.inputs[last])?;
            out.result(node, function.name(), vec![left, right], Vec::new())
        }
        Elementwise::Add
        | Elementwise::Mul
        | Elementwise::Sub
        | Elementwise::Div
        | Elementwise::Pow
        | Elementwise::Max
        | Elementwise::Min
        | Elementwise::Mean => same(out, node, function.name()),
    }
}

/// `Gemm` with the weight as `[I, O]` for matrices, `MatMul` and `Add` for the rest.
pub(super) fn linear(out: &mut Lowering<'_>, node: &Node) -> Result<(), EmitError> {
    let (x_shape, weight_shape) = (out.shape(node.inputs[0]), out.shape(node.inputs[1]));
    let x = out.operand(node.inputs[0])?;
    let bias = node.inputs.get(2).map(|&id| out.operand(id)).transpose()?;
    let stored = out.is_parameter(node.inputs[1]);
    if !stored && x_shape.rank() == 2 {
        let weight = out.operand(node.inputs[1])?;
        let inputs = [x, weight].into_iter().chain(bias).collect();
        return out.result(node, "Gemm", inputs, vec![int("transB", 1)]);
    }
    let weight = if stored {
        out.operand_as(node.inputs[1], &[Transform::Permute(vec![1, 0])])?
    } else {
        let weight = out.operand(node.inputs[1])?;
        let dims = weight_shape.dims().iter().rev().cloned().collect();
        out.step(node, "Transpose", vec![weight], vec![ints("perm", &[1, 0])], &residua_ir::Shape::new(dims))?
    };
    match bias {
        None => out.result(node, "MatMul", vec![x, weight], Vec::new()),
        Some(bias) if x_shape.rank() == 2 => out.result(node, "Gemm", vec![x, weight, bias], Vec::new()),
        Some(bias) => {
            let shape = out.shape(node.output());
            let product = out.step(node, "MatMul", vec![x, weight], Vec::new(), &shape)?;
            out.result(node, "Add", vec![product, bias], Vec::new())
        }
    }
}
