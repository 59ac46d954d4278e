//! Operators that a runtime does not have, or has in part.

use residua_ir::Finding;

use crate::Subject;
use crate::targets::{Then, faults};

residua_ir::code! {
    /// The ONNX model uses an operator that the runtime does not have, or in a way that it refuses. All nodes of a kind are
    /// one finding, with the first of them.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded, or fails when it is first run.
    ///
    /// ## Example
    ///
    /// `stem_pool: candle-onnx 0.11: MaxPool with padding is not supported`
    ///
    /// ## How to fix it
    ///
    /// The message says what is refused. Often another operator set has the operator in a form that is taken
    /// (`residua convert --opset`), and `residua convert` writes padding, dense layers and pools in the plainest form
    /// there is. Otherwise take another runtime.
    pub(super) static CODE = Target Error R402 "target-operator";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, takes, text) in subject.onnx_targets() {
        for fault in faults(takes, text).iter().filter(|fault| fault.then == Then::Refused) {
            let help = "write it with another operator set, replace the operator, or take another runtime";
            let message = format!("{}: {}", runtime.about, fault.clause());
            findings.push(Finding::new(&CODE, message, help).at(fault.node));
        }
    }
}
