//! Operators of a set that the model does not declare.

use residua_formats::onnx::schema::OperatorSetIdProto;
use residua_ir::Finding;

use crate::OnnxText;
use crate::onnx::{Node, domain};

residua_ir::code! {
    /// A node is of a domain that the model does not declare among its operator sets (`opset_import`).
    ///
    /// ## Why it matters
    ///
    /// Nothing says which version of the operator is meant; ONNX's checker and most runtimes refuse the model.
    ///
    /// ## Example
    ///
    /// `fused_1: FusedConv is of com.microsoft, which the model does not declare`
    ///
    /// ## How to mend it
    ///
    /// Declare the domain with its version, or save the model again with the tool that put the operator there.
    pub(super) static CODE = Error R602 "undeclared-domain";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let declares = |sets: &[OperatorSetIdProto], wanted: &str| sets.iter().any(|set| domain(&set.domain) == wanted);
    let own = &text.model().opset_import;
    let of_functions = text
        .model()
        .functions
        .iter()
        .flat_map(|function| function.node.iter().map(move |proto| (Node { proto }, &function.opset_import)));
    let mut told: Vec<&str> = Vec::new();
    for (node, sets) in text.nodes().into_iter().map(|node| (node, own)).chain(of_functions) {
        let wanted = domain(&node.proto.domain);
        if wanted.is_empty() || declares(sets, wanted) || told.contains(&wanted) {
            continue;
        }
        told.push(wanted);
        let message = format!("{} is of {wanted}, which the model does not declare", node.proto.op_type);
        let help = "declare the domain with its version in opset_import";
        findings.push(Finding::new(&CODE, message, help).at(node.called()));
    }
}
