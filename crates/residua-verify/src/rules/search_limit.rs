//! Searches that ended at a limit.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// A search through the network ended at its limit, which no real network comes near: that for its blocks, or for
    /// the truth of sizes that are declared free.
    ///
    /// ## Why it matters
    ///
    /// Blocks may be missing from what is printed of the network, and rules about them may have said nothing; a size that
    /// is declared free and is not may not be told. What is computed, converted and compared does not depend on it.
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
        findings.push(finding(format!("the blocks were not looked for to the end: {overrun}")));
    }
    if let Some(overrun) = subject.untried_sizes() {
        findings.push(finding(format!("sizes that are declared free were not tried to the end: {overrun}")));
    }
}

fn finding(message: String) -> Finding {
    Finding::new(&CODE, message, "raise the limit that is named, where the file is to be trusted with more work")
}
