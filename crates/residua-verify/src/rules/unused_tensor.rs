//! Tensors of the file that the model does not use.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// The file holds tensors that the model does not use, such as the state of an optimizer.
    ///
    /// ## Why it matters
    ///
    /// They are left out of every output. This is only a note because each of them is known for what it is: a tensor
    /// that cannot be explained makes reading fail.
    ///
    /// ## Example
    ///
    /// `fc_old.weight is not used: no node reads it`: the head was replaced and the old one stayed in the file.
    ///
    /// ## How to fix it
    ///
    /// Nothing, unless you expected them in the model. Saving the inference model alone makes the file smaller.
    pub(super) static CODE = Graph Note R106 "unused-tensor";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let unused = subject.model.graph().unused();
    let mut reasons: Vec<&str> = Vec::new();
    for entry in unused {
        if !reasons.contains(&entry.reason.as_str()) {
            reasons.push(&entry.reason);
        }
    }
    findings.extend(reasons.into_iter().map(|reason| {
        let mut of_it = unused.iter().filter(|entry| entry.reason == reason);
        let first = of_it.next().map_or("", |entry| entry.location.raw());
        let message = match of_it.count() {
            0 => format!("{first} is not used: {reason}"),
            more => format!("{first} and {more} more are not used: {reason}"),
        };
        Finding::new(&CODE, message, "nothing to do, unless you expected them in the model")
    }));
}
