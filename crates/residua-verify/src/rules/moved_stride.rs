//! Strides on another convolution than in the other blocks.

use residua_ir::Finding;
use residua_resnet::anatomy::{Block, BlockKind};

use crate::Subject;
use crate::majority::usual;

residua_ir::code! {
    /// In one block the stride is on another convolution than in the others that have one.
    ///
    /// ## Why it matters
    ///
    /// v1 and v1.5 differ in nothing else: with the stride on the first 1x1, three quarters of the input are never
    /// seen; on the 3x3 they are. The shapes fit either way. In a network whose other blocks are of a known form it is
    /// an error.
    ///
    /// ## Example
    ///
    /// `layer3.0.conv1: the stride of block stages.2.blocks.0 is on conv1; in the other 2 it is on conv2`
    ///
    /// ## How to fix it
    ///
    /// Give the stride to the convolution that has it in the other blocks.
    pub(super) static CODE = Topology Warning R211 "moved-stride";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let strided: Vec<(&Block, &str)> = subject
        .anatomy
        .blocks
        .iter()
        // Blocks of another kind have it elsewhere.
        .filter(|block| block.stride > 1 && !block.unseen.main && block.convs.len() == dominant.kernels.len())
        .filter_map(|block| Some((block, block.stride_on.as_deref()?)))
        // A block that halves in another way altogether is another kind of block.
        .filter(|(_, on)| on.starts_with("conv"))
        .collect();
    // Of two blocks neither is the exception; basic blocks have the stride on their first convolution.
    let basic = subject.anatomy.block_kind() == Some(BlockKind::Basic) && dominant.known;
    let most = match usual(strided.iter().map(|(_, on)| *on)) {
        Some(most) if most.total >= 3 && most.total - most.count == 1 => most,
        Some(most) if most.total == 2 && most.count == 1 && basic && strided.iter().any(|(_, on)| *on == "conv1") => {
            crate::majority::Usual { value: "conv1", ..most }
        }
        Some(_) | None => return,
    };
    for (block, on) in strided.iter().filter(|(_, on)| *on != most.value) {
        let message = format!(
            "the stride of block {} is on {on}; in the other {} it is on {}",
            block.name, most.count, most.value
        );
        let carrier = block.convs.iter().find(|conv| conv.stride > 1).map_or(block.add, |conv| conv.node);
        let help = "give the stride to the convolution that has it in the other blocks";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(carrier)).leveled(dominant.level()));
    }
}
