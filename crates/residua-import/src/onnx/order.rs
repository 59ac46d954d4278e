//! Nodes in an order in which each comes after what it reads; the specification asks for one, not every exporter heeds
//! it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use residua_formats::onnx::schema::{AttributeProto, GraphProto, NodeProto};

use crate::error::{Error, Result};

fn problem(node: &str, kind: &str, problem: String) -> Error {
    Error::Layer { layer: node.into(), kind: kind.into(), problem: problem.into() }
}

/// What a node reads: its operands, and what its subgraphs read from outside. An operand that is left out is empty.
pub(super) fn reads(node: &NodeProto) -> Vec<&str> {
    node.input.iter().map(String::as_str).chain(captured(node)).collect()
}

/// What the subgraphs of a node read from outside, each name once.
pub(super) fn captured(node: &NodeProto) -> Vec<&str> {
    let mut found = HashSet::new();
    subgraphs(node).flat_map(captured_by).filter(|name| found.insert(*name)).collect()
}

/// Graphs among the attributes of a node.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute: &AttributeProto| attribute.g.iter().chain(&attribute.graphs))
}

/// Names that a subgraph reads and does not give itself, each once, in the order in which they are read.
fn captured_by(graph: &GraphProto) -> Vec<&str> {
    let own = graph.input.iter().map(|info| &info.name).chain(graph.initializer.iter().map(|tensor| &tensor.name));
    let given = graph.node.iter().flat_map(|node| &node.output);
    // What is known stays out; what was found is known.
    let mut known: HashSet<&str> = own.chain(given).map(String::as_str).collect();
    let read = graph.node.iter().flat_map(reads).chain(graph.output.iter().map(|info| info.name.as_str()));
    read.filter(|name| !name.is_empty() && known.insert(name)).collect()
}

/// Positions of the nodes in topological order; nodes that could come first keep the order of the file.
pub(super) fn order(nodes: &[NodeProto]) -> Result<Vec<usize>> {
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if producer.insert(output, index).is_some() {
                let message = format!("`{output}` is the result of two nodes");
                return Err(problem(&node.name, &node.op_type, message));
            }
        }
    }
    // For each node, how many of its operands are still to come, and who waits for it.
    let mut missing = vec![0usize; nodes.len()];
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut in_order = true;
    for (index, node) in nodes.iter().enumerate() {
        for from in reads(node).into_iter().filter_map(|name| producer.get(name)) {
            missing[index] += 1;
            waiting[*from].push(index);
            in_order &= *from < index;
        }
    }
    if in_order {
        return Ok((0..nodes.len()).collect());
    }
    let mut ready: BinaryHeap<_> = (0..missing.len()).filter(|&index| missing[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &next in &waiting[index] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    if let Some(stuck) = missing.iter().position(|&count| count > 0) {
        let node = &nodes[stuck];
        return Err(problem(&node.name, &node.op_type, "it depends on its own result".to_owned()));
    }
    Ok(order)
}
