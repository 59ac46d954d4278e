//! Versions that an ONNX model says, and that do not belong together.

use std::collections::HashMap;

use residua_formats::onnx::ir_version;
use residua_ir::{Finding, Level};

use crate::OnnxText;

residua_ir::code! {
    /// The ONNX model does not say of which version it is, or says versions that do not belong together: of the format (IR
    /// version) and of the operators (operator set).
    ///
    /// ## Why it matters
    ///
    /// Without versions nobody knows what an operator means. An operator set that is newer than the IR version is a
    /// warning: a reader that trusts the IR version does not know these operators, as when a tool raised the one and left
    /// the other.
    ///
    /// ## Example
    ///
    /// `operator set 21 came with IR version 10, the model is of 3`
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL.onnx OUT.onnx --opset N` writes versions that belong together.
    pub(super) static CODE = OnnxText Error R601 "onnx-version";
}

/// From this version on a model says which operators it uses.
const WITH_OPSETS: i64 = 3;

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let model = text.model();
    let mut report = |level: Level, message: String| {
        let help = "`residua convert --opset` writes versions that belong together";
        findings.push(Finding::new(&CODE, message, help).leveled(level));
    };
    let ir = model.ir_version;
    if ir < 1 {
        report(CODE.level, "the model does not say its IR version".to_owned());
    } else if ir < WITH_OPSETS && !model.opset_import.is_empty() {
        report(CODE.level, format!("models of IR version {ir} declare no operator sets, and this one does"));
    }
    match text.opset("") {
        None if ir >= WITH_OPSETS => report(CODE.level, "the model does not say its operator set".to_owned()),
        Some(opset) if ir >= 1 && ir < ir_version(opset) => {
            let needed = ir_version(opset);
            report(Level::Warning, format!("operator set {opset} came with IR version {needed}, the model is of {ir}"));
        }
        Some(_) | None => {}
    }
    let mut seen: HashMap<&str, i64> = HashMap::new();
    for set in &model.opset_import {
        let domain = crate::onnx::domain(&set.domain);
        match seen.get(domain) {
            Some(version) if *version != set.version => {
                let named = if domain.is_empty() { "ONNX" } else { domain };
                let message = format!("the operators of {named} are declared as {version} and as {}", set.version);
                report(Level::Warning, message);
            }
            Some(_) => {}
            None => {
                seen.insert(domain, set.version);
            }
        }
    }
}
