//! Values without a declared type, for a runtime that infers none.

use residua_ir::Finding;

use crate::Subject;
use crate::onnx::OnnxText;

residua_ir::code! {
    /// Values between the nodes of the ONNX model have no declared type (`value_info`), and the runtime infers none.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded.
    ///
    /// ## Example
    ///
    /// `relu1: wonnx 0.5 needs the type of every value declared, /relu/Relu_output_0 and 120 more have none`
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL.onnx OUT.onnx` declares all of them, and so does `onnx.shape_inference`.
    pub(super) static CODE = Target Error R406 "target-undeclared-type";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, _, text) in subject.onnx_targets().filter(|(_, takes, _)| !takes.undeclared) {
        let undeclared = undeclared(text);
        let Some((node, value)) = undeclared.first() else { continue };
        let rest = match undeclared.len() - 1 {
            0 => "has none".to_owned(),
            more => format!("and {more} more have none"),
        };
        let message = format!("{} needs the type of every value declared, `{value}` {rest}", runtime.about);
        let help = "`residua convert` declares all of them, and so does onnx.shape_inference";
        findings.push(Finding::new(&CODE, message, help).at(*node));
    }
}

/// Results of nodes of the graph whose type is not declared, each with its node.
pub(super) fn undeclared<'t>(text: &'t OnnxText<'_>) -> Vec<(&'t str, &'t str)> {
    let Some(graph) = text.graph() else { return Vec::new() };
    let declared = graph.value_info.iter().chain(&graph.output).filter(|info| info.r#type.is_some());
    let declared: std::collections::HashSet<&str> = declared.map(|info| info.name.as_str()).collect();
    let results = graph.node.iter().flat_map(|proto| {
        let node = crate::onnx::Node { proto };
        proto.output.iter().map(move |name| (node.called(), name.as_str()))
    });
    results.filter(|(_, name)| !name.is_empty() && !declared.contains(name)).collect()
}
