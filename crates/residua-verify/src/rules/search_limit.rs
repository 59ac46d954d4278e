//! Searches that ended at a limit.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// How the network is built was not looked for to the end: a search ended at its limit, which no real network comes near.
    ///
    /// ## Why it matters
    ///
    /// Blocks may be missing from what is printed of the network, and rules about them may have said nothing. What is
    /// computed, converted and compared does not depend on it.
    ///
    /// ## Example
    ///
    /// `the blocks were not looked for to the end: nodes of one way through the graph: 513 is beyond the limit of 512`
    ///
    /// ## How to fix it
    ///
    /// Raise the limit that is named with `--budget`, where the file is to be trusted with more work.
    pub(super) static CODE = Graph Note R115 "search-limit";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    if let Some(overrun) = subject.anatomy.given_up {
        let message = format!("the blocks were not looked for to the end: {overrun}");
        let help = "raise the limit that is named, where the file is to be trusted with more work";
        findings.push(Finding::new(&CODE, message, help));
    }
}
