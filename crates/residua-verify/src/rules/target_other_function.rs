//! Models that a runtime loads, and computes something else with.

use residua_ir::Finding;
use residua_resnet::layouts;

use crate::Subject;
use crate::targets::{Fit, Then, faults};

residua_ir::code! {
    /// The runtime would load the model without a word, and compute something else.
    ///
    /// ## Why it matters
    ///
    /// Nothing fails: names and shapes fit, and the scores are wrong, often by little enough to pass for a model that
    /// was trained badly. Weights do not say where a network has its strides, how it pads, or what is added to its
    /// variances; model code settles that.
    ///
    /// ## Example
    ///
    /// `candle-transformers 0.11 finds every tensor that it asks for, and computes something else: its
    /// bottlenecks have the stride on the first 1x1 (v1, as Keras Applications and Caffe), the layout's code has it on the
    /// 3x3 (v1.5, as torchvision)`
    ///
    /// ## How to fix it
    ///
    /// Where only elements have to change, `residua convert --layout` writes the weights that make the runtime compute
    /// the right function. Otherwise take model code that builds this network (`residua layouts MODEL`), or a runtime
    /// that reads ONNX, where the file says all of that.
    pub(super) static CODE = Target Error R408 "target-other-function";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, library, fit) in subject.weight_targets() {
        let (message, help) = match fit {
            Fit::Silent(reasons) => (
                format!(
                    "{} finds every tensor that it asks for, and computes something else: {}",
                    runtime.about,
                    reasons.join("; ").replace(layouts::SILENT, "")
                ),
                subject.instead_of_model_code(runtime).unwrap_or_else(|| {
                    "take model code that builds this network (`residua layouts`), or write it as ONNX".to_owned()
                }),
            ),
            Fit::Changed(how) => (
                format!("{} loads the file as it is, and computes something else: {how}", runtime.about),
                format!("`residua convert --layout {library}` writes weights with which it computes this network"),
            ),
            Fit::Cannot(_) | Fit::Renamed | Fit::AsIs => continue,
        };
        findings.push(Finding::new(&CODE, message, help));
    }
    for (runtime, takes, text) in subject.onnx_targets() {
        for fault in faults(takes, text).iter().filter(|fault| fault.then == Then::Otherwise) {
            let message = format!("{}: {}", runtime.about, fault.clause());
            let help = "write it with another operator set, replace the operator, or take another runtime";
            findings.push(Finding::new(&CODE, message, help).at(fault.node));
        }
    }
}
