//! Convolutions, pools and padding.

use residua_formats::onnx::schema::AttributeProto;
use residua_ir::shape::window::{Window, output_size, resolve};
use residua_ir::{
    AvgPool, Conv, ConvTranspose, GlobalPool, LpPool, MaxPool, Node, Op, Pad, Padding, Pads, PoolKind, Shape, ValueId,
};

use super::super::lowering::{Lowering, needs};
use super::super::proto::{int, ints, string, to_i64};
use super::axes;
use crate::EmitError;

fn windows(kernel: [usize; 2], strides: [usize; 2], dilations: [usize; 2]) -> [Window; 2] {
    [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] })
}

fn pads(pads: Pads) -> AttributeProto {
    ints("pads", &[pads.top, pads.left, pads.bottom, pads.right])
}

/// Explicit amounts wherever the size is known; many runtimes take nothing else.
fn padding(padding: Padding, x: &Shape, windows: [Window; 2]) -> AttributeProto {
    let size = |axis: usize| x.dims().get(axis).and_then(residua_ir::Dim::fixed);
    let known = match (padding, size(2), size(3)) {
        (Padding::Explicit(amounts), _, _) => Some(amounts),
        (_, Some(height), Some(width)) => resolve(padding, height, width, windows),
        (Padding::SameUpper | Padding::SameLower, _, _) => None,
    };
    match (known, padding) {
        (Some(amounts), _) => pads(amounts),
        (None, Padding::SameLower) => string("auto_pad", "SAME_LOWER"),
        (None, Padding::SameUpper | Padding::Explicit(_)) => string("auto_pad", "SAME_UPPER"),
    }
}

/// The padding before a convolution that only it reads, if that can be its own.
pub(crate) fn padding_before(out: &Lowering<'_>, node: &Node) -> Option<(residua_ir::NodeId, ValueId, Pads)> {
    let (Op::Conv(Conv { padding: Padding::Explicit(own), .. }), Some(&x)) = (&node.op, node.inputs.first()) else {
        return None;
    };
    let producer = out.graph().producer(out.roots[x.index()])?;
    let pad_node = out.graph().node(producer);
    let Op::Pad(Pad { pads, channels: [0, 0], value: 0.0 }) = pad_node.op else { return None };
    let sum = Pads {
        top: own.top.checked_add(pads.top)?,
        left: own.left.checked_add(pads.left)?,
        bottom: own.bottom.checked_add(pads.bottom)?,
        right: own.right.checked_add(pads.right)?,
    };
    Some((producer, *pad_node.inputs.first()?, sum))
}

pub(super) fn conv(out: &mut Lowering<'_>, node: &Node, conv: &Conv) -> Result<(), EmitError> {
    let (x, amounts) = match padding_before(out, node).filter(|(pad, ..)| out.absorbed.contains(pad)) {
        Some((_, x, pads)) => (x, Padding::Explicit(pads)),
        None => (node.inputs[0], conv.padding),
    };
    let kernel = out.shape(node.inputs[1]).as_fixed().unwrap_or_default();
    let kernel = [kernel.get(2).copied().unwrap_or(1), kernel.get(3).copied().unwrap_or(1)];
    let attributes = vec![
        int("group", conv.groups),
        ints("kernel_shape", &kernel),
        ints("strides", &conv.strides),
        ints("dilations", &conv.dilations),
        padding(amounts, &out.shape(x), windows(kernel, conv.strides, conv.dilations)),
    ];
    let mut inputs = vec![out.operand(x)?];
    for &id in &node.inputs[1..] {
        inputs.push(out.operand(id)?);
    }
    out.result(node, "Conv", inputs, attributes)
}

/// Whether rounding up gives another size than rounding down; where it does not, the attribute is left out.
fn needs_ceil(ceil: bool, amounts: Padding, x: &Shape, windows: [Window; 2]) -> bool {
    let Padding::Explicit(pads) = amounts else { return false };
    let sides = [(pads.top, pads.bottom), (pads.left, pads.right)];
    ceil && (0..2).any(|i| {
        let size = |ceil| output_size(&x.dims()[2 + i], windows[i], sides[i].0, sides[i].1, ceil);
        x.dims()[2 + i].fixed().is_none() || size(true) != size(false)
    })
}

