//! Norms and activations that are not where the other blocks have them.

use residua_ir::{Finding, Level, NodeId};
use residua_resnet::anatomy::Block;

use crate::Subject;
use crate::dominant::{DominantPattern, PathLayer, kernels, path_layers};
use crate::majority::few;

residua_ir::code! {
    /// In one block a normalisation or an activation is missing, one too many, or in another place than in the others:
    /// no ReLU behind the sum of a v1 block, one behind the sum of a v2 block, none between two convolutions.
    ///
    /// ## Why it matters
    ///
    /// The shapes fit and the network runs, and it computes something else. In a network whose other blocks are of a
    /// known form it is an error; only the last block of a network may end without its activation, as embedding
    /// networks have it.
    ///
    /// ## Example
    ///
    /// `layer2.1.add: no activation behind the sum of block stages.1.blocks.1; behind the other 7 there is Relu`
    ///
    /// ## How to fix it
    ///
    /// Put the layer back, or compare the block with its siblings in the code that built the model.
    pub(super) static CODE = Topology Warning R209 "activation-order";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    main_paths(subject, dominant, findings);
    projections(subject, dominant, findings);
    sums(subject, dominant, findings);
}

fn finding(subject: &Subject, node: NodeId, message: String, level: Level) -> Finding {
    let help = "compare the block with its siblings in the code that built the model";
    Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(level)
}

fn main_paths(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    let blocks: Vec<&Block> =
        subject.anatomy.blocks.iter().filter(|block| kernels(block).len() == dominant.kernels.len()).collect();
    let odd: Vec<(&Block, usize)> = blocks
        .iter()
        .filter_map(|block| Some((*block, dominant.first_exception(&path_layers(block).0, block)?)))
        .collect();
    if !few(odd.len(), blocks.len()) || (!dominant.known && odd.len() > 1) {
        return;
    }
    let explained: Vec<NodeId> = super::foreign_shortcut::of_blocks(subject, dominant)
        .map(|(block, _)| block.add)
        .chain(super::unclean_shortcut::activated(subject, dominant).map(|(block, _)| block.add))
        .chain(
            subject.anatomy.blocks.iter().filter(|block| follows_from_another(subject, dominant, block)).map(|b| b.add),
        )
        .collect();
    for (block, at) in odd.into_iter().filter(|(block, _)| !explained.contains(&block.add)) {
        let (path_layers, nodes) = path_layers(block);
        // Networks of a form of their own have two activations on purpose: cheap ones in front, others behind.
        let other_kind = matches!(
            (dominant.path_layers.get(at), path_layers.get(at)),
            (Some(PathLayer::Activation(_)), Some(PathLayer::Activation(_)))
        );
        if other_kind && !dominant.known {
            continue;
        }
        let (node, what) = exception(dominant, &path_layers, &nodes, at);
        let message = format!("in block {} {what}; the other {} have it otherwise", block.name, blocks.len() - 1);
        findings.push(finding(subject, node.unwrap_or(block.add), message, dominant.level()));
    }
}

/// Whether a block lacks its leading norm because of what has a finding of its own: there its activation is taken for
/// that of what comes before it.
fn follows_from_another(subject: &Subject, dominant: &DominantPattern, block: &Block) -> bool {
    dominant.is_behind_lost(subject.anatomy, block)
        || !super::identity_changes_shape::changes(subject, block).is_empty()
}

/// Where a main path differs from the dominant pattern first, and how.
fn exception(
    dominant: &DominantPattern,
    path_layers: &[PathLayer],
    nodes: &[NodeId],
    at: usize,
) -> (Option<NodeId>, String) {
    let before = at.checked_sub(1).and_then(|at| nodes.get(at)).or(nodes.first()).copied();
    let here = nodes.get(at).copied();
    let side = if at == 0 { "before" } else { "behind" };
    match (dominant.path_layers.get(at), path_layers.get(at)) {
        (Some(PathLayer::Activation(usual)), Some(PathLayer::Activation(found))) => {
            (here, format!("the activation is {found} and not {usual}"))
        }
        (Some(PathLayer::Activation(usual)), _) => {
            (before, format!("there is no activation ({usual}) {side} this layer"))
        }
        (Some(PathLayer::Norm), _) => (before, format!("there is no normalisation {side} this layer")),
        (Some(PathLayer::Conv) | None, Some(PathLayer::Activation(found))) => {
            (here, format!("there is one activation ({found}) more"))
        }
        (Some(PathLayer::Conv) | None, Some(PathLayer::Norm)) => (here, "there is one normalisation more".to_owned()),
        (Some(PathLayer::Conv | PathLayer::Unknown) | None, _) => {
            (here.or(before), "there is another layer".to_owned())
        }
    }
}

/// The only projection without the normalisation that the others have.
fn projections(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    let blocks = &subject.anatomy.blocks;
    let seen = blocks.iter().filter(|block| !block.unseen.shortcut);
    let of_projections = seen.filter_map(|block| Some((block, block.path.conv.as_ref()?)));
    let (normed, bare): (Vec<_>, Vec<_>) = of_projections.partition(|(block, _)| block.path.normed);
    let [(block, conv)] = bare[..] else { return };
    if normed.len() >= 2 && !super::needless_projection::keeps(block) {
        let message = format!(
            "there is no normalisation behind the projection of block {}; behind the other {} there is",
            block.name,
            normed.len()
        );
        findings.push(finding(subject, conv.node, message, dominant.level()));
    }
}

fn sums(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    let blocks = &subject.anatomy.blocks;
    // A sum that only the shortcut of the next block takes as it is has an activation behind it all the same.
    let taken = |block: &Block| {
        let mut behind = blocks.iter().filter(|other| other.fork == block.sum);
        behind.any(|other| super::foreign_shortcut::before_activation(subject, dominant, other).is_some())
    };
    let seen = blocks.iter().enumerate().filter(|(_, block)| !block.unseen.behind);
    let odd: Vec<(usize, &Block)> =
        seen.filter(|(_, block)| block.after_add != dominant.after && !taken(block)).collect();
    if !few(odd.len(), blocks.len()) || (!dominant.known && odd.len() > 1) {
        return;
    }
    let others = blocks.len() - odd.len();
    for (at, block) in odd {
        let is_last = at + 1 == blocks.len();
        // Networks that end in a sum are common: features are taken from there.
        if is_last && !dominant.known {
            continue;
        }
        let text = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        let message = format!(
            "the activation behind the sum of block {} is {}; behind the other {others} it is {}",
            block.name,
            text(&block.after_add),
            text(&dominant.after)
        );
        let level = if is_last { Level::Warning } else { dominant.level() };
        findings.push(finding(subject, block.add, message, level));
    }
}
