//! Main paths that lead around a sum.

use residua_ir::Finding;

use crate::Subject;
use crate::wiring::Kind;

residua_ir::code! {
    /// The main path of a block starts before a sum that its shortcut starts behind: it reads what was there before the
    /// shortcut of the block before was added.
    ///
    /// ## Why it matters
    ///
    /// The block works on another value than the one it adds to. In a network whose other blocks are of a known form it
    /// is an error.
    ///
    /// ## Example
    ///
    /// `layer2.1.conv1: reads around the sum layer2.0.add, which the shortcut of its block starts from`
    ///
    /// ## How to fix it
    ///
    /// Let the block read the result of the sum.
    pub(super) static CODE = Topology Warning R206 "skipped-sum";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    for wiring in &dominant.wirings {
        let Kind::SkipsSum { reader, from, sum } = wiring.kind else { continue };
        let message = format!(
            "the main path that ends in `{}` comes from `{}` around the sum `{}`, which its shortcut starts from",
            subject.layer(wiring.node),
            subject.origin(from),
            subject.origin(sum)
        );
        let help = "let the block read the result of the sum";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(reader)).leveled(dominant.level()));
    }
}
