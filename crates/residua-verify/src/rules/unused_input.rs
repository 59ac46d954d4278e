//! Inputs that nothing reads.

use std::collections::HashSet;

use residua_ir::{Finding, ValueId};

use crate::Subject;

residua_ir::code! {
    /// An input of the model is read by no node, and is no output.
    ///
    /// ## Why it matters
    ///
    /// Whoever runs the model has to give it, and it changes nothing. What read it was cut off, often by mistake.
    ///
    /// ## Example
    ///
    /// `input mask is read by nothing`
    ///
    /// ## How to fix it
    ///
    /// Connect it where it belongs, or remove it from the inputs.
    pub(super) static CODE = Graph Warning R113 "unused-input";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    let read: HashSet<ValueId> = graph.nodes().iter().flat_map(|node| &node.inputs).copied().collect();
    for &input in graph.inputs() {
        if !read.contains(&input) && !graph.is_output(input) {
            let name = &graph.value(input).name;
            let message = format!("input `{name}` is read by nothing");
            findings.push(Finding::new(&CODE, message, "connect it where it belongs, or remove it").at(name));
        }
    }
}
