//! Shortcuts that do more than those of the other blocks.

use residua_ir::{Finding, NodeId, Op};
use residua_resnet::anatomy::{ActivationOrder, Block, ShortcutKind, Step};

use crate::Subject;
use crate::dominant::{DominantPattern, PathLayer, path_layers};
use crate::majority::{few, usual};

residua_ir::code! {
    /// On the shortcut of one block there is an activation or a normalisation, and the shortcuts of the others have
    /// none there; or the identity of a pre-activated (v2) block starts behind the activation instead of before it.
    ///
    /// ## Why it matters
    ///
    /// What makes residual networks deep is that the identity passes everything on. A ReLU on it cuts off what is
    /// negative, in all blocks that follow. In a network whose other blocks are of a known form it is an error.
    ///
    /// ## Example
    ///
    /// `conv3_block2_preact_relu: the shortcut of block stages.1.blocks.1 starts behind this activation; in the other
    /// 15 the identity is clean`
    ///
    /// ## How to fix it
    ///
    /// Let the shortcut start from the sum of the block before, with nothing on it.
    pub(super) static CODE = Topology Warning R210 "unclean-shortcut";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let help = "let the shortcut start from what the block is given, with nothing more on it than the others have";
    let mut report = |node: NodeId, message: String| {
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(dominant.level()));
    };
    let identities = subject.anatomy.blocks.iter().filter(|block| block.shortcut == ShortcutKind::Identity).count();
    let activated: Vec<(&Block, NodeId)> = activated(subject, dominant).collect();
    if few(activated.len(), identities) {
        for (block, node) in activated {
            let message = format!(
                "the shortcut of block {} starts behind this activation; in the blocks like it, before it",
                block.name
            );
            report(node, message);
        }
    }
    for kind in [ShortcutKind::Identity, ShortcutKind::Projection, ShortcutKind::Pool, ShortcutKind::Pad] {
        let of_kind = subject.anatomy.blocks.iter().filter(|block| block.shortcut == kind && !block.unseen.shortcut);
        let blocks: Vec<&Block> = of_kind.collect();
        let Some(most) = usual(blocks.iter().map(|block| steps(block))) else { continue };
        if most.total < 3 || !(few(most.total - most.count, most.total) || most.total - most.count == 1) {
            continue;
        }
        for block in blocks.iter().filter(|block| steps(block).len() > most.value.len()) {
            let extra = block.path.nodes.iter().zip(&block.path.steps).filter(|(_, step)| counts(step));
            let (found, nodes): (Vec<Step>, Vec<NodeId>) = extra.map(|(node, step)| (*step, *node)).unzip();
            let at = (0..found.len()).find(|&at| most.value.get(at) != Some(&found[at])).unwrap_or(0);
            let node = nodes.get(at).copied().unwrap_or(block.add);
            let message = format!(
                "{} on the shortcut of block {}; the other {} like it have none there",
                subject.model.graph().node(node).op.name(),
                block.name,
                most.count
            );
            report(node, message);
        }
    }
}

fn counts(step: &Step) -> bool {
    matches!(step, Step::Norm | Step::Activation)
}

/// Norms and activations on a shortcut.
fn steps(block: &Block) -> Vec<Step> {
    block.path.steps.iter().copied().filter(counts).collect()
}

/// Pre-activated blocks whose identity starts behind their activation, with that activation.
pub(super) fn activated<'s>(
    subject: &'s Subject,
    dominant: &'s DominantPattern,
) -> impl Iterator<Item = (&'s Block, NodeId)> {
    let graph = subject.model.graph();
    let leads = dominant.order == ActivationOrder::Pre && dominant.path_layers.first() != Some(&PathLayer::Conv);
    subject.anatomy.blocks.iter().filter_map(move |block| {
        let identity = leads && block.shortcut == ShortcutKind::Identity && (block.stage, block.index) != (0, 0);
        // Where a projection belongs, that is what has to be said.
        let identity = identity && super::identity_changes_shape::changes(subject, block).is_empty();
        let mut fork = block.fork;
        while let Some(node) = graph.producer(fork)
            && matches!(graph.node(node).op, Op::Identity(_) | Op::Cast { .. })
        {
            fork = *graph.node(node).inputs.first()?;
        }
        let node = graph.producer(fork)?;
        let is_activation = matches!(graph.node(node).op, Op::Activation(_) | Op::PRelu);
        let bare = path_layers(block).0.first() == Some(&PathLayer::Conv);
        (identity && is_activation && bare).then_some((block, node))
    })
}
