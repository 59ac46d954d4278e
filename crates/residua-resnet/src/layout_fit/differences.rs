//! In what a network differs from the one that a model class builds of its tensors, in sentences.

use residua_ir::shape::window::{Window, resolve};
use residua_ir::{Checked, MaxPool, NodeId, Op, Pads, ValueId};

use crate::anatomy::{ActivationOrder, Anatomy, Block, ConvNormAct, Reads};

/// A network and what it is made of.
type Network<'m> = (&'m Checked, &'m Anatomy);

/// In what the first differs from the second, which a layout's code builds.
pub(super) fn between(source: Network, built: Network) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut differ = |reason: Option<String>| {
        if let Some(reason) = reason.filter(|reason| !reasons.contains(reason)) {
            reasons.push(reason);
        }
    };
    let ((_, has), (_, gets)) = (source, built);
    for (conv, other) in has.stem.convs.iter().zip(&gets.stem.convs) {
        differ(conv_difference("the stem", source.0, conv, built.0, other));
        let (own, others) = (activation(source.0, conv.activation), activation(built.0, other.activation));
        if own != others {
            differ(Some(format!("its stem has {}, the layout's has {}", or_none(own), or_none(others))));
        }
        if conv.norm.is_some() && other.norm.is_none() {
            differ(Some("its stem is normalised, the layout's is not".to_owned()));
        }
        if conv.bias && !other.bias && other.norm.is_none() && has_bias(source.0, conv) {
            differ(Some("the convolution of its stem has a bias and no norm behind it that could take it".to_owned()));
        }
    }
    differ(pool_difference(source, built));
    for (block, other) in has.blocks.iter().zip(&gets.blocks) {
        differ(block_difference(source.0, block, built.0, other));
    }
    if has.head.norm.is_some() != gets.head.norm.is_some() {
        differ(Some("only one of both has a norm behind its last block".to_owned()));
    }
    const SHOWN: usize = 4;
    if reasons.len() > SHOWN {
        let more = reasons.len() - SHOWN;
        reasons.truncate(SHOWN);
        reasons.push(format!("and {more} more differences of this kind"));
    }
    reasons
}

fn or_none(name: Option<String>) -> String {
    name.unwrap_or_else(|| "no activation".to_owned())
}

fn activation(model: &Checked, node: Option<NodeId>) -> Option<String> {
    node.map(|node| model.graph().node(node).op.name().to_owned())
}

fn has_bias(model: &Checked, conv: &ConvNormAct) -> bool {
    let graph = model.graph();
    let bias = graph.node(conv.node).inputs.get(2).and_then(|&value| graph.as_parameter(value));
    bias.is_some_and(|bias| !bias.tensor.to_f64().is_ok_and(|values| values.iter().all(|value| *value == 0.0)))
}

fn conv_difference(
    place: &str,
    model: &Checked,
    conv: &ConvNormAct,
    other_model: &Checked,
    other: &ConvNormAct,
) -> Option<String> {
    let differs = |what: &str, has: String, gets: String| {
        (has != gets).then(|| format!("{place}: {what} {has}, the layout's code has {gets}"))
    };
    let size = |kernel: [usize; 2]| format!("{}x{}", kernel[0], kernel[1]);
    differs("kernel", size(conv.kernel), size(other.kernel))
        .or_else(|| differs("stride", conv.stride.to_string(), other.stride.to_string()))
        .or_else(|| differs("dilation", conv.dilation.to_string(), other.dilation.to_string()))
        .or_else(|| differs("groups", conv.groups.to_string(), other.groups.to_string()))
        .or_else(|| differs("padding", padding(model, conv.node), padding(other_model, other.node)))
}

/// Whether a shortcut pools. A pool of single pixels leaves others out, as a slice with a step does.
fn pools(model: &Checked, block: &Block) -> bool {
    let takes_several = |op: &Op| match op {
        Op::MaxPool(pool) => pool.kernel != [1, 1],
        Op::AvgPool(pool) => pool.kernel != [1, 1],
        _ => true,
    };
    let is_pool = |op: &Op| matches!(op, Op::MaxPool(_) | Op::AvgPool(_) | Op::LpPool(_) | Op::GlobalPool(_));
    let ops = || block.path.nodes.iter().map(|&id| &model.graph().node(id).op);
    block.path.pooled && !ops().any(|op| is_pool(op) && !takes_several(op))
}

