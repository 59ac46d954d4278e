//! Tensors whose bytes the file cannot give.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// The file declares a tensor and cannot give its values: a compressed chunk is damaged, or its checksum does not
    /// match.
    ///
    /// ## Why it matters
    ///
    /// The file was truncated or altered after it was written.
    ///
    /// ## Example
    ///
    /// `conv1/kernel cannot be read: chunk [0, 0, 0, 0]: the checksum does not match`
    ///
    /// ## How to fix it
    ///
    /// Copy the file again and compare checksums.
    pub(super) static CODE = Values Error R304 "unreadable-tensor";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (parameter, statistics) in subject.statistics() {
        if let Err(error) = statistics {
            let message = format!("`{}` cannot be read: {error}", parameter.name);
            findings.push(subject.about(&CODE, parameter, message, "get the file again"));
        }
    }
}
