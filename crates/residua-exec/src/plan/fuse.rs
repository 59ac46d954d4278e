//! Which nodes become one step.
//!
//! The reference runs every node on its own. The fast engine lets a convolution, a linear layer or a batch norm take
//! in what follows it, as long as nothing else reads the value between and nobody asked for it.

use std::collections::BTreeMap;

use residua_ir::{Activation, Elementwise, NodeId, Op, ValueId};

use super::Scene;
use super::integer_chains::Chain;
use crate::element::Element;
use crate::options::Precision;

/// Nodes that become one step.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// What is computed first.
    pub(super) head: NodeId,
    /// The batch norm that is folded into its weights.
    pub(super) norm: Option<NodeId>,
    /// Added to the result.
    pub(super) residual: Option<ValueId>,
    /// Applied last.
    pub(super) activation: Option<Activation>,
    /// What the step gives.
    pub(super) output: ValueId,
    /// The chain of integers that the first node ends; nothing else is in such a group.
    pub(super) chain: Option<Chain>,
}

/// The steps of a graph, in an order in which they can run. Nodes that reach nothing asked for are left out, and those
/// whose results are known.
pub(super) fn groups<T: Element>(
    scene: &Scene<'_, T>,
    chains: Vec<Option<Chain>>,
    needed: &[bool],
    precision: Precision,
) -> Vec<Group> {
    let graph = scene.model.graph();
    let mut taken = vec![false; graph.nodes().len()];
    // Values that exist once the steps so far have run.
    let mut ready: Vec<bool> = graph.value_ids().map(|id| graph.producer(id).is_none() || scene.is_known(id)).collect();
    let mut groups: Vec<Option<Group>> = Vec::new();
    let mut open = BTreeMap::new();
    for (node, chain) in graph.node_ids().zip(chains) {
        let output = graph.node(node).output();
        if taken[node.index()] || !needed[node.index()] || scene.is_known(output) {
            continue;
        }
        let mut next = Some(Group { head: node, norm: None, residual: None, activation: None, output, chain });
        while let Some(mut group) = next.take() {
            if precision == Precision::F32 && group.chain.is_none() {
                let fuse = Fuse { scene, ready: &ready, open: &open };
                for node in fuse.grow(&mut group) {
                    taken[node.index()] = true;
                }
                let first = fuse.first_of_sum(&group);
                if fuse.is_open(&group) {
                    open.insert(group.output, groups.len());
                }
                // Nothing else reads what the first operand's group gives, so it may as well run after this one.
                next = first.and_then(|value| open.remove(&value)).and_then(|index| groups[index].take());
            }
            ready[group.output.index()] = true;
            groups.push(Some(group));
        }
    }
    groups.into_iter().flatten().collect()
}

struct Fuse<'a, T> {
    scene: &'a Scene<'a, T>,
    ready: &'a [bool],
    /// Groups that may take in a sum, by the value that they give.
    open: &'a BTreeMap<ValueId, usize>,
}

impl<T: Element> Fuse<'_, T> {
    /// Takes nodes into the group as long as that is right, and gives those that were taken.
    fn grow(&self, group: &mut Group) -> Vec<NodeId> {
        let mut taken = Vec::new();
        let head = self.scene.model.graph().node(group.head);
        let weighted = self.is_weighted(group);
        let known_weights = || head.inputs[1..].iter().all(|&id| self.scene.is_known(id));
        if !(weighted || matches!(head.op, Op::BatchNorm(_))) || !known_weights() {
            return taken;
        }
        while let Some(node) = self.follower(group.output) {
            let op = &self.scene.model.graph().node(node).op;
            let accepted = if let Op::Activation(activation) = op {
                self.activation(group, *activation)
            } else if let Op::BatchNorm(_) = op {
                weighted && self.norm(group, node)
            } else if let Op::Elementwise(Elementwise::Add) = op {
                weighted && self.add(group, node)
            } else {
                matches!(op, Op::Identity(_))
            };
            if !accepted {
                break;
            }
            group.output = self.scene.model.graph().node(node).output();
            taken.push(node);
        }
        taken
    }

    fn is_weighted(&self, group: &Group) -> bool {
        matches!(self.scene.model.graph().node(group.head).op, Op::Conv(_) | Op::Linear)
    }

    fn is_open(&self, group: &Group) -> bool {
        let alone = self.follower(group.output).is_some();
        self.is_weighted(group) && alone && group.residual.is_none() && group.activation.is_none()
    }

    /// The first operand of a sum of which this group gives the second, where the group that gives it is to take the sum
    /// in: of two, ONNX Runtime lets the first one (`nchwc_transformer.cc`), and sums are rounded as they are ordered.
    fn first_of_sum(&self, group: &Group) -> Option<ValueId> {
        let node = self.scene.model.graph().node(self.follower(group.output)?);
        match (&node.op, &node.inputs[..]) {
            (Op::Elementwise(Elementwise::Add), &[first, second]) if second == group.output => {
                self.open.contains_key(&first).then_some(first)
            }
            _ => None,
        }
    }

    /// The one node that reads a value nobody asked for.
    fn follower(&self, value: ValueId) -> Option<NodeId> {
        match self.scene.consumers[value.index()][..] {
            [only] if !self.scene.pinned[value.index()] => Some(only),
            _ => None,
        }
    }

    fn activation(&self, group: &mut Group, activation: Activation) -> bool {
        let fits = group.activation.is_none();
        if fits {
            group.activation = Some(activation);
        }
        fits
    }

    fn norm(&self, group: &mut Group, node: NodeId) -> bool {
        let inputs = &self.scene.model.graph().node(node).inputs;
        let fits = group.norm.is_none()
            && group.residual.is_none()
            && group.activation.is_none()
            && inputs[0] == group.output
            && inputs[1..].iter().all(|&id| self.scene.is_known(id))
            && self.filters_are_channels(group);
        if fits {
            group.norm = Some(node);
        }
        fits
    }

    /// A linear layer's features are the channels of a batch norm only where no axis lies between.
    fn filters_are_channels(&self, group: &Group) -> bool {
        !matches!(self.scene.model.graph().node(group.head).op, Op::Linear)
            || self.scene.model.shape_of(group.output).is_some_and(|shape| shape.rank() == 2)
    }

    fn add(&self, group: &mut Group, node: NodeId) -> bool {
        let [a, b] = self.scene.model.graph().node(node).inputs[..] else { return false };
        let other = if a == group.output { b } else { a };
        let dims = |id| self.scene.model.shape_of(id).map(|shape| shape.dims());
        let same_shape = dims(group.output)
            .zip(dims(other))
            .is_some_and(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_equal(b)));
        let fits = group.residual.is_none()
            && group.activation.is_none()
            && other != group.output
            && self.first_of_sum(group).is_none()
            && self.ready[other.index()]
            && same_shape;
        if fits {
            group.residual = Some(other);
        }
        fits
    }
}
