//! Operators of a set that the model does not declare.

use std::collections::HashSet;
use std::rc::Rc;

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
    /// ## How to fix it
    ///
    /// Declare the domain with its version, or save the model again with the tool that put the operator there.
    pub(super) static CODE = OnnxText Error R602 "undeclared-domain";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let declared = |sets: &[OperatorSetIdProto]| -> Rc<HashSet<String>> {
        Rc::new(sets.iter().map(|set| domain(&set.domain).to_owned()).collect())
    };
    let own = declared(&text.model().opset_import);
    let of_functions = text.model().functions.iter().flat_map(|function| {
        let sets = declared(&function.opset_import);
        function.node.iter().map(move |proto| (Node { proto }, sets.clone()))
    });
    let mut told: HashSet<&str> = HashSet::new();
    for (node, sets) in text.nodes().into_iter().map(|node| (node, own.clone())).chain(of_functions) {
        let wanted = domain(&node.proto.domain);
        if wanted.is_empty() || sets.contains(wanted) || !told.insert(wanted) {
            continue;
        }
        let message = format!("{} is of {wanted}, which the model does not declare", node.proto.op_type);
        let help = "declare the domain with its version in opset_import";
        findings.push(Finding::new(&CODE, message, help).at(node.called()));
    }
}
