//! Nodes that stand before what they read.

use std::collections::{HashMap, HashSet};

use residua_formats::onnx::schema::NodeProto;
use residua_ir::Finding;

use crate::OnnxText;
use crate::onnx::Node;

residua_ir::code! {
    /// A node stands before the one whose result it reads. ONNX asks for an order in which each node comes after what it
    /// reads.
    ///
    /// ## Why it matters
    ///
    /// ONNX's checker refuses the model, and so do runtimes that compute nodes in the order of the file. Others sort them,
    /// as is done here.
    ///
    /// ## Example
    ///
    /// `Relu_4: it stands before Conv_3, whose result it reads`
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL.onnx OUT.onnx` writes the nodes in order.
    pub(super) static CODE = OnnxText Error R609 "unsorted-nodes";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let nodes = text.graph().map(|graph| &graph.node[..]).unwrap_or_default();
    let mut given: HashSet<&str> = HashSet::new();
    let mut early = Vec::new();
    for (index, proto) in nodes.iter().enumerate() {
        for name in proto.input.iter().filter(|name| !name.is_empty() && !given.contains(name.as_str())) {
            early.push((index, name.as_str()));
        }
        given.extend(proto.output.iter().map(String::as_str));
    }
    // What nothing gives later either is no matter of order; nothing before the reader gives it.
    let mut givers: HashMap<&str, &NodeProto> = HashMap::new();
    for node in nodes {
        node.output.iter().for_each(|output| {
            givers.entry(output).or_insert(node);
        });
    }
    let late = |(reader, name): &(usize, &str)| Some((&nodes[*reader], *givers.get(name)?));
    let mut unsorted = early.iter().filter_map(late);
    let Some((reader, giver)) = unsorted.next() else { return };
    let (reader, giver) = (Node { proto: reader }.called(), Node { proto: giver }.called());
    let more = match unsorted.count() {
        0 => String::new(),
        more => format!(" (and {more} more of the kind)"),
    };
    let message = format!("it stands before `{giver}`, whose result it reads{more}");
    findings.push(Finding::new(&CODE, message, "`residua convert` writes the nodes in order").at(reader));
}
