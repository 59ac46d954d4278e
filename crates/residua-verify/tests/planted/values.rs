//! Faults in the values of weights. Each is planted in one block, and names the layer that has to be named.

use residua_ir::{NodeId, Op};
use residua_resnet::Anatomy;

use crate::network::Network;

/// The name of an operand of a node.
fn operand(network: &Network, node: NodeId, at: usize) -> Option<String> {
    network.nodes[node.index()].inputs.get(at).cloned()
}

/// Changes one operand of the first convolution of a block.
fn kernel(network: &mut Network, anatomy: &Anatomy, at: usize, change: impl FnOnce(&mut Vec<f32>)) -> Option<String> {
    let node = anatomy.blocks[at].convs[0].node;
    let name = operand(network, node, 1)?;
    network.fill(&name, change)?;
    Some(network.layer(node))
}

/// Changes one operand of the first batch norm of a block: 1 is the scale, 2 the offset, 3 the mean, 4 the variance.
fn norm(
    network: &mut Network,
    anatomy: &Anatomy,
    at: usize,
    which: usize,
    change: impl FnOnce(&mut Vec<f32>),
) -> Option<String> {
    let node = *anatomy.blocks[at].norms.first()?;
    if !matches!(network.nodes[node.index()].op, Op::BatchNorm(_)) {
        return None;
    }
    let name = operand(network, node, which)?;
    network.fill(&name, change)?;
    Some(network.layer(node))
}

pub(crate) fn nan(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    kernel(network, anatomy, at, |values| values[3] = f32::NAN)
}

pub(crate) fn infinite(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    kernel(network, anatomy, at, |values| *values.last_mut().expect("values") = f32::NEG_INFINITY)
}

pub(crate) fn zero_kernel(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    kernel(network, anatomy, at, |values| values.fill(0.0))
}

/// In a wide convolution: rows of few values repeat by chance.
pub(crate) fn repeated_filters(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let conv = anatomy.blocks[at].convs.iter().find(|conv| conv.is_wide())?;
    let name = operand(network, conv.node, 1)?;
    network.fill(&name, |values| {
        let row = values.len() / conv.outputs;
        let (first, second) = values.split_at_mut(row);
        second[..row].copy_from_slice(first);
    })?;
    Some(network.layer(conv.node))
}

pub(crate) fn dead_filters(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    kernel(network, anatomy, at, |values| {
        let half = values.len() / 2;
        values[..half].fill(0.0);
    })
}

/// The kernel of the block before, where it has the same shape.
pub(crate) fn copied_kernel(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    let before = anatomy.blocks.get(at.checked_sub(1)?)?;
    let (from, to) = (before.convs.last()?.node, anatomy.blocks[at].convs.last()?.node);
    let (from, name) = (operand(network, from, 1)?, operand(network, to, 1)?);
    let tensor = network.tensor(&from)?;
    if network.tensor(&name)?.shape() != tensor.shape() {
        return None;
    }
    // Both are laid out alike, as in any file.
    network.fill(&from, |_| ())?;
    network.fill(&name, |values| *values = tensor.to_f64().unwrap().iter().map(|&value| value as f32).collect())?;
    Some(network.layer(to))
}

pub(crate) fn negative_variance(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 4, |values| values[0] = -0.25)
}

pub(crate) fn no_variance(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 4, |values| values.fill(0.0))
}

pub(crate) fn tiny_variance(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 4, |values| values[0] = 1e-30)
}

pub(crate) fn untouched(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 3, |values| values.fill(0.0))?;
    norm(network, anatomy, at, 4, |values| values.fill(1.0))
}

pub(crate) fn dead_channels(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 1, |values| values[..2].fill(0.0))?;
    norm(network, anatomy, at, 2, |values| values[..2].fill(0.0))
}

pub(crate) fn dead_path(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 1, |values| values.fill(0.0))
}

pub(crate) fn beyond_half(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    norm(network, anatomy, at, 4, |values| values[0] = 1e5)
}

pub(crate) fn below_half(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    kernel(network, anatomy, at, |values| values.iter_mut().for_each(|value| *value *= 1e-9))
}

/// The first norm of a block without epsilon, one of its variances like this.
fn without_epsilon(network: &mut Network, anatomy: &Anatomy, at: usize, variance: f32) -> Option<String> {
    let layer = norm(network, anatomy, at, 4, |values| values[0] = variance)?;
    let Op::BatchNorm(attributes) = &mut network.node(*anatomy.blocks[at].norms.first()?).op else { return None };
    attributes.epsilon = 0.0;
    Some(layer)
}

pub(crate) fn divided_by_zero(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    without_epsilon(network, anatomy, at, 0.0)
}

pub(crate) fn divided_by_zero_in_half(network: &mut Network, anatomy: &Anatomy, at: usize) -> Option<String> {
    without_epsilon(network, anatomy, at, 1e-9)
}
