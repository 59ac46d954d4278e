//! Elementwise functions of several values, and matrix products.

use residua_ir::{Elementwise, Node, NodeId, Op, Property, Transform, ValueId};

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
        Elementwise::Add | Elementwise::Mul | Elementwise::And | Elementwise::Or | Elementwise::Xor
            if node.inputs.len() > 2 =>
        {
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
        Elementwise::Rem => remainder(out, node, true),
        Elementwise::Mod if !out.source_dtype(node.output()).is_float() => remainder(out, node, false),
        Elementwise::Mod => modulus(out, node),
        Elementwise::Add
        | Elementwise::Mul
        | Elementwise::And
        | Elementwise::Or
        | Elementwise::Xor
        | Elementwise::Sub
        | Elementwise::Div
        | Elementwise::Pow
        | Elementwise::Max
        | Elementwise::Min
        | Elementwise::Mean => same(out, node, function.name()),
    }
}

/// What division leaves, with the sign of the dividend or, of integers only, of the divisor.
fn remainder(out: &mut Lowering<'_>, node: &Node, of_dividend: bool) -> Result<(), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "Mod", inputs, if of_dividend { vec![int("fmod", 1)] } else { Vec::new() })
}

/// What division of reals leaves, with the sign of the divisor: `a - ⌊a / b⌋ · b`.
fn modulus(out: &mut Lowering<'_>, node: &Node) -> Result<(), EmitError> {
    let (a, b) = (out.operand(node.inputs[0])?, out.operand(node.inputs[1])?);
    let shape = out.shape(node.output());
    let quotient = out.step(node, "Div", vec![a.clone(), b.clone()], Vec::new(), &shape)?;
    let whole = out.step(node, "Floor", vec![quotient], Vec::new(), &shape)?;
    let multiple = out.step(node, "Mul", vec![whole, b], Vec::new(), &shape)?;
    out.rearranged(node);
    out.result(node, "Sub", vec![a, multiple], Vec::new())
}

pub(super) fn is(out: &mut Lowering<'_>, node: &Node, property: Property) -> Result<(), EmitError> {
    let attributes = match property {
        Property::Nan => Vec::new(),
        Property::Infinite { negative, positive } => {
            vec![int("detect_negative", i64::from(negative)), int("detect_positive", i64::from(positive))]
        }
    };
    let x = out.operand(node.inputs[0])?;
    out.result(node, property.name(), vec![x], attributes)
}

/// What a computed weight is the transpose of: that is how ONNX has it.
pub(crate) fn before_transpose(out: &Lowering<'_>, linear: &Node) -> Option<(NodeId, ValueId)> {
    let id = out.graph().producer(out.roots[linear.inputs[1].index()])?;
    let node = out.graph().node(id);
    matches!(&node.op, Op::Transpose { perm } if perm[..] == [1, 0]).then(|| (id, node.inputs[0]))
}

/// `Gemm` for matrices, with the weight as it is stored; `MatMul` and `Add` for the rest.
pub(super) fn linear(out: &mut Lowering<'_>, node: &Node) -> Result<(), EmitError> {
    let (x_shape, weight_shape) = (out.shape(node.inputs[0]), out.shape(node.inputs[1]));
    let x = out.operand(node.inputs[0])?;
    let bias = node.inputs.get(2).map(|&id| out.operand(id)).transpose()?;
    let parameter = out.is_parameter(node.inputs[1]);
    let turned = before_transpose(out, node).filter(|_| !parameter);
    let rows = if parameter { out.is_stored_as_it_is(node.inputs[1]) } else { turned.is_none() };
    if x_shape.rank() == 2 && rows {
        let weight = out.operand(node.inputs[1])?;
        let inputs = [x, weight].into_iter().chain(bias).collect();
        return out.result(node, "Gemm", inputs, vec![int("transB", 1)]);
    }
    let weight = if parameter {
        out.operand_as(node.inputs[1], &[Transform::Permute(vec![1, 0])])?
    } else if let Some((_, weight)) = turned {
        out.operand(weight)?
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
