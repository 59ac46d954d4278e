//! Shortcuts that start within their block, or beside what it is given.

use residua_ir::{Finding, NodeId};
use residua_resnet::anatomy::{ActivationOrder, Block, ConvNormAct, ShortcutKind};

use crate::Subject;
use crate::dominant::{DominantPattern, PathLayer, kernels, path_layers};
use crate::majority::{few, usual};

residua_ir::code! {
    /// A shortcut does not start from what its block is given: it starts within the block, behind its first
    /// convolution; or before the activation that the main path starts behind; or a projection reads the raw value
    /// where the others read the normalised and activated one.
    ///
    /// ## Why it matters
    ///
    /// The shapes fit and the network runs, but the block adds something else than its input. In a network whose other
    /// blocks are of a known form it is an error.
    ///
    /// ## Example
    ///
    /// `layer1.1.add: the shortcut starts within the block, behind layer1.1.relu1; the block begins with
    /// layer1.1.conv1`
    ///
    /// ## How to fix it
    ///
    /// Start the shortcut from what the main path starts from.
    pub(super) static CODE = Topology Warning R205 "foreign-shortcut";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let help = "start the shortcut from what the main path starts from";
    let found: Vec<(&Block, String)> = of_blocks(subject, dominant).collect();
    if few(found.len(), subject.anatomy.blocks.len()) {
        findings.extend(found.into_iter().map(|(block, message)| {
            Finding::new(&CODE, message, help).at(subject.layer(block.add)).leveled(dominant.level())
        }));
    }
    if let Some((node, message)) = reads_otherwise(subject, dominant) {
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(dominant.level()));
    }
}

/// Blocks whose shortcut starts beside what they are given, and how.
pub(super) fn of_blocks<'s>(
    subject: &'s Subject,
    dominant: &'s DominantPattern,
) -> impl Iterator<Item = (&'s Block, String)> {
    subject.anatomy.blocks.iter().filter_map(|block| {
        let message = within(subject, dominant, block).or_else(|| before_activation(subject, dominant, block))?;
        Some((block, message))
    })
}

/// The block has the last convolutions of the dominant pattern only, and the first ones lie before it.
fn within(subject: &Subject, dominant: &DominantPattern, block: &Block) -> Option<String> {
    let anatomy = subject.anatomy;
    if block.unseen.main || block.unseen.before {
        return None;
    }
    let found = kernels(block);
    let missing = dominant.kernels.len().checked_sub(found.len()).filter(|&missing| missing > 0)?;
    let at = anatomy.blocks.iter().position(|other| other.add == block.add)?;
    let units: &[ConvNormAct] = match at.checked_sub(1) {
        Some(behind) => {
            let loose = anatomy.loose.iter().find(|loose| loose.behind == behind)?;
            if loose.unseen {
                return None;
            }
            &loose.convs
        }
        None if anatomy.stem.unseen => return None,
        None => {
            let stem = &anatomy.stem.convs;
            &stem[stem.len().saturating_sub(missing)..]
        }
    };
    let before: Vec<[usize; 2]> = units.iter().map(|conv| conv.kernel).collect();
    let is_rest = before == dominant.kernels[..missing] && found == dominant.kernels[missing..];
    // A network of no known form may well have other blocks with fewer convolutions, behind others without a sum.
    let is_rest = is_rest && (dominant.known || is_like_another(subject, units, block));
    let fork = subject.origin(block.fork);
    is_rest
        .then(|| format!("the shortcut starts within the block, from `{fork}`, and not from what the block is given"))
}

/// Whether these convolutions and those of a block are together what another block has.
fn is_like_another(subject: &Subject, before: &[ConvNormAct], block: &Block) -> bool {
    let shape = |conv: &ConvNormAct| (conv.kernel, conv.outputs, conv.groups);
    let all: Vec<_> = before.iter().chain(&block.convs).map(shape).collect();
    subject.anatomy.blocks.iter().any(|other| other.convs.iter().map(shape).eq(all.iter().copied()))
}

/// The main path starts behind an activation, the shortcut before it.
pub(super) fn before_activation(subject: &Subject, dominant: &DominantPattern, block: &Block) -> Option<String> {
    let (path_layers, nodes) = path_layers(block);
    let usual_first = dominant.path_layers.first()?;
    match (dominant.order, usual_first, &path_layers[..]) {
        _ if block.unseen.shortcut => None,
        (ActivationOrder::Post, PathLayer::Conv, [PathLayer::Activation(_), rest @ ..])
            if rest == &dominant.path_layers[..] =>
        {
            Some(format!("the main path starts behind `{}`, the shortcut before it", subject.layer(*nodes.first()?)))
        }
        _ => None,
    }
}

/// Of the projections of pre-activated blocks, the only one that reads something else than the others.
fn reads_otherwise(subject: &Subject, dominant: &DominantPattern) -> Option<(NodeId, String)> {
    // A projection that need not be there has a finding of its own, and so has what was lost before a block.
    let projects = |block: &&Block| {
        dominant.order == ActivationOrder::Pre
            && block.shortcut == ShortcutKind::Projection
            && (block.stage, block.index) != (0, 0)
            && !block.unseen.any()
            && !super::needless_projection::keeps(block)
            && !dominant.is_behind_lost(subject.anatomy, block)
    };
    let blocks: Vec<&Block> = subject.anatomy.blocks.iter().filter(projects).collect();
    let most = usual(blocks.iter().map(|block| block.path.reads))?;
    if most.total < 3 || most.total - most.count != 1 {
        return None;
    }
    let odd = blocks.into_iter().find(|block| block.path.reads != most.value)?;
    let text = |reads| format!("{reads:?}").to_lowercase();
    let message = format!(
        "in block {} the projection reads the {} value; the other {} read the {} one",
        odd.name,
        text(odd.path.reads),
        most.count,
        text(most.value)
    );
    Some((odd.path.conv.as_ref().map_or(odd.add, |conv| conv.node), message))
}
