//! Models that cannot be written as ONNX, for a runtime that takes nothing else.

use residua_ir::Finding;

use crate::Subject;
use crate::targets::Takes;

residua_ir::code! {
    /// The runtime takes ONNX models, and this model cannot be written as one.
    ///
    /// ## Why it matters
    ///
    /// There is nothing that the runtime could be given.
    ///
    /// ## Example
    ///
    /// `tract takes ONNX models, and this one cannot be written: augment (Lambda) cannot be written: its function is
    /// code`
    ///
    /// ## How to fix it
    ///
    /// Replace the layer that is named by built-in ones with the same function, or cut the model before it.
    pub(super) static CODE = Target Error R400 "target-unwritable";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(Err(reason)) = subject.onnx else { return };
    for runtime in subject.targets.iter().filter(|runtime| matches!(runtime.takes, Takes::Onnx(_))) {
        let message = format!("{} takes ONNX models, and this one cannot be written: {reason}", runtime.about);
        findings.push(Finding::new(&CODE, message, "replace what is named by what ONNX has operators for"));
    }
}
