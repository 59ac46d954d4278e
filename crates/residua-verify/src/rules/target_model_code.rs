//! Networks that the model code of a runtime cannot build.

use residua_ir::Finding;

use crate::Subject;
use crate::targets::Fit;

residua_ir::code! {
    /// The runtime has model code of its own, and that code cannot build this network: its form, its sizes or its tensors
    /// are others.
    ///
    /// ## Why it matters
    ///
    /// The weights cannot be loaded there, under whatever names.
    ///
    /// ## Example
    ///
    /// `candle-transformers 0.11 cannot build it: it is pre-activated (v2: norm and ReLU before each convolution), the layout's blocks are post-activated (v1: ReLU behind the sum)`
    ///
    /// ## How to fix it
    ///
    /// `residua layouts MODEL` says whose code can build the network. For candle and burn, `--to candle` or `--to burn`
    /// of `residua convert` writes source that builds it, or says which operator the runtime lacks. Or write it as
    /// ONNX, for a runtime that reads that.
    pub(super) static CODE = Target Error R407 "target-model-code";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, _, fit) in subject.weight_targets() {
        let Fit::Cannot(reasons) = fit else { continue };
        let message = format!("{} cannot build it: {}", runtime.about, reasons.join("; "));
        let help = "`residua layouts` says whose code can; or write it as ONNX".to_owned();
        findings.push(Finding::new(&CODE, message, subject.instead_of_model_code(runtime).unwrap_or(help)));
    }
}
