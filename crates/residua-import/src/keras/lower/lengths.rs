//! What divides by the length of vectors: `UnitNormalization`, `RMSNormalization`, `l2_normalize`, and `Dot` with its cosines.

use residua_ir::{Activation, Elementwise, Op, PoolKind, Reduce, Role, SourceOrder, Tensor};

use super::preprocess;
use crate::keras::json::{Constant, Fields};
use crate::keras::layer_call::{Generation, LayerCall, Lowered, Stop, Val, Weight};
use crate::keras::order;

/// Keras's fuzz factor.
const EPSILON: f64 = 1e-7;
/// Below the square of a length in TensorFlow, and the length itself in Keras 3's layer.
const TINY: f64 = 1e-12;

/// Where the smallest length comes in.
#[derive(Debug, Clone, Copy)]
enum Least {
    /// `x * rsqrt(max(Σ x², e))`, as TensorFlow does.
    OfSquare(f64),
    /// `x * min(rsqrt(Σ x²), 1 / e)`, as Keras 3 does.
    OfLength(f64),
}

/// The graph's axes of source axes, ascending.
pub(super) fn graph_axes(layer_call: &LayerCall<'_, '_>, x: &Val, axes: &[i64]) -> Lowered<Vec<usize>> {
    let mut axes = axes.iter().map(|&axis| layer_call.axis(x, axis)).collect::<Lowered<Vec<usize>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// A value whose axes are those of the source in some order, which those of a flattened image are not.
fn with_axes(layer_call: &mut LayerCall<'_, '_>, x: &Val) -> Lowered {
    if x.axes().is_none() { layer_call.plain(x) } else { Ok(x.clone()) }
}

/// Steps before the last one, each with what it is called.
struct Steps<'c, 'n, 'a> {
    layer_call: &'c mut LayerCall<'n, 'a>,
    mark: &'static str,
}

impl Steps<'_, '_, '_> {
    fn step(&mut self, part: &str, op: Op, operands: &[&Val], order: &SourceOrder) -> Val {
        self.layer_call.step(&format!("{}{part}", self.mark), op, operands, order.clone())
    }

    /// `1 / √x`.
    fn rsqrt(&mut self, x: &Val) -> Val {
        let order = x.order.clone();
        let root = self.step("sqrt", Op::Activation(Activation::Sqrt), &[x], &order);
        self.step("reciprocal", Op::Activation(Activation::Reciprocal), &[&root], &order)
    }

    /// What vectors along these axes of the graph's value are to be multiplied with.
    fn by_length(&mut self, x: &Val, axes: Vec<usize>, least: Least) -> Val {
        let order = x.order.clone();
        let square = Op::Reduce(Reduce { kind: PoolKind::SumSquare, axes, keep_dims: true });
        let square = self.step("square", square, &[x], &order);
        let clip = |min, max| Op::Activation(Activation::Clip { min, max });
        match least {
            Least::OfSquare(least) => {
                let square = self.step("least", clip(Some(least), None), &[&square], &order);
                self.rsqrt(&square)
            }
            Least::OfLength(least) => {
                let inverse = self.rsqrt(&square);
                self.step("most", clip(None, Some(1.0 / least)), &[&inverse], &order)
            }
        }
    }
}

/// `UnitNormalization`.
pub(super) fn unit(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let axes = layer_call.fields().integers("axis")?.unwrap_or_else(|| vec![-1]);
    let least = match layer_call.net.generation {
        Generation::Keras2 => Least::OfSquare(TINY),
        Generation::Keras3 => Least::OfLength(TINY),
    };
    normalised(layer_call, &axes, least)
}

/// `ops.normalize` of order 2.
pub(super) fn normalize(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    if fields.i64("order")?.unwrap_or(2) != 2 {
        return Err(Stop::Opaque("only lengths of order 2 have operators".to_owned()));
    }
    let axes = fields.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let epsilon = fields.f64("epsilon")?.unwrap_or(EPSILON);
    normalised(layer_call, &axes, Least::OfLength(epsilon))
}

/// TensorFlow's `math.l2_normalize`.
pub(super) fn l2_normalize(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let axes = fields.integers("axis")?.or(fields.integers("dim")?);
    let axes =
        axes.ok_or_else(|| Stop::Opaque("a length over all axes, the batch included, has no operator".to_owned()))?;
    let epsilon = fields.f64("epsilon")?.unwrap_or(TINY);
    normalised(layer_call, &axes, Least::OfSquare(epsilon))
}

fn normalised(layer_call: &mut LayerCall<'_, '_>, axes: &[i64], least: Least) -> Lowered {
    let x = layer_call.input()?;
    let x = with_axes(layer_call, &x)?;
    let axes = graph_axes(layer_call, &x, axes)?;
    let factor = Steps { layer_call, mark: "" }.by_length(&x, axes, least);
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Mul), &[&x, &factor], x.order.clone()))
}

