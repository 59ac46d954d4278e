//! Normalisations.

use residua_ir::{Dim, GroupNorm, LayerNorm, Lrn, Node, Shape, Transform, ValueId};

use super::super::lowering::{Lowering, needs, unsupported};
use super::super::proto::{float, int, to_i64};
use super::axes::{axes_kept, reduce_step, reduce_step_of};
use crate::EmitError;

pub(super) fn batch_norm(out: &mut Lowering<'_>, node: &Node, epsilon: f64) -> Result<(), EmitError> {
    if out.opset < 15 && out.tensor_type != Some(out.float) {
        return Err(needs(out, node, &format!("a norm of {} whose tensors are wider", out.float), 15));
    }
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "BatchNormalization", inputs, vec![float("epsilon", epsilon)])
}

/// A scale or offset with axes of size 1 so that it broadcasts.
fn broadcastable(out: &mut Lowering<'_>, node: &Node, id: ValueId, shape: &[usize]) -> Result<String, EmitError> {
    if out.shape(id).as_fixed().as_deref() == Some(shape) {
        return out.operand(id);
    }
    if out.is_parameter(id) {
        return out.operand_as(id, &[Transform::Reshape(shape.to_vec())]);
    }
    let target = out.list(&format!("{}/shape", node.name.raw()), &to_i64(shape))?;
    let value = out.operand(id)?;
    out.step(node, "Reshape", vec![value, target], Vec::new(), &Shape::fixed(shape))
}

fn scale_and_offset(out: &mut Lowering<'_>, node: &Node, x: String, shape: &[usize]) -> Result<(), EmitError> {
    let scale = broadcastable(out, node, node.inputs[1], shape)?;
    let offset = broadcastable(out, node, node.inputs[2], shape)?;
    let full = out.shape(node.inputs[0]);
    let scaled = out.step(node, "Mul", vec![x, scale], Vec::new(), &full)?;
    out.result(node, "Add", vec![scaled, offset], Vec::new())
}

pub(super) fn group_norm(out: &mut Lowering<'_>, node: &Node, norm: GroupNorm) -> Result<(), EmitError> {
    let shape = out.shape(node.inputs[0]);
    let each_channel = shape.rank() > 2 && shape.dims()[1].fixed() == Some(norm.groups);
    if each_channel || out.opset >= 21 {
        let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
        let mut attributes = vec![float("epsilon", norm.epsilon)];
        if each_channel {
            return out.result(node, "InstanceNormalization", inputs, attributes);
        }
        attributes.push(int("num_groups", norm.groups));
        return out.result(node, "GroupNormalization", inputs, attributes);
    }
    let Some(channels) = shape.dims()[1].fixed() else {
        return Err(needs(out, node, &format!("a number of channels that is free, as that of {shape},"), 21));
    };
    out.rearranged(node);
    let mut per_channel = vec![1; shape.rank() - 1];
    per_channel[0] = channels;
    let normal = if shape.dims()[1..].iter().filter(|dim| dim.fixed().is_none()).count() <= 1 {
        by_instance_norm(out, node, norm, &shape)?
    } else {
        by_means(out, node, norm, &shape, &per_channel)?
    };
    scale_and_offset(out, node, normal, &per_channel)
}

/// Groups as the channels of an instance norm without scale, and back to the shape, of which one size may be free.
fn by_instance_norm(out: &mut Lowering<'_>, node: &Node, norm: GroupNorm, shape: &Shape) -> Result<String, EmitError> {
    let name = &node.name;
    let grouped = Shape::new(vec![shape.dims()[0].clone(), Dim::Fixed(norm.groups), Dim::Unknown]);
    let target =
        out.list(&format!("{}/groups", name.raw()), &[0, i64::try_from(norm.groups).unwrap_or(i64::MAX), -1])?;
    let x = out.operand(node.inputs[0])?;
    let flat = out.step(node, "Reshape", vec![x, target], Vec::new(), &grouped)?;
    let ones = out.filled(&format!("{}/ones", name.raw()), norm.groups, 1.0)?;
    let zeros = out.filled(&format!("{}/zeros", name.raw()), norm.groups, 0.0)?;
    let epsilon = vec![float("epsilon", norm.epsilon)];
    let normal = out.step(node, "InstanceNormalization", vec![flat, ones, zeros], epsilon, &grouped)?;
    let tail =
        shape.dims()[1..].iter().map(|dim| dim.fixed().map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)));
    let target: Vec<i64> = std::iter::once(0).chain(tail).collect();
    let target = out.list(&format!("{}/shape", name.raw()), &target)?;
    out.step(node, "Reshape", vec![normal, target], Vec::new(), shape)
}

