//! Normalisations.

use residua_ir::{
    Activation, BatchNorm, Comparison, Dim, Elementwise, GroupNorm, LayerNorm, Lrn, Op, PoolKind, Reduce, ReshapeDim,
    Role, Tensor, ValueId,
};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

fn epsilon(r: &Reader<'_>) -> Result<f64, Unread> {
    // 1e-5 as f32, which is what an attribute would be.
    Ok(r.attributes.float("epsilon")?.unwrap_or(1e-5))
}

/// Opset 1: `consumed_inputs`, `is_test`, `spatial`; 6: `is_test`, `spatial`; 7: `spatial`; 9: neither; 14: `training_mode`.
pub(super) fn batch_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["momentum", "consumed_inputs"]);
    let training =
        if r.opset < 7 { !r.attributes.flag("is_test", false)? } else { r.attributes.flag("training_mode", false)? };
    if training {
        return of_a_batch(r);
    }
    let epsilon = epsilon(r)?;
    let x = r.value(0)?;
    // Some exporters said `spatial=0` by mistake, with statistics of one number a channel.
    let spatial = r.opset >= 9 || r.attributes.flag("spatial", true)?;
    if !spatial && r.constant_shape(3).is_none_or(|shape| shape.len() != 1) {
        return Err(Unknown("statistics of each pixel (`spatial` 0) are not known".to_owned()));
    }
    let inputs =
        vec![x, r.value(1)?, r.value(2)?, r.value_as(3, Role::Statistic, &[])?, r.value_as(4, Role::Statistic, &[])?];
    r.end(Op::BatchNorm(BatchNorm { epsilon }), &inputs)
}

/// A batch norm in training mode normalises by the batch. Of tensors that is how kernels are standardised, by exporters
/// of networks with such convolutions: one batch, and each channel a group.
fn of_a_batch(r: &mut Reader<'_>) -> Read {
    let channels = match r.constant_shape(0).as_deref() {
        Some(&[1, channels, ..]) => channels,
        Some(_) | None => {
            return Err(Unknown("it is in training mode; export the model for inference".to_owned()));
        }
    };
    let epsilon = epsilon(r)?;
    // Moving statistics are not used.
    for index in [3, 4] {
        let name = r.required(index)?;
        r.scope.constant(name);
    }
    let inputs = [r.value(0)?, r.value(1)?, r.value(2)?];
    r.end(Op::GroupNorm(GroupNorm { groups: channels, epsilon }), &inputs)
}

/// Before opset 21 scale and offset have one number a group.
pub(super) fn group_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["stash_type"]);
    let groups = r.attributes.int("num_groups")?.and_then(|groups| usize::try_from(groups).ok());
    let groups = groups.ok_or_else(|| Misused("`num_groups` is missing".to_owned()))?;
    let epsilon = epsilon(r)?;
    let norm = Op::GroupNorm(GroupNorm { groups, epsilon });
    let inputs = [r.value(0)?, r.value(1)?, r.value(2)?];
    if r.opset >= 21 {
        return r.end(norm, &inputs);
    }
    // The groups as channels.
    let sizes = r.sizes_of(0)?;
    r.attributes.finish()?;
    let shape = vec![ReshapeDim::Copy(0), ReshapeDim::Fixed(groups), ReshapeDim::Infer];
    let grouped = r.step("groups", Op::Reshape { shape }, &inputs[..1]);
    let normal = r.step("norm", norm, &[grouped, inputs[1], inputs[2]]);
    let (op, operands) = r.shaped_as(normal, &sizes);
    r.end(op, &operands)
}

pub(super) fn instance_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["consumed_inputs"]);
    let epsilon = epsilon(r)?;
    let inputs = [r.value(0)?, r.value(1)?, r.value(2)?];
    let groups = r.scope.fixed(inputs[1], 0).or_else(|| r.scope.fixed(inputs[0], 1));
    let groups = groups.ok_or_else(|| Unknown("the number of its channels is not known".to_owned()))?;
    r.end(Op::GroupNorm(GroupNorm { groups, epsilon }), &inputs)
}

/// One number for all elements over some axes, as a parameter of our own.
fn constant(r: &mut Reader<'_>, what: &str, x: ValueId, axes: &[usize], number: f64) -> Read {
    let ty = r.scope.type_of(x).cloned().ok_or_else(|| Unknown("the shape of its operand is not known".to_owned()))?;
    let sizes: Option<Vec<usize>> = axes.iter().map(|&axis| ty.shape.dims().get(axis).and_then(Dim::fixed)).collect();
    let sizes = sizes.ok_or_else(|| Unknown("the sizes that it normalises over are free".to_owned()))?;
    let tensor = Tensor::filled(ty.dtype, sizes, number).map_err(|error| Unknown(error.to_string()))?;
    let name = format!("{}/{what}", r.name);
    Ok(r.scope.own(&name, r.layer, Role::Default, tensor))
}

pub(super) fn layer_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["stash_type"]);
    let epsilon = epsilon(r)?;
    let (x, scale) = (r.value(0)?, r.value(1)?);
    let rank = r.known_rank(x)?;
    let first = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), Some(rank))?;
    let axes: Vec<usize> = (first..rank).collect();
    r.attributes.finish()?;
    moments(r, x, &axes, epsilon)?;
    let norm = Op::LayerNorm(LayerNorm { axes: axes.clone(), epsilon });
    // Scale and offset may be of any shape that is stretched to the operand's.
    let offset = if r.operand(2).is_some() { Some(r.value(2)?) } else { None };
    if [Some(scale), offset].into_iter().flatten().all(|id| r.rank(id) == Some(axes.len())) {
        let offset = offset.map_or_else(|| zeros_like(r, scale), Ok)?;
        return r.end(norm, &[x, scale, offset]);
    }
    let (ones, zeros) = (constant(r, "ones", x, &axes, 1.0)?, constant(r, "zeros", x, &axes, 0.0)?);
    let normal = r.step("norm", norm, &[x, ones, zeros]);
    match offset {
        None => r.end(Op::Elementwise(Elementwise::Mul), &[normal, scale]),
        Some(offset) => {
            let scaled = r.multiply("scaled", normal, scale);
            r.end(Op::Elementwise(Elementwise::Add), &[scaled, offset])
        }
    }
}