/// `RMSNormalization`: `x / √(mean x² + epsilon) * scale`.
pub(super) fn rms(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let epsilon = fields.f64("epsilon")?.unwrap_or(1e-6);
    let x = layer_call.input()?;
    let x = if layer_call.shared || x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let rank = layer_call.rank(&x)?;
    let stated = fields.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let mut kept = Vec::with_capacity(stated.len());
    for &axis in &stated {
        kept.push(order::resolve(axis, rank).ok_or_else(|| fields.error("axis", "axes of its input"))?);
    }
    kept.sort_unstable();
    kept.dedup();
    // Keras lets the scale meet the last axes, whichever it was made for.
    if !kept.iter().copied().eq(rank - kept.len().min(rank)..rank) {
        return Err(Stop::Opaque("only norms over the last axes have operators".to_owned()));
    }
    let axes = graph_axes(layer_call, &x, &stated)?;
    let sizes = x.source_sizes().unwrap_or_default();
    let shape: Vec<Option<usize>> = kept.iter().map(|&axis| sizes[axis]).collect();
    let view = |tensor: &Tensor| preprocess::broadcast(tensor, &x, &kept);
    let [scale] = layer_call.weights([Weight::new("scale", &shape).view(view)])?;
    let order = x.order.clone();
    let literal = layer_call.constant(&Constant::scalar(epsilon))?;
    let literal = layer_call.made("epsilon", Role::Literal, literal);
    let mut steps = Steps { layer_call, mark: "" };
    let square = steps.step("square", Op::Elementwise(Elementwise::Mul), &[&x, &x], &order);
    let mean = Op::Reduce(Reduce { kind: PoolKind::Mean, axes, keep_dims: true });
    let mean = steps.step("mean", mean, &[&square], &order);
    let mean = steps.step("add", Op::Elementwise(Elementwise::Add), &[&mean, &literal], &order);
    let factor = steps.rsqrt(&mean);
    let scaled = steps.step("mul", Op::Elementwise(Elementwise::Mul), &[&x, &factor], &order);
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Mul), &[&scaled, &scale], order))
}

/// `Dot` of vectors or of matrices, an image each.
pub(super) fn dot(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let normalize = fields.bool_or("normalize", false)?;
    let [a, b] = <[Val; 2]>::try_from(layer_call.inputs.clone())
        .map_err(|inputs| layer_call.misfit(format!("takes two tensors, found {}", inputs.len())))?;
    let operands = [layer_call.plain(&a)?, layer_call.plain(&b)?];
    let ranks = [layer_call.rank(&operands[0])?, layer_call.rank(&operands[1])?];
    let stated = fields.integers("axes")?.ok_or_else(|| fields.error("axes", "an axis, or one of each operand"))?;
    let [first, second] = match stated[..] {
        [both] => [both, both],
        [first, second] => [first, second],
        _ => return Err(fields.error("axes", "an axis, or one of each operand").into()),
    };
    let mut axes = [0; 2];
    for (at, axis) in [first, second].into_iter().enumerate() {
        let resolved = order::resolve(axis, ranks[at]).filter(|&axis| axis > 0);
        axes[at] = resolved.ok_or_else(|| fields.error("axes", "axes of its operands behind the batch"))?;
    }
    let [a, b] = if normalize { unit_vectors(layer_call, &operands, axes) } else { operands };
    match (ranks, axes) {
        ([2, 2], [1, 1]) => {
            let product = layer_call.step("mul", Op::Elementwise(Elementwise::Mul), &[&a, &b], SourceOrder::Same);
            let sum = Op::Reduce(Reduce { kind: PoolKind::Sum, axes: vec![1], keep_dims: true });
            Ok(layer_call.finish(sum, &[&product], SourceOrder::Same))
        }
        ([3, 3], [of_a, of_b]) => {
            let turn = Op::Transpose { perm: vec![0, 2, 1] };
            let a = if of_a == 2 { a } else { layer_call.step("first", turn.clone(), &[&a], SourceOrder::Same) };
            let b = if of_b == 1 { b } else { layer_call.step("second", turn, &[&b], SourceOrder::Same) };
            Ok(layer_call.finish(Op::MatMul, &[&a, &b], SourceOrder::Same))
        }
        _ => Err(Stop::Opaque("only products of two vectors, or of two matrices, have operators".to_owned())),
    }
}

fn unit_vectors(layer_call: &mut LayerCall<'_, '_>, operands: &[Val; 2], axes: [usize; 2]) -> [Val; 2] {
    let least = match layer_call.net.generation {
        Generation::Keras2 => Least::OfSquare(TINY),
        Generation::Keras3 => Least::OfLength(EPSILON),
    };
    [0, 1].map(|at| {
        let mark = ["first_", "second_"][at];
        let mut steps = Steps { layer_call: &mut *layer_call, mark };
        let factor = steps.by_length(&operands[at], vec![axes[at]], least);
        steps.step("unit", Op::Elementwise(Elementwise::Mul), &[&operands[at], &factor], &operands[at].order)
    })
}