fn block_difference(model: &Checked, block: &Block, other_model: &Checked, other: &Block) -> Option<String> {
    let name = match &block.hint {
        Some(hint) => format!("{} (`{hint}`)", block.name),
        None => block.name.clone(),
    };
    let differs = |what: &str, has: String, gets: String| {
        (has != gets).then(|| format!("{name}: {what} {has}, the layout's code has {gets}"))
    };
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let mut found = differs("kind", text(&block.kind), text(&other.kind))
        .or_else(|| differs("activation", text(&block.activation), text(&other.activation)))
        .or_else(|| differs("shortcut", text(&block.shortcut), text(&other.shortcut)))
        .or_else(|| differs("stride", block.stride.to_string(), other.stride.to_string()))
        .or_else(|| {
            differs("pool on the shortcut", pools(model, block).to_string(), pools(other_model, other).to_string())
        })
        .or_else(|| differs("gate", text(&block.squeeze_excite.is_some()), text(&other.squeeze_excite.is_some())))
        .or_else(|| differs("gate of another kind", text(&block.other_gate), text(&other.other_gate)))
        .or_else(|| differs("activations", block.activations.join(", "), other.activations.join(", ")))
        .or_else(|| {
            let behind = |block: &Block| block.after_add.clone().unwrap_or_else(|| "nothing".to_owned());
            differs("behind the sum", behind(block), behind(other))
        });
    if found.is_none() && block.activation == ActivationOrder::Pre && block.path.conv.is_some() {
        let reads = |reads: Reads| match reads {
            Reads::Raw => "what the block is given",
            Reads::Preactivated => "the normalised and activated value",
        };
        found = differs("its projection takes", reads(block.path.reads).to_owned(), reads(other.path.reads).to_owned());
    }
    if found.is_none() && block.path.normed && !other.path.normed {
        found = Some(format!("{name}: its projection is normalised, the layout's is not"));
    }
    let (own, others) = (units(block), units(other));
    for ((place, conv), (_, other_conv)) in own.iter().zip(&others) {
        let place = format!("{name} {place}");
        found = found.or_else(|| conv_difference(&place, model, conv, other_model, other_conv));
        let moves = match block.activation {
            ActivationOrder::Post => conv.norm.is_some() || other_conv.norm.is_some(),
            // A norm that was folded away is there again, and does nothing but add the bias.
            ActivationOrder::Pre => followed_by_norm(other_model, other_conv.node),
        };
        let keeps = other_conv.bias || moves;
        if found.is_none() && !keeps && !followed_by_norm(model, conv.node) && has_bias(model, conv) {
            found = Some(format!("{place} has a bias and no norm behind it that could take it"));
        }
    }
    found
}

/// Convolutions of a block, with what they are called.
fn units(block: &Block) -> Vec<(String, &ConvNormAct)> {
    let main = (1..).zip(&block.convs).map(|(n, conv): (usize, _)| (format!("convolution {n}"), conv));
    main.chain(block.path.conv.iter().map(|conv| ("projection".to_owned(), conv))).collect()
}

/// Whether a norm takes what a node gives, and nothing else does.
fn followed_by_norm(model: &Checked, node: NodeId) -> bool {
    let graph = model.graph();
    let output = graph.node(node).outputs[0];
    let takers: Vec<_> = graph.nodes().iter().filter(|taker| taker.inputs.contains(&output)).collect();
    matches!(takers[..], [taker] if matches!(taker.op, Op::BatchNorm(_)))
}

/// How a window is padded, its own padding and that of layers of zeros before it: `1`, `0,1` (before, after).
fn padding(model: &Checked, node: NodeId) -> String {
    match pads(model, node) {
        Some((pads, zeros)) => {
            text_of(pads.top + zeros.top, pads.bottom + zeros.bottom, pads.left + zeros.left, pads.right + zeros.right)
        }
        None => "\"same\" (one more behind than before, depending on the size)".to_owned(),
    }
}

fn text_of(top: usize, bottom: usize, left: usize, right: usize) -> String {
    if top == bottom && left == right && top == left {
        top.to_string()
    } else {
        format!("top {top} bottom {bottom} left {left} right {right}")
    }
}