/// An offset that is left out, for this scale.
pub(super) fn zeros_like(r: &mut Reader<'_>, scale: ValueId) -> Read {
    let rank = r.known_rank(scale)?;
    constant(r, "offset", scale, &(0..rank).collect::<Vec<_>>(), 0.0)
}

/// The mean, and one over the deviation, where something reads them.
fn moments(r: &mut Reader<'_>, x: ValueId, axes: &[usize], epsilon: f64) -> Result<(), Unread> {
    let mean = || Op::Reduce(Reduce { kind: PoolKind::Mean, axes: axes.to_vec(), keep_dims: true });
    if r.wants(1) {
        r.give(1, mean(), &[x]);
    }
    if r.wants(2) {
        let centred = centred(r, x, axes);
        let squares = r.multiply("squares", centred, centred);
        let variance = r.step("variance", mean(), &[squares]);
        let epsilon = r.own("epsilon", r.dtype(x), epsilon)?;
        let shifted = r.step("shifted", Op::Elementwise(Elementwise::Add), &[variance, epsilon]);
        let deviation = r.step("deviation", Op::Activation(Activation::Sqrt), &[shifted]);
        r.give(2, Op::Activation(Activation::Reciprocal), &[deviation]);
    }
    Ok(())
}

/// What is left of a value without its mean.
fn centred(r: &mut Reader<'_>, x: ValueId, axes: &[usize]) -> ValueId {
    let mean = Op::Reduce(Reduce { kind: PoolKind::Mean, axes: axes.to_vec(), keep_dims: true });
    let mean = r.step("mean", mean, &[x]);
    r.step("centred", Op::Elementwise(Elementwise::Sub), &[x, mean])
}

/// `x / sqrt(mean(x²) + epsilon) * scale`.
pub(super) fn rms_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["stash_type"]);
    let epsilon = epsilon(r)?;
    let (x, scale) = (r.value(0)?, r.value(1)?);
    let rank = r.known_rank(x)?;
    let first = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), Some(rank))?;
    r.attributes.finish()?;
    let squares = r.multiply("squares", x, x);
    let mean = Op::Reduce(Reduce { kind: PoolKind::Mean, axes: (first..rank).collect(), keep_dims: true });
    let mean = r.step("mean", mean, &[squares]);
    let epsilon = r.own("epsilon", r.dtype(x), epsilon)?;
    let shifted = r.step("shifted", Op::Elementwise(Elementwise::Add), &[mean, epsilon]);
    let root = r.step("root", Op::Activation(Activation::Sqrt), &[shifted]);
    let normal = r.step("norm", Op::Elementwise(Elementwise::Div), &[x, root]);
    r.end(Op::Elementwise(Elementwise::Mul), &[normal, scale])
}

/// `x / ‖x‖` along an axis, 0 where the norm is 0.
pub(super) fn lp_norm(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), r.rank(x))?;
    let kind = match r.attributes.int("p")?.unwrap_or(2) {
        1 => PoolKind::L1,
        2 => PoolKind::L2,
        p => return Err(Unknown(format!("a norm of `p` {p} is not known"))),
    };
    r.attributes.finish()?;
    let (zero, one) = (r.own("zero", r.dtype(x), 0.0)?, r.own("one", r.dtype(x), 1.0)?);
    let norm = r.step("norm", Op::Reduce(Reduce { kind, axes: vec![axis], keep_dims: true }), &[x]);
    let nothing = r.step("nothing", Op::Compare(Comparison::Equal), &[norm, zero]);
    let divisor = r.step("divisor", Op::Where, &[nothing, one, norm]);
    r.end(Op::Elementwise(Elementwise::Div), &[x, divisor])
}

/// `(x - mean) / (deviation + 1e-9)`.
pub(super) fn mean_variance(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axes = Reader::axes(r.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]), r.rank(x))?;
    r.attributes.finish()?;
    let centred = centred(r, x, &axes);
    let squares = r.multiply("squares", centred, centred);
    let variance = r.step("variance", Op::Reduce(Reduce { kind: PoolKind::Mean, axes, keep_dims: true }), &[squares]);
    let deviation = r.step("deviation", Op::Activation(Activation::Sqrt), &[variance]);
    let epsilon = r.own("epsilon", r.dtype(x), 1e-9)?;
    let divisor = r.step("divisor", Op::Elementwise(Elementwise::Add), &[deviation, epsilon]);
    r.end(Op::Elementwise(Elementwise::Div), &[centred, divisor])
}

pub(super) fn lrn(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let number = |name: &str, default: f64| Ok(r.attributes.float(name)?.unwrap_or(default));
    let (alpha, beta, bias) = (number("alpha", 1e-4)?, number("beta", 0.75)?, number("bias", 1.0)?);
    let size = r.attributes.int("size")?.and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| Misused("`size` is missing".to_owned()))?;
    r.end(Op::Lrn(Lrn { size, alpha, beta, bias }), &[x])
}
