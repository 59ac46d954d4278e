//! Convolutions between blocks that no shortcut bridges.

use residua_ir::{Finding, Level};

use crate::Subject;
use crate::wiring::Kind;

residua_ir::code! {
    /// There are convolutions that are what a residual block has, and no shortcut bridges them; or an addition adds the
    /// main path to itself, or was replaced by another operator.
    ///
    /// ## Why it matters
    ///
    /// A block whose addition was lost looks like this: the network still runs, and no longer is what was trained. In a
    /// network whose other blocks are of a known form it is an error.
    ///
    /// Some architectures do have other convolutions between blocks (transitions), or a shortcut only where channels
    /// and size stay; those are not reported.
    ///
    /// ## Example
    ///
    /// `3 convolutions behind block stages.2.blocks.1 have no shortcut around them; the blocks have 3 of the same
    /// kernels`
    ///
    /// ## How to fix it
    ///
    /// Check whether the addition of a block was lost when the model was built or exported.
    pub(super) static CODE = Topology Warning R202 "missing-shortcut";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let help = "check whether the addition of a block was lost";
    for lost in &dominant.lost {
        let (Some(first), Some(last)) = (lost.convs.first(), lost.convs.last()) else { continue };
        let behind = match lost.behind.and_then(|block| subject.anatomy.blocks.get(block)) {
            Some(block) => format!("block {}", block.name),
            None => "the stem".to_owned(),
        };
        let message = format!(
            "{} convolutions behind {behind}, up to `{}`, have no shortcut around them; they are what the blocks consist of",
            lost.convs.len(),
            subject.layer(last.node),
        );
        // The second convolution of a stem without a pool and a first block without its sum look alike; networks of a
        // form of their own leave shortcuts out on purpose.
        let certain = lost.behind.is_some() || subject.anatomy.stem.pool.is_some();
        let level = match (dominant.known, certain) {
            (true, true) => Level::Error,
            (true, false) => CODE.level,
            (false, _) => Level::Note,
        };
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(first.node)).leveled(level));
    }
    for wiring in &dominant.wirings {
        let message = match wiring.kind {
            Kind::Twice => "both operands are the main path; the block has no shortcut".to_owned(),
            Kind::NotAdded => {
                let op = subject.model.graph().node(wiring.node).op.name();
                format!("{op} brings the main path and the shortcut together; in the other blocks they are added")
            }
            Kind::Long { .. } | Kind::SkipsSum { .. } => continue,
        };
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(wiring.node)).leveled(dominant.level()));
    }
}
