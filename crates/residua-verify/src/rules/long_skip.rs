//! Sums that join values from far apart.

use residua_ir::{Finding, ValueKind};

use crate::Subject;

residua_ir::code! {
    /// An addition joins its block with a value from several blocks before, and not with what the block was given.
    ///
    /// ## Why it matters
    ///
    /// Where all other shortcuts span one block, this one is probably wired to the wrong layer. Networks that do this
    /// on purpose (U-Nets, dense connections) can ignore the finding.
    ///
    /// ## Example
    ///
    /// `the shortcut comes from conv4_block2_out and spans 2 other additions`
    ///
    /// ## How to mend it
    ///
    /// Check which layer the shortcut should start from.
    pub(super) static CODE = Warning R204 "long-skip";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    for skip in &subject.anatomy.long_skips {
        let from = match graph.value(skip.from).kind {
            ValueKind::Computed { node, .. } => subject.layer(node),
            ValueKind::Input(_) | ValueKind::Parameter(_) => &graph.value(skip.from).name,
        };
        let message = format!("the shortcut comes from `{from}` and spans {} other additions", skip.spans);
        let help = "check which layer the shortcut should start from";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(skip.add)));
    }
}
