//! Faults of wiring, strides and attributes. Each is planted in one block, and names the layer that has to be named.

use residua_ir::{Activation, AvgPool, Conv, Elementwise, Op, Padding, Pads};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{ActivationOrder, Block, BlockKind, ShortcutKind};

use crate::network::Network;

fn relu() -> Op {
    Op::Activation(Activation::RELU)
}

/// What the main path gives to the sum.
fn main_end(network: &Network, block: &Block) -> String {
    network.output(*block.main.last().expect("a main path"))
}

/// What the shortcut gives to the sum.
fn shortcut_end(network: &Network, block: &Block) -> String {
    let inputs = &network.nodes[block.add.index()].inputs;
    let main = main_end(network, block);
    inputs.iter().find(|input| **input != main).expect("two operands").clone()
}

/// The block where it has an identity that may be tampered with: the blocks around it give the same shape.
fn inner(anatomy: &Anatomy, at: usize) -> Option<(&Block, &Block)> {
    let (before, block) = (anatomy.blocks.get(at.checked_sub(1)?)?, &anatomy.blocks[at]);
    let fits = block.stage == before.stage && block.shortcut == ShortcutKind::Identity && block.stride == 1;
    (fits && before.stride == 1).then_some((before, block))
}

/// The node that activates a sum.
fn after(network: &Network, block: &Block) -> Option<usize> {
    let sum = network.name(block.sum);
    network.nodes.iter().position(|node| node.inputs == [sum.clone()] && matches!(node.op, Op::Activation(_)))
}

pub(crate) fn lose_shortcut(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let end = main_end(network, block);
    network.redirect(&network.name(block.sum), &end);
    network.remove(block.add);
    for node in block.path.nodes.iter().rev() {
        network.remove(*node);
    }
    Some(network.layer(block.convs[0].node))
}

pub(crate) fn add_twice(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (_, block) = inner(anatomy, at)?;
    let (main, shortcut) = (main_end(network, block), shortcut_end(network, block));
    network.rewire(block.add, &shortcut, &main)?;
    Some(network.layer(block.add))
}

pub(crate) fn multiply(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    network.node(block.add).op = Op::Elementwise(Elementwise::Mul);
    Some(network.layer(block.add))
}

pub(crate) fn subtract(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    network.node(block.add).op = Op::Elementwise(Elementwise::Sub);
    Some(network.layer(block.add))
}

pub(crate) fn long_skip(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (before, block) = inner(anatomy, at)?;
    let (_, before) = inner(anatomy, at - 1).filter(|(_, other)| other.name == before.name)?;
    let shortcut = shortcut_end(network, block);
    network.rewire(block.add, &shortcut, &network.name(before.entry))?;
    Some(network.layer(block.add))
}

pub(crate) fn shortcut_from_within(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (_, block) = inner(anatomy, at).filter(|(_, block)| block.kind == BlockKind::Basic)?;
    let shortcut = shortcut_end(network, block);
    // The activated value before the second convolution, whether it belongs to that one or to the first.
    let owner = if block.activation == ActivationOrder::Pre { &block.convs[1] } else { &block.convs[0] };
    let inner = network.output(owner.activation?);
    network.rewire(block.add, &shortcut, &inner)?;
    Some(network.layer(block.add))
}

pub(crate) fn shortcut_before_activation(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (before, block) = inner(anatomy, at).filter(|(_, block)| block.activation == ActivationOrder::Post)?;
    let shortcut = shortcut_end(network, block);
    network.rewire(block.add, &shortcut, &network.name(before.sum))?;
    Some(network.layer(block.add))
}

pub(crate) fn skip_sum(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (before, block) = inner(anatomy, at)?;
    let end = main_end(network, before);
    network.rewire(*block.main.first()?, &network.name(block.entry), &end)?;
    Some(network.layer(block.convs[0].node))
}

pub(crate) fn identity_for_projection(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    if block.shortcut != ShortcutKind::Projection || block.inputs == block.outputs {
        return None;
    }
    let shortcut = shortcut_end(network, block);
    network.rewire(block.add, &shortcut, &network.name(block.fork))?;
    for node in block.path.nodes.iter().rev() {
        network.remove(*node);
    }
    Some(network.layer(block.add))
}

pub(crate) fn needless_projection(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let (_, block) = inner(anatomy, at)?;
    let (channels, shortcut) = (block.outputs?, shortcut_end(network, block));
    network.weight("needless/kernel", &[channels, channels, 1, 1]);
    network.insert("needless", Op::Conv(Conv::default()), &[&shortcut, "needless/kernel"]);
    network.rewire(block.add, &shortcut, "needless")?;
    Some("needless".to_owned())
}