/// The definition, where the image's size is free and so nothing can be reshaped back: the mean of a group is the mean
/// of its channels' means.
fn by_means(
    out: &mut Lowering<'_>,
    node: &Node,
    norm: GroupNorm,
    shape: &Shape,
    per_channel: &[usize],
) -> Result<String, EmitError> {
    let x = out.operand(node.inputs[0])?;
    let mean = group_mean(out, node, norm, x.clone(), per_channel)?;
    let centred = out.step(node, "Sub", vec![x, mean], Vec::new(), shape)?;
    let squares = out.step(node, "Mul", vec![centred.clone(), centred.clone()], Vec::new(), shape)?;
    let variance = group_mean(out, node, norm, squares, per_channel)?;
    divide_by_deviation(out, node, centred, variance, norm.epsilon, &axes_kept(shape, &behind_channels(shape)))
}

fn behind_channels(shape: &Shape) -> Vec<usize> {
    (2..shape.rank()).collect()
}

/// The mean of each group, for each of its channels.
fn group_mean(
    out: &mut Lowering<'_>,
    node: &Node,
    norm: GroupNorm,
    x: String,
    per_channel: &[usize],
) -> Result<String, EmitError> {
    let shape = out.shape(node.inputs[0]);
    let batch = shape.dims()[0].clone();
    let (groups, channels) = (norm.groups, per_channel[0]);
    let means = reduce_step(out, node, "ReduceMean", x, &behind_channels(&shape))?;
    let sizes = [0, i64::try_from(groups).unwrap_or(i64::MAX), -1];
    let target = out.list(&format!("{}/groups", node.name.raw()), &sizes)?;
    let split = Shape::new(vec![batch.clone(), Dim::Fixed(groups), Dim::Fixed(channels / groups)]);
    let grouped = out.step(node, "Reshape", vec![means, target], Vec::new(), &split)?;
    let mean = reduce_step_of(out, node, "ReduceMean", grouped, &[2], &split)?;
    // Adding zeros repeats it for each channel.
    let zeros = out.zeros(&format!("{}/zeros", node.name.raw()), vec![groups, channels / groups])?;
    let spread = out.step(node, "Add", vec![mean, zeros], Vec::new(), &split)?;
    let target: Vec<i64> = std::iter::once(0).chain(to_i64(per_channel)).collect();
    let target = out.list(&format!("{}/channels", node.name.raw()), &target)?;
    out.step(node, "Reshape", vec![spread, target], Vec::new(), &axes_kept(&shape, &behind_channels(&shape)))
}

/// `centred / sqrt(variance + epsilon)`; `reduced` is the variance's shape.
fn divide_by_deviation(
    out: &mut Lowering<'_>,
    node: &Node,
    centred: String,
    variance: String,
    epsilon: f64,
    reduced: &Shape,
) -> Result<String, EmitError> {
    let epsilon = out.scalar(&format!("{}/epsilon", node.name.raw()), epsilon)?;
    let shifted = out.step(node, "Add", vec![variance, epsilon], Vec::new(), reduced)?;
    let deviation = out.step(node, "Sqrt", vec![shifted], Vec::new(), reduced)?;
    let shape = out.shape(node.inputs[0]);
    out.step(node, "Div", vec![centred, deviation], Vec::new(), &shape)
}

pub(super) fn layer_norm(out: &mut Lowering<'_>, node: &Node, norm: &LayerNorm) -> Result<(), EmitError> {
    let shape = out.shape(node.inputs[0]);
    let first = norm.axes.first().copied().unwrap_or_default();
    let trailing = norm.axes.iter().copied().eq(first..shape.rank());
    if trailing && out.opset >= 17 {
        let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
        let attributes = vec![int("axis", first), float("epsilon", norm.epsilon)];
        return out.result(node, "LayerNormalization", inputs, attributes);
    }
    // The definition, so that no axis has to move.
    let sizes: Option<Vec<usize>> = (first..shape.rank())
        .map(|axis| if norm.axes.contains(&axis) { shape.dims()[axis].fixed() } else { Some(1) })
        .collect();
    let Some(sizes) = sizes else {
        return Err(unsupported(node, format!("the sizes of axes {:?} of {shape} must be known", norm.axes)));
    };
    let x = out.operand(node.inputs[0])?;
    let mean = reduce_step(out, node, "ReduceMean", x.clone(), &norm.axes)?;
    let centred = out.step(node, "Sub", vec![x, mean], Vec::new(), &shape)?;
    let squares = out.step(node, "Mul", vec![centred.clone(), centred.clone()], Vec::new(), &shape)?;
    let variance = reduce_step(out, node, "ReduceMean", squares, &norm.axes)?;
    let reduced = axes_kept(&shape, &norm.axes);
    let normal = divide_by_deviation(out, node, centred, variance, norm.epsilon, &reduced)?;
    out.rearranged(node);
    scale_and_offset(out, node, normal, &sizes)
}

pub(super) fn lrn(out: &mut Lowering<'_>, node: &Node, lrn: Lrn) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let attributes =
        vec![int("size", lrn.size), float("alpha", lrn.alpha), float("beta", lrn.beta), float("bias", lrn.bias)];
    out.result(node, "LRN", vec![x], attributes)
}
