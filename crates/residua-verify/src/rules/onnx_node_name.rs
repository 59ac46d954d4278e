//! Nodes of one name.

use std::collections::HashMap;

use residua_ir::Finding;

use crate::OnnxText;

residua_ir::code! {
    /// Several nodes of the ONNX model have one name.
    ///
    /// ## Why it matters
    ///
    /// Names of nodes are to be unique within a graph. Values say what is connected, so runtimes compute the same; but
    /// profiles, quantisation lists and messages of runtimes name nodes, and then mean any of them.
    ///
    /// ## Example
    ///
    /// `Conv_12: 2 nodes have this name, a Conv and a Relu`
    ///
    /// ## How to fix it
    ///
    /// Give each its own name.
    pub(super) static CODE = OnnxText Warning R604 "repeated-node-name";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let nodes = text.graph().map(|graph| &graph.node[..]).unwrap_or_default();
    let mut by_name: HashMap<&str, Vec<&str>> = HashMap::new();
    for node in nodes.iter().filter(|node| !node.name.is_empty()) {
        by_name.entry(&node.name).or_default().push(&node.op_type);
    }
    for node in nodes {
        // Each name is told of once, where it stands first.
        let Some(kinds) = by_name.remove(node.name.as_str()).filter(|kinds| kinds.len() > 1) else { continue };
        let kinds = match &kinds[..] {
            [first, second] => format!(", {first} and {second}"),
            [..] => String::new(),
        };
        let count = nodes.iter().filter(|other| other.name == node.name).count();
        let message = format!("{count} nodes have this name{kinds}");
        findings.push(Finding::new(&CODE, message, "give each its own name").at(&node.name));
    }
}