pub(crate) fn lose_last_activation(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    // Networks whose features are taken before their last activation are common.
    if block.activation != ActivationOrder::Post || at + 1 == anatomy.blocks.len() {
        return None;
    }
    let relu = after(network, block)?;
    let (from, to) = (network.nodes[relu].outputs[0].clone(), network.name(block.sum));
    network.redirect(&from, &to);
    network.forget(relu);
    Some(network.layer(block.add))
}

pub(crate) fn activate_sum(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    if block.activation != ActivationOrder::Pre || at + 1 == anatomy.blocks.len() {
        return None;
    }
    let sum = network.name(block.sum);
    network.redirect(&sum, "too_early");
    network.insert("too_early", relu(), &[&sum]);
    Some(network.layer(block.add))
}

pub(crate) fn lose_inner_activation(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    // In front of the second convolution in v2, behind the first one in v1.
    let conv = if block.activation == ActivationOrder::Pre { &block.convs[1] } else { &block.convs[0] };
    network.bypass(conv.activation?);
    Some(network.layer(conv.norm.unwrap_or(block.convs[0].node)))
}

pub(crate) fn other_activation(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.get(1)?;
    let node = conv.activation?;
    network.node(node).op = Op::Activation(Activation::Tanh);
    Some(network.layer(node))
}

pub(crate) fn lose_norm(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let conv = if block.activation == ActivationOrder::Pre { &block.convs[1] } else { &block.convs[0] };
    network.bypass(conv.norm?);
    Some(network.layer(block.convs[0].node))
}

pub(crate) fn activated_identity(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    if block.activation != ActivationOrder::Pre || block.shortcut != ShortcutKind::Identity {
        return None;
    }
    let (shortcut, activation) = (shortcut_end(network, block), block.convs[0].activation?);
    let activated = network.output(activation);
    network.rewire(block.add, &shortcut, &activated)?;
    Some(network.layer(activation))
}

pub(crate) fn relu_on_identity(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let shortcut = shortcut_end(network, block);
    if block.shortcut != ShortcutKind::Identity {
        return None;
    }
    network.insert("on_identity", relu(), &[&shortcut]);
    network.rewire(block.add, &shortcut, "on_identity")?;
    Some("on_identity".to_owned())
}

/// How many blocks have a projection.
fn projections(anatomy: &Anatomy) -> usize {
    anatomy.blocks.iter().filter(|block| block.shortcut == ShortcutKind::Projection).count()
}

pub(crate) fn relu_on_projection(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let shortcut = shortcut_end(network, block);
    if block.shortcut != ShortcutKind::Projection || projections(anatomy) < 3 {
        return None;
    }
    network.insert("on_projection", relu(), &[&shortcut]);
    network.rewire(block.add, &shortcut, "on_projection")?;
    Some("on_projection".to_owned())
}

pub(crate) fn lose_projection_norm(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let norm = block.path.norm.filter(|_| projections(anatomy) >= 3)?;
    network.bypass(norm);
    Some(network.layer(block.path.conv.as_ref()?.node))
}

pub(crate) fn other_projection_kernel(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].path.conv.as_ref().filter(|_| projections(anatomy) >= 3)?;
    let kernel = network.nodes[conv.node.index()].inputs[1].clone();
    let mut shape = network.tensor(&kernel)?.shape().to_vec();
    let Op::Conv(attributes) = &mut network.node(conv.node).op else { return None };
    attributes.padding = Padding::Explicit(Pads::all(1));
    shape[2..].copy_from_slice(&[3, 3]);
    network.reshape(&kernel, &shape);
    Some(network.layer(conv.node))
}

pub(crate) fn other_bias(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = &anatomy.blocks[at].convs[0];
    if conv.bias {
        network.node(conv.node).inputs.truncate(2);
    } else {
        network.weight("extra/bias", &[conv.outputs]);
        network.node(conv.node).inputs.push("extra/bias".to_owned());
    }
    Some(network.layer(conv.node))
}

pub(crate) fn move_stride(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let from = block.convs.iter().position(|conv| conv.stride > 1)?;
    let to = usize::from(from == 0);
    for (conv, stride) in [(from, 1), (to, 2)] {
        let Op::Conv(attributes) = &mut network.node(block.convs[conv].node).op else { return None };
        attributes.strides = [stride; 2];
    }
    Some(network.layer(block.convs[to].node))
}

