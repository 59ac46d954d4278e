//! Elementwise functions of several values, and matrix products.

use residua_ir::{DType, Elementwise, Op, Role, Tensor, Transform, ValueId};

use super::super::{Reader, Unknown};
use super::Read;

/// All operands, as many as the operator takes.
pub(super) fn elementwise(r: &mut Reader<'_>, op: Op, most: usize) -> Read {
    let count = r.node.input.len();
    if count == 0 || count > most {
        return Err(Unknown(format!("it has {count} operands")));
    }
    r.attributes.skip(&["consumed_inputs"]);
    let inputs = (0..count).map(|index| r.value(index)).collect::<Result<Vec<ValueId>, _>>()?;
    r.end(op, &inputs)
}

/// Two operands; before opset 7, `broadcast` and `axis` said how the second fits the first, which stays unread here.
pub(super) fn binary(r: &mut Reader<'_>, function: Elementwise) -> Read {
    if r.opset < 7 && r.attributes.int("broadcast")? == Some(0) {
        r.attributes.skip(&["axis"]);
    }
    if matches!(function, Elementwise::Div | Elementwise::Pow) {
        let x = r.value(0)?;
        r.real(x)?;
    }
    elementwise(r, Op::Elementwise(function), 2)
}

/// Reverses the axes of a matrix.
fn transposed() -> Transform {
    Transform::Permute(vec![1, 0])
}

/// The second factor as `[O, I]`, which is how `Linear` has it; a constant is a view.
fn weight(r: &mut Reader<'_>, turned: bool) -> Read {
    if !turned {
        return r.value(1);
    }
    if r.constant_shape(1).is_some() {
        return r.value_as(1, Role::Weight, &[transposed()]);
    }
    let value = r.value(1)?;
    Ok(r.step("weight", Op::Transpose { perm: vec![1, 0] }, &[value]))
}

/// `alpha · A · B + beta · C`.
pub(super) fn gemm(r: &mut Reader<'_>) -> Read {
    gemm_then(r, |r, op, inputs| r.end(op, inputs))
}

/// The same, on the way to the result.
pub(super) fn gemm_step(r: &mut Reader<'_>) -> Read {
    gemm_then(r, |r, op, inputs| Ok(r.step("gemm", op, inputs)))
}

fn gemm_then(r: &mut Reader<'_>, end: impl FnOnce(&mut Reader<'_>, Op, &[ValueId]) -> Read) -> Read {
    let (alpha, beta) = (r.attributes.float("alpha")?.unwrap_or(1.0), r.attributes.float("beta")?.unwrap_or(1.0));
    let (trans_a, trans_b) = (r.attributes.flag("transA", false)?, r.attributes.flag("transB", false)?);
    // Opset 1 to 6; the summand was broadcast if it said so, and had the full shape otherwise.
    r.attributes.skip(&["broadcast"]);
    let has_bias = r.operand(2).is_some();
    r.attributes.finish()?;
    let mut x = r.value(0)?;
    if trans_a {
        x = r.step("operand", Op::Transpose { perm: vec![1, 0] }, &[x]);
    }
    let weight = weight(r, !trans_b)?;
    if alpha != 1.0 || (beta != 1.0 && has_bias) {
        return scaled_gemm(r, [x, weight], [alpha, beta], has_bias, end);
    }
    if !has_bias {
        return end(r, Op::Linear, &[x, weight]);
    }
    let outputs = r.scope.fixed(weight, 0);
    let bias = match (r.constant_shape(2), outputs) {
        // One number an output, with axes of size 1 before it or none.
        (Some(shape), Some(outputs))
            if shape.last() == Some(&outputs) && shape.iter().product::<usize>() == outputs =>
        {
            r.value_as(2, Role::Weight, &[Transform::Reshape(vec![outputs])])?
        }
        _ => {
            let bias = r.value(2)?;
            if r.scope.shape(bias)?.rank() != 1 || r.scope.fixed(bias, 0) != outputs || outputs.is_none() {
                let product = r.step("product", Op::Linear, &[x, weight]);
                return end(r, Op::Elementwise(Elementwise::Add), &[product, bias]);
            }
            bias
        }
    };
    end(r, Op::Linear, &[x, weight, bias])
}

/// An attribute as an operand beside a value.
fn number(r: &mut Reader<'_>, what: &str, beside: ValueId, number: f64) -> Read {
    let dtype = r.scope.type_of(beside).map_or(DType::F32, |ty| ty.dtype);
    let tensor = Tensor::filled(dtype, Vec::new(), number).map_err(|error| Unknown(error.to_string()))?;
    let name = format!("{}/{what}", r.name);
    Ok(r.scope.own(&name, r.layer, Role::Literal, tensor))
}

/// The product and the summand, each times its factor.
fn scaled_gemm(
    r: &mut Reader<'_>,
    operands: [ValueId; 2],
    [alpha, beta]: [f64; 2],
    has_bias: bool,
    end: impl FnOnce(&mut Reader<'_>, Op, &[ValueId]) -> Read,
) -> Read {
    let times = Op::Elementwise(Elementwise::Mul);
    let product = r.step("product", Op::Linear, &operands);
    let factor = number(r, "alpha", product, alpha)?;
    if !has_bias {
        return end(r, times, &[product, factor]);
    }
    let product = r.step("scaled product", times.clone(), &[product, factor]);
    let bias = r.value(2)?;
    let factor = number(r, "beta", bias, beta)?;
    let bias = r.step("scaled summand", times, &[bias, factor]);
    end(r, Op::Elementwise(Elementwise::Add), &[product, bias])
}

pub(super) fn mat_mul(r: &mut Reader<'_>) -> Read {
    if r.constant_shape(1).is_some_and(|shape| shape.len() == 2) {
        let x = r.value(0)?;
        let weight = weight(r, true)?;
        return r.end(Op::Linear, &[x, weight]);
    }
    for index in [0, 1] {
        let operand = r.value(index)?;
        if r.rank(operand).is_some_and(|rank| rank < 2) {
            return Err(Unknown("a product with a vector is not known".to_owned()));
        }
    }
    elementwise(r, Op::MatMul, 2)
}
