//! Layers with weights of their own: what of a node and its tensors becomes a field.

use residua_ir::{NodeId, Op, Padding, ParameterId, ValueKind};

use super::order::Order;
use crate::form::{ConvNumbers, Kind, Layer, Number, Pads};

/// A node as a layer, and its tensors under their names in it.
pub(super) struct Found {
    pub(super) layer: Layer,
    pub(super) tensors: Vec<(&'static str, ParameterId)>,
}

/// The node as a layer, where it is one: all operands but the first are tensors of the model.
pub(super) fn of(order: &Order, node: NodeId) -> Option<Found> {
    let node = order.graph.node(node);
    let (&x, weights) = node.inputs.split_first()?;
    if order.is_parameter(x) {
        return None;
    }
    let weights: Vec<ParameterId> = weights
        .iter()
        .map(|&value| match order.graph.value(order.base(value)).kind {
            ValueKind::Parameter(id) => Some(id),
            ValueKind::Input(_) | ValueKind::Computed { .. } => None,
        })
        .collect::<Option<_>>()?;
    let shape = |at: usize| order.graph.parameter(weights[at]).tensor.shape();
    let named = |names: &[&'static str]| names.iter().copied().zip(weights.iter().copied()).collect();
    let layer = layer(&node.op, weights.len(), shape)?;
    let tensors = match &layer {
        Layer::BatchNorm { .. } => named(&["weight", "bias", "running_mean", "running_var"]),
        Layer::Conv { .. } | Layer::GroupNorm { .. } | Layer::Linear { .. } => named(&["weight", "bias"]),
    };
    Some(Found { layer, tensors })
}

/// The layer that an operator with these weights is; all others are statements.
fn layer<'t>(op: &Op, weights: usize, shape: impl Fn(usize) -> &'t [usize]) -> Option<Layer> {
    let fixed = Number::Fixed;
    Some(match (op, weights) {
        (Op::Conv(conv), 1 | 2) => {
            let &[outputs, inputs, height, width] = shape(0) else { return None };
            Layer::Conv {
                bias: weights == 2,
                conv: ConvNumbers {
                    inputs: fixed(inputs.checked_mul(conv.groups)?),
                    outputs: fixed(outputs),
                    kernel: [fixed(height), fixed(width)],
                    strides: conv.strides.map(fixed),
                    pads: match conv.padding {
                        Padding::Explicit(pads) => {
                            Pads::Explicit([pads.top, pads.left, pads.bottom, pads.right].map(fixed))
                        }
                        Padding::SameUpper => Pads::SameUpper,
                        Padding::SameLower => Pads::SameLower,
                    },
                    dilations: conv.dilations.map(fixed),
                    groups: fixed(conv.groups),
                },
            }
        }
        (Op::BatchNorm(norm), 4) => Layer::BatchNorm { channels: fixed(*shape(0).first()?), epsilon: norm.epsilon },
        (Op::GroupNorm(norm), 2) => {
            Layer::GroupNorm { channels: fixed(*shape(0).first()?), groups: fixed(norm.groups), epsilon: norm.epsilon }
        }
        (Op::Linear, 1 | 2) => {
            let &[outputs, inputs] = shape(0) else { return None };
            Layer::Linear { inputs: fixed(inputs), outputs: fixed(outputs), bias: weights == 2 }
        }
        _ => return None,
    })
}

/// The numbers of a layer, in a fixed order, to be read or set.
pub(crate) fn numbers(layer: &mut Layer) -> Vec<(Kind, &mut Number)> {
    match layer {
        Layer::Conv { conv, .. } => {
            let ConvNumbers { inputs, outputs, kernel, strides, pads, dilations, groups } = conv;
            let mut found = vec![(Kind::Inputs, inputs), (Kind::Outputs, outputs)];
            found.extend(kernel.iter_mut().map(|number| (Kind::Kernel, number)));
            found.extend(strides.iter_mut().map(|number| (Kind::Stride, number)));
            if let Pads::Explicit(pads) = pads {
                found.extend(pads.iter_mut().map(|number| (Kind::Padding, number)));
            }
            found.extend(dilations.iter_mut().map(|number| (Kind::Dilation, number)));
            found.push((Kind::Groups, groups));
            found
        }
        Layer::BatchNorm { channels, .. } => vec![(Kind::Size, channels)],
        Layer::GroupNorm { channels, groups, .. } => vec![(Kind::Size, channels), (Kind::Groups, groups)],
        Layer::Linear { inputs, outputs, .. } => vec![(Kind::Inputs, inputs), (Kind::Outputs, outputs)],
    }
}

/// What of its numbers decides how it is written: which of them are the same.
pub(super) fn evenness(layer: &Layer) -> [bool; 4] {
    let Layer::Conv { conv, .. } = layer else { return [true; 4] };
    let even = |pair: &[Number; 2]| pair[0] == pair[1];
    let pads = match &conv.pads {
        Pads::Explicit(pads) => pads.iter().all(|pad| *pad == pads[0]),
        Pads::SameUpper | Pads::SameLower => false,
    };
    [even(&conv.kernel), even(&conv.strides), pads, even(&conv.dilations)]
}