pub(crate) fn keep_size(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    // A pool of a fixed window gives other features then, which is an error of its own.
    let fixed = anatomy.head.pool.is_some_and(|pool| matches!(network.nodes[pool.index()].op, Op::AvgPool(_)));
    if block.stride == 1 || fixed {
        return None;
    }
    for &node in block.main.iter().chain(&block.path.nodes) {
        match &mut network.node(node).op {
            Op::Conv(conv) => {
                conv.strides = [1, 1];
                // What SAME pads with a stride is not what it pads without.
                if let Padding::Explicit(pads) = &mut conv.padding
                    && !pads.is_symmetric()
                {
                    *pads = Pads::all(pads.bottom);
                }
            }
            Op::MaxPool(pool) => pool.strides = [1, 1],
            _ => {}
        }
    }
    let first = &anatomy.blocks[anatomy.stages[block.stage].blocks.start];
    Some(network.layer(first.path.conv.as_ref().map_or(first.add, |conv| conv.node)))
}

pub(crate) fn other_epsilon(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let norm = *anatomy.blocks[at].norms.first()?;
    let Op::BatchNorm(attributes) = &mut network.node(norm).op else { return None };
    attributes.epsilon = 1e-2;
    Some(network.layer(norm))
}

/// All that a 3x3 convolution pads, at the bottom and at the right; where a layer of its own pads, there.
pub(crate) fn other_padding(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.iter().find(|conv| conv.is_wide() && conv.stride == 1)?;
    let shifted = Pads { top: 0, left: 0, bottom: 2, right: 2 };
    let Op::Conv(attributes) = &mut network.node(conv.node).op else { return None };
    if attributes.padding == Padding::default() {
        let feeder = network.producer(&network.nodes[conv.node.index()].inputs[0])?;
        let Op::Pad(pad) = &mut network.nodes[feeder].op else { return None };
        pad.pads = shifted;
    } else {
        attributes.padding = Padding::Explicit(shifted);
    }
    Some(network.layer(conv.node))
}

pub(crate) fn other_pool(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let pool = *block.path.nodes.first().filter(|_| block.shortcut == ShortcutKind::Pool)?;
    let Op::MaxPool(found) = network.node(pool).op else { return None };
    network.node(pool).op = Op::AvgPool(AvgPool {
        kernel: found.kernel,
        strides: found.strides,
        padding: found.padding,
        dilations: found.dilations,
        ceil_mode: found.ceil_mode,
        count_include_pad: false,
    });
    Some(network.layer(pool))
}

pub(crate) fn other_kernel(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.iter().find(|conv| conv.is_wide() && conv.stride == 1)?;
    let kernel = network.nodes[conv.node.index()].inputs[1].clone();
    let mut shape = network.tensor(&kernel)?.shape().to_vec();
    let Op::Conv(attributes) = &mut network.node(conv.node).op else { return None };
    let Padding::Explicit(pads) = &mut attributes.padding else { return None };
    *pads = Pads { top: pads.top + 1, left: pads.left + 1, bottom: pads.bottom + 1, right: pads.right + 1 };
    shape[2..].copy_from_slice(&[5, 5]);
    network.reshape(&kernel, &shape);
    Some(network.layer(conv.node))
}

pub(crate) fn other_groups(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.iter().find(|conv| conv.is_wide())?;
    let kernel = network.nodes[conv.node.index()].inputs[1].clone();
    let mut shape = network.tensor(&kernel)?.shape().to_vec();
    let Op::Conv(attributes) = &mut network.node(conv.node).op else { return None };
    attributes.groups *= 2;
    shape[1] /= 2;
    network.reshape(&kernel, &shape);
    Some(network.layer(conv.node))
}

/// The attribute alone: the kernel does not fit it any more.
pub(crate) fn wrong_groups(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.iter().find(|conv| conv.is_wide())?;
    let Op::Conv(attributes) = &mut network.node(conv.node).op else { return None };
    attributes.groups *= 2;
    Some(network.layer(conv.node))
}

pub(crate) fn wrong_channels(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.last()?;
    let kernel = network.nodes[conv.node.index()].inputs[1].clone();
    let mut shape = network.tensor(&kernel)?.shape().to_vec();
    shape[1] += 1;
    network.reshape(&kernel, &shape);
    Some(network.layer(conv.node))
}

/// A projection that gives one channel, which the sum repeats.
pub(crate) fn broadcast(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let block = &anatomy.blocks[at];
    let conv = block.path.conv.as_ref()?.node;
    for node in [conv].into_iter().chain(block.path.norm) {
        let operands = network.nodes[node.index()].inputs[1..].to_vec();
        for operand in &operands {
            let mut shape = network.tensor(operand)?.shape().to_vec();
            shape[0] = 1;
            network.reshape(operand, &shape);
        }
    }
    Some(network.layer(block.add))
}

pub(crate) fn dangling(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let sum = network.name(anatomy.blocks[at].sum);
    network.insert("nowhere", Op::Activation(Activation::Tanh), &[&sum]);
    Some("nowhere".to_owned())
}
