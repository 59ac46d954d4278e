//! Convolutions between blocks that no shortcut bridges.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// Between two residual blocks there are convolutions that no shortcut bridges, as many as a block has.
    ///
    /// ## Why it matters
    ///
    /// A block whose addition was lost looks like this: the network still runs, and no longer is what was trained.
    ///
    /// Some architectures do have single convolutions between stages (transitions); those are not reported.
    ///
    /// ## Example
    ///
    /// `3 convolutions behind block stages.2.blocks.1 have no shortcut around them; the blocks before have 3`
    ///
    /// ## How to mend it
    ///
    /// Check whether the addition of a block was lost when the model was built or exported.
    pub(super) static CODE = Warning R202 "missing-shortcut";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for loose in &subject.anatomy.loose {
        let (Some(before), Some(first)) = (subject.anatomy.blocks.get(loose.behind), loose.convs.first()) else {
            continue;
        };
        if loose.convs.len() < before.convs.len().max(2) {
            continue;
        }
        let message = format!(
            "{} convolutions behind block {} have no shortcut around them; the blocks before have {}",
            loose.convs.len(),
            before.name,
            before.convs.len()
        );
        let help = "check whether the addition of a block was lost";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(first.node)));
    }
}
