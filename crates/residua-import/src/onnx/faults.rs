//! What keeps the text of a graph from being one, all of it. Asked for where reading has failed, to say it in full.

use std::collections::{HashMap, HashSet};

use residua_formats::onnx::schema::{GraphProto, NodeProto};
use residua_ir::Finding;
use residua_ir::faults::{REPEATED_NAME, UNDEFINED};

use super::order;
use crate::cycles;

/// Names that are given twice, names that nothing gives, and cycles.
pub(super) fn find(graph: &GraphProto) -> Vec<Finding> {
    let mut found = repeated(graph);
    found.extend(undefined(graph));
    found.extend(cycles(graph));
    found
}

/// The name of a node, or that of its first result where it has none.
fn called(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

fn repeated(graph: &GraphProto) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut report = |at: &str, message: String| {
        let help = "give each its own name, in whatever reads it as well";
        found.push(Finding::new(&REPEATED_NAME, message, help).at(at));
    };
    let mut given: HashMap<&str, String> = HashMap::new();
    for input in graph.input.iter().filter(|input| !input.name.is_empty()) {
        if given.insert(&input.name, "an input".to_owned()).is_some() {
            report(&input.name, format!("two inputs are named `{}`", input.name));
        }
    }
    let mut tensors: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializer {
        if !tensors.insert(&tensor.name) {
            report(&tensor.name, format!("two tensors are named `{}`", tensor.name));
        }
        // An input of this name is one that need not be given.
        given.insert(&tensor.name, "a tensor".to_owned());
    }
    for node in &graph.node {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            match given.get(output.as_str()) {
                Some(other) => report(called(node), format!("its result `{output}` has the name of {other}")),
                None => drop(given.insert(output, format!("the result of `{}`", called(node)))),
            }
        }
    }
    found
}

fn undefined(graph: &GraphProto) -> Vec<Finding> {
    let named = graph.input.iter().map(|info| &info.name).chain(graph.initializer.iter().map(|tensor| &tensor.name));
    let given: HashSet<&str> =
        named.chain(graph.node.iter().flat_map(|node| &node.output)).map(String::as_str).collect();
    let missing = |name: &&str| !name.is_empty() && !given.contains(name);
    let help = "connect it to what it is meant to read";
    let read = graph.node.iter().flat_map(|node| {
        let mut seen = HashSet::new();
        let names = order::reads(node).into_iter().filter(missing).filter(move |name| seen.insert(*name));
        names.map(|name| {
            let message = format!("it reads `{name}`, which nothing gives");
            Finding::new(&UNDEFINED, message, help).at(called(node))
        })
    });
    let outputs = graph.output.iter().map(|output| output.name.as_str()).filter(missing);
    let outputs =
        outputs.map(|name| Finding::new(&UNDEFINED, format!("the output `{name}` is given by nothing"), help).at(name));
    read.chain(outputs).collect()
}

fn cycles(graph: &GraphProto) -> Vec<Finding> {
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            producer.entry(output).or_insert(index);
        }
    }
    let reads =
        |node: &NodeProto| order::reads(node).into_iter().filter_map(|name| producer.get(name).copied()).collect();
    let reads: Vec<Vec<usize>> = graph.node.iter().map(reads).collect();
    let names = |nodes: &Vec<usize>| nodes.iter().map(|&node| called(&graph.node[node]).to_owned()).collect::<Vec<_>>();
    cycles::cycles(&reads).iter().map(|nodes| cycles::finding(&names(nodes))).collect()
}
