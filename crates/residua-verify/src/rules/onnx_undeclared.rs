//! Values whose type the model does not declare.

use residua_ir::Finding;

use super::target_undeclared::undeclared;
use crate::OnnxText;

residua_ir::code! {
    /// Values between the nodes of the ONNX model have no declared type (`value_info`).
    ///
    /// ## Why it matters
    ///
    /// Most runtimes infer them, some need them (wonnx), and editors and viewers show shapes only where they are. What
    /// is declared is held against what is inferred, so a wrong export shows.
    ///
    /// ## Example
    ///
    /// `/relu/Relu_output_0 and 120 more values have no declared type`
    ///
    /// ## How to fix it
    ///
    /// Nothing, where your runtime infers them. `residua convert MODEL.onnx OUT.onnx` declares all of them, and so does
    /// `onnx.shape_inference`.
    pub(super) static CODE = OnnxText Note R603 "missing-value-info";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let undeclared = undeclared(text);
    let Some((node, value)) = undeclared.first() else { return };
    let message = match undeclared.len() - 1 {
        0 => format!("`{value}` has no declared type"),
        more => format!("`{value}` and {more} more values have no declared type"),
    };
    let help = "nothing to do, unless the runtime needs them; `residua convert` declares all of them";
    findings.push(Finding::new(&CODE, message, help).at(*node));
}