/// Amounts that a window pads by itself, and those of zeros that layers before it add; [`None`] where they depend on a
/// size that is free.
fn pads(model: &Checked, node: NodeId) -> Option<(Pads, Pads)> {
    let graph = model.graph();
    let node = graph.node(node);
    let (padding, windows) = match &node.op {
        Op::Conv(conv) => {
            let kernel = graph.as_parameter(*node.inputs.get(1)?)?.tensor.shape();
            let window = |axis: usize| {
                Some(Window {
                    kernel: *kernel.get(axis + 2)?,
                    stride: conv.strides[axis],
                    dilation: conv.dilations[axis],
                })
            };
            (conv.padding, [window(0)?, window(1)?])
        }
        Op::MaxPool(MaxPool { kernel, strides, padding, dilations, .. }) => {
            let window =
                |axis: usize| Window { kernel: kernel[axis], stride: strides[axis], dilation: dilations[axis] };
            (*padding, [window(0), window(1)])
        }
        _ => return None,
    };
    let own = match padding {
        residua_ir::Padding::Explicit(pads) => pads,
        residua_ir::Padding::SameUpper | residua_ir::Padding::SameLower => {
            let dims = model.shape_of(*node.inputs.first()?)?.dims();
            resolve(padding, dims.get(2)?.fixed()?, dims.get(3)?.fixed()?, windows)?
        }
    };
    let (zeros, _) = zeros_before(model, *node.inputs.first()?);
    Some((own, zeros))
}

/// Zeros that layers add to the edges of a value, and the value before them.
fn zeros_before(model: &Checked, mut value: ValueId) -> (Pads, ValueId) {
    let graph = model.graph();
    let mut sum = Pads::default();
    while let Some(node) = graph.producer(value).map(|node| graph.node(node)) {
        match &node.op {
            Op::Pad(pad) if pad.value == 0.0 && pad.channels == [0, 0] => {
                sum = Pads {
                    top: sum.top + pad.pads.top,
                    left: sum.left + pad.pads.left,
                    bottom: sum.bottom + pad.pads.bottom,
                    right: sum.right + pad.pads.right,
                };
            }
            Op::Identity(_) => {}
            _ => break,
        }
        value = node.inputs[0];
    }
    (sum, value)
}

/// Whether the pools of both stems are the same function of what they are given.
fn pool_difference(source: Network, built: Network) -> Option<String> {
    let pools = (source.1.stem.pool, built.1.stem.pool);
    let (Some(has), Some(gets)) = pools else {
        return (pools.0.is_some() != pools.1.is_some()).then(|| "only one of both stems has a pool".to_owned());
    };
    let facts = |model: &Checked, node: NodeId| {
        let graph = model.graph();
        let Op::MaxPool(pool) = &graph.node(node).op else { return Err(graph.node(node).op.name().to_owned()) };
        let Some((own, zeros)) = pads(model, node) else {
            return Err("a pool that pads as its input's size asks".to_owned());
        };
        let (_, before) = zeros_before(model, graph.node(node).inputs[0]);
        let producer = graph.producer(before).map(|node| &graph.node(node).op);
        let never_negative = matches!(producer, Some(Op::Activation(act)) if *act == residua_ir::Activation::RELU);
        Ok((pool.kernel, pool.strides, pool.ceil_mode, own, zeros, never_negative))
    };
    let (has, gets) = match (facts(source.0, has), facts(built.0, gets)) {
        (Ok(has), Ok(gets)) => (has, gets),
        (Err(what), _) | (_, Err(what)) => return Some(format!("the pool of its stem is {what}")),
    };
    let total = |own: Pads, zeros: Pads| {
        [own.top + zeros.top, own.bottom + zeros.bottom, own.left + zeros.left, own.right + zeros.right]
    };
    if (has.0, has.1, has.2, total(has.3, has.4)) != (gets.0, gets.1, gets.2, total(gets.3, gets.4)) {
        return Some(format!(
            "the pool of its stem is {}x{} with stride {}, padded by {:?}; the layout's is {}x{} with stride {}, padded by {:?}",
            has.0[0],
            has.0[1],
            has.1[0],
            total(has.3, has.4),
            gets.0[0],
            gets.0[1],
            gets.1[0],
            total(gets.3, gets.4)
        ));
    }
    let edge = |zeros: Pads| if zeros.is_zero() { "−∞" } else { "zeros" };
    // Behind a ReLU zeros never win over a pixel, and every window has one.
    (!has.5 && has.4 != gets.4).then(|| {
        format!(
            "the pool of its stem takes signed values and pads with {}, the layout's pads with {}: they differ at the edges",
            edge(has.4),
            edge(gets.4)
        )
    })
}
