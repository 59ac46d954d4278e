//! Projections where nothing changes.

use residua_ir::Finding;
use residua_resnet::anatomy::{Block, ShortcutKind};

use crate::Subject;
use crate::majority::few;

residua_ir::code! {
    /// One block has a projection on its shortcut although it changes neither channels nor size, and the blocks like it
    /// have the identity.
    ///
    /// ## Why it matters
    ///
    /// The identity is what lets gradients pass; a projection in its place has weights that were trained to be there,
    /// or were not trained at all.
    ///
    /// ## Example
    ///
    /// `layer3.2.downsample.0: the block keeps channels and size; the other 11 blocks that do have the identity`
    ///
    /// ## How to fix it
    ///
    /// Compare this block with its siblings in the code that built the model.
    pub(super) static CODE = Topology Warning R208 "needless-projection";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let keeping: Vec<&Block> = subject.anatomy.blocks.iter().filter(|block| keeps(block)).collect();
    let (projecting, others): (Vec<&Block>, Vec<&Block>) =
        keeping.iter().partition(|block| block.shortcut == ShortcutKind::Projection);
    if !few(projecting.len(), keeping.len()) {
        return;
    }
    for block in projecting {
        let message = format!(
            "block {} keeps channels and size; the other {} that do have the identity",
            block.name,
            others.len()
        );
        let node = block.path.conv.as_ref().map_or(block.add, |conv| conv.node);
        let help = "compare this block with its siblings in the code that built the model";
        let level = dominant.at_most_warning();
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(level));
    }
}

/// Whether a block has nothing to project. The first one of a stage has a projection in many networks whatever it changes.
pub(super) fn keeps(block: &Block) -> bool {
    let seen = !block.unseen.main && !block.unseen.shortcut;
    seen && block.index > 0 && block.stride == 1 && block.inputs == block.outputs
}
