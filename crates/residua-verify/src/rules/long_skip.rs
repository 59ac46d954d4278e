//! Sums that join values from far apart.

use residua_ir::Finding;

use crate::Subject;
use crate::wiring::Kind;

residua_ir::code! {
    /// An addition joins the main path of a block with a value from several blocks before, and not with what the block
    /// was given.
    ///
    /// ## Why it matters
    ///
    /// Where all other shortcuts span one block, this one is wired to the wrong layer. In a network whose other blocks
    /// are of a known form it is an error. Sums that join what is no block, as decoders and feature pyramids have them,
    /// are not reported.
    ///
    /// ## Example
    ///
    /// `layer3.4.add: the shortcut comes from layer3.2.relu and spans 2 sums; in the other blocks it spans none`
    ///
    /// ## How to fix it
    ///
    /// Check which layer the shortcut should start from.
    pub(super) static CODE = Topology Warning R204 "long-skip";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    for wiring in &dominant.wirings {
        let Kind::Long { from, spans } = wiring.kind else { continue };
        let message = format!(
            "the shortcut comes from `{}`, before {spans} other sums, and not from what the block is given",
            subject.origin(from)
        );
        let help = "check which layer the shortcut should start from";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(wiring.node)).leveled(dominant.level()));
    }
}