fn pool(
    out: &mut Lowering<'_>,
    node: &Node,
    op: &str,
    (kernel, strides, dilations): ([usize; 2], [usize; 2], [usize; 2]),
    (amounts, ceil): (Padding, bool),
    extra: Option<AttributeProto>,
) -> Result<(), EmitError> {
    let x = out.shape(node.inputs[0]);
    let windows = windows(kernel, strides, dilations);
    let mut attributes = vec![ints("kernel_shape", &kernel), ints("strides", &strides), padding(amounts, &x, windows)];
    if dilations != [1, 1] {
        attributes.push(ints("dilations", &dilations));
    }
    if needs_ceil(ceil, amounts, &x, windows) {
        attributes.push(int("ceil_mode", 1));
    }
    attributes.extend(extra);
    let input = out.operand(node.inputs[0])?;
    out.result(node, op, vec![input], attributes)
}

pub(super) fn max_pool(out: &mut Lowering<'_>, node: &Node, p: &MaxPool) -> Result<(), EmitError> {
    pool(out, node, "MaxPool", (p.kernel, p.strides, p.dilations), (p.padding, p.ceil_mode), None)
}

pub(super) fn avg_pool(out: &mut Lowering<'_>, node: &Node, p: &AvgPool) -> Result<(), EmitError> {
    if p.dilations != [1, 1] && out.opset < 19 {
        return Err(needs(out, node, "a dilated average pool", 19));
    }
    let whole = p.count_include_pad.then(|| int("count_include_pad", 1));
    pool(out, node, "AveragePool", (p.kernel, p.strides, p.dilations), (p.padding, p.ceil_mode), whole)
}

pub(super) fn lp_pool(out: &mut Lowering<'_>, node: &Node, p: &LpPool) -> Result<(), EmitError> {
    let windows = windows(p.kernel, p.strides, p.dilations);
    let ceil = needs_ceil(p.ceil_mode, p.padding, &out.shape(node.inputs[0]), windows);
    if (p.dilations != [1, 1] || ceil) && out.opset < 18 {
        return Err(needs(out, node, "a power pool that is dilated or rounds its size up", 18));
    }
    pool(out, node, "LpPool", (p.kernel, p.strides, p.dilations), (p.padding, p.ceil_mode), Some(int("p", p.p)))
}

pub(super) fn conv_transpose(out: &mut Lowering<'_>, node: &Node, conv: &ConvTranspose) -> Result<(), EmitError> {
    let kernel = out.shape(node.inputs[1]).as_fixed().unwrap_or_default();
    let attributes = vec![
        int("group", conv.groups),
        ints("kernel_shape", kernel.get(2..).unwrap_or_default()),
        ints("strides", &conv.strides),
        ints("dilations", &conv.dilations),
        ints("output_padding", &conv.output_padding),
        pads(conv.pads),
    ];
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    out.result(node, "ConvTranspose", inputs, attributes)
}

pub(super) fn global_pool(out: &mut Lowering<'_>, node: &Node, pool: GlobalPool) -> Result<(), EmitError> {
    let op = match pool.kind {
        PoolKind::Mean => "GlobalAveragePool",
        PoolKind::Max => "GlobalMaxPool",
        PoolKind::Sum
        | PoolKind::Min
        | PoolKind::Product
        | PoolKind::L1
        | PoolKind::L2
        | PoolKind::SumSquare
        | PoolKind::LogSum
        | PoolKind::LogSumExp => return axes::reduce(out, node, pool.kind, &[2, 3], pool.keep_dims),
    };
    let x = out.operand(node.inputs[0])?;
    if pool.keep_dims {
        return out.result(node, op, vec![x], Vec::new());
    }
    let dims = out.shape(node.inputs[0]).dims()[..2].to_vec();
    let kept = Shape::new(dims.into_iter().chain([residua_ir::Dim::Fixed(1), residua_ir::Dim::Fixed(1)]).collect());
    let pooled = out.step(node, op, vec![x], Vec::new(), &kept)?;
    out.result(node, "Flatten", vec![pooled], vec![int("axis", 1)])
}

pub(super) fn pad(out: &mut Lowering<'_>, node: &Node, pad: &Pad) -> Result<(), EmitError> {
    let [before, after] = pad.channels;
    let p = pad.pads;
    let amounts = to_i64(&[0, before, p.top, p.left, 0, after, p.bottom, p.right]);
    let mut inputs = vec![out.operand(node.inputs[0])?, out.list(&format!("{}/pads", node.name.raw()), &amounts)?];
    // Zero is what is padded with unless something else is said, and some runtimes take exactly two operands.
    if pad.value != 0.0 {
        inputs.push(out.scalar_like(node.inputs[0], &format!("{}/value", node.name.raw()), pad.value)?);
    }
    out.result(node, "Pad", inputs, Vec::new())
}
