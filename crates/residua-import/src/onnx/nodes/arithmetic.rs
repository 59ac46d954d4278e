//! Elementwise functions of several values, and matrix products.

use residua_ir::{Comparison, Elementwise, Op, Role, Transform, ValueId};

use super::super::{Misused, Reader, Unknown};
use super::Read;

/// All operands, as many as the operator takes.
pub(super) fn elementwise(r: &mut Reader<'_>, op: Op, most: usize) -> Read {
    let count = r.node.input.len();
    if count == 0 || count > most {
        return Err(Misused(format!("it has {count} operands")));
    }
    r.attributes.skip(&["consumed_inputs"]);
    let inputs = (0..count).map(|index| r.value(index)).collect::<Result<Vec<ValueId>, _>>()?;
    r.end(op, &inputs)
}

/// Two operands that broadcast against each other. Before opset 7 the second is only stretched where `broadcast` says so,
/// and its first axis is `axis` of the first operand, or they end together.
fn pair(r: &mut Reader<'_>, op: Op) -> Read {
    r.attributes.skip(&["consumed_inputs"]);
    let (a, mut b) = (r.value(0)?, r.value(1)?);
    if r.opset < 7 && r.attributes.flag("broadcast", false)? {
        if let Some(axis) = r.attributes.int("axis")? {
            let (rank, own) = (r.known_rank(a)?, r.known_rank(b)?);
            let first = if axis == -1 { rank.checked_sub(own) } else { Some(Reader::axis(axis, Some(rank))?) };
            let behind = first.and_then(|first| rank.checked_sub(first + own));
            let behind = behind.ok_or_else(|| Unknown(format!("`axis` {axis} is out of range")))?;
            r.attributes.finish()?;
            b = r.trailing(b, behind)?;
        }
    } else if r.opset < 7 {
        r.attributes.skip(&["axis"]);
    }
    r.end(op, &[a, b])
}

pub(super) fn binary(r: &mut Reader<'_>, function: Elementwise) -> Read {
    pair(r, Op::Elementwise(function))
}

pub(super) fn compare(r: &mut Reader<'_>, comparison: Comparison) -> Read {
    pair(r, Op::Compare(comparison))
}

pub(super) fn modulus(r: &mut Reader<'_>) -> Read {
    let function = if r.attributes.flag("fmod", false)? { Elementwise::Rem } else { Elementwise::Mod };
    binary(r, function)
}

/// Before opset 7 a slope of several numbers has one a channel.
pub(super) fn prelu(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["consumed_inputs"]);
    let (x, mut slope) = (r.value(0)?, r.value(1)?);
    if r.opset < 7 && r.scope.fixed(slope, 0) != Some(1) {
        let behind = r.known_rank(x)?.saturating_sub(2);
        r.attributes.finish()?;
        slope = r.trailing(slope, behind)?;
    }
    r.end(Op::PRelu, &[x, slope])
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
    let factor = r.own("alpha", r.dtype(product), alpha)?;
    if !has_bias {
        return end(r, times, &[product, factor]);
    }
    let product = r.step("scaled product", times.clone(), &[product, factor]);
    let bias = r.value(2)?;
    let factor = r.own("beta", r.dtype(bias), beta)?;
    let bias = r.step("scaled summand", times, &[bias, factor]);
    end(r, Op::Elementwise(Elementwise::Add), &[product, bias])
}

/// A vector is a row before the product and a column behind it, and its axis is gone afterwards.
pub(super) fn mat_mul(r: &mut Reader<'_>) -> Read {
    if r.constant_shape(1).is_some_and(|shape| shape.len() == 2) {
        let x = r.value(0)?;
        let weight = weight(r, true)?;
        return r.end(Op::Linear, &[x, weight]);
    }
    let operands = [r.value(0)?, r.value(1)?];
    let ranks = operands.map(|operand| r.rank(operand));
    if ranks.iter().all(|rank| rank.is_none_or(|rank| rank >= 2)) {
        return r.end(Op::MatMul, &operands);
    }
    let [Some(first), Some(second)] = ranks else {
        return Err(Unknown("the shape of its operand is not known".to_owned()));
    };
    if first == 0 || second == 0 {
        return Err(Unknown("a product with a single number is not a product of matrices".to_owned()));
    }
    r.attributes.finish()?;
    let row = if first == 1 { r.step("row", Op::Unsqueeze { axes: vec![0] }, &operands[..1]) } else { operands[0] };
    let column =
        if second == 1 { r.step("column", Op::Unsqueeze { axes: vec![1] }, &operands[1..]) } else { operands[1] };
    let product = r.step("product", Op::MatMul, &[row, column]);
    let rank = first.max(2).max(second.max(2));
    let gone = [(first == 1).then_some(rank - 2), (second == 1).then_some(rank - 1)];
    r.end(Op::Squeeze { axes: gone.into_iter().flatten().collect() }, &[product])
}
