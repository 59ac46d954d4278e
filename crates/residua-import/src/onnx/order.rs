//! Nodes in an order in which each comes after what it reads; the specification asks for one, not every exporter heeds
//! it.

use std::collections::{HashMap, VecDeque};

use residua_formats::onnx::schema::GraphProto;

use crate::error::{Error, Result};

fn problem(node: &str, kind: &str, problem: String) -> Error {
    Error::Layer { layer: node.to_owned(), kind: kind.to_owned(), problem }
}

/// Positions of the nodes in topological order; nodes that could come first keep the order of the file.
pub(super) fn order(graph: &GraphProto) -> Result<Vec<usize>> {
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if producer.insert(output, index).is_some() {
                let message = format!("`{output}` is the result of two nodes");
                return Err(problem(&node.name, &node.op_type, message));
            }
        }
    }
    // For each node, how many of its operands are still to come, and who waits for it.
    let mut missing = vec![0usize; graph.node.len()];
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        for from in node.input.iter().filter_map(|name| producer.get(name.as_str())) {
            missing[index] += 1;
            waiting[*from].push(index);
        }
    }
    let mut ready: VecDeque<usize> = (0..missing.len()).filter(|&index| missing[index] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(index) = ready.pop_front() {
        order.push(index);
        for &next in &waiting[index] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.push_back(next);
            }
        }
    }
    if let Some(stuck) = missing.iter().position(|&count| count > 0) {
        let node = &graph.node[stuck];
        return Err(problem(&node.name, &node.op_type, "it depends on its own result".to_owned()));
    }
    // A file in order stays as it is: waves of a queue would interleave the branches.
    if graph
        .node
        .iter()
        .enumerate()
        .all(|(index, node)| node.input.iter().filter_map(|name| producer.get(name.as_str())).all(|&from| from < index))
    {
        return Ok((0..graph.node.len()).collect());
    }
    Ok(order)
}
