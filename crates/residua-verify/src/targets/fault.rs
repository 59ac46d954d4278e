//! What is the matter with the nodes of an ONNX model for a runtime, one fault for all nodes of a kind.

use super::{Domains, Limit, Onnx, Then};
use crate::onnx::{Node, OnnxText, domain};

/// What a runtime does not take as it is meant.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    /// The operator, with its domain before it where that is not ONNX's own.
    pub(crate) op: String,
    /// In words that follow the operator's name.
    pub(crate) says: &'static str,
    pub(crate) then: Then,
    /// The first node that is concerned.
    pub(crate) node: &'a str,
    /// How many are.
    pub(crate) count: usize,
}

impl Fault<'_> {
    /// `Gemm (3 nodes) is …`, as a clause about the operator.
    pub(crate) fn clause(&self) -> String {
        match self.count {
            1 => format!("{} {}", self.op, self.says),
            count => format!("{} {} ({count} nodes)", self.op, self.says),
        }
    }
}

/// All faults of a model, in the order of their first nodes.
pub(crate) fn faults<'a>(takes: &Onnx, text: &'a OnnxText) -> Vec<Fault<'a>> {
    let mut found: Vec<Fault<'a>> = Vec::new();
    let opset = text.opset("").unwrap_or(1);
    for node in text.nodes() {
        let op = match domain(&node.proto.domain) {
            "" => node.proto.op_type.clone(),
            other => format!("{other}/{}", node.proto.op_type),
        };
        for (says, then) in of_node(takes, text, node, opset) {
            match found.iter_mut().find(|fault| fault.op == op && fault.says == says) {
                Some(fault) => fault.count += 1,
                None => found.push(Fault { op: op.clone(), says, then, node: node.called(), count: 1 }),
            }
        }
    }
    found
}

const ABSENT: &str = "is an operator that it does not have";
const FUNCTION: &str = "is a function of the model, and it enters none";

fn of_node(takes: &Onnx, text: &OnnxText, node: Node<'_>, opset: i64) -> Vec<(&'static str, Then)> {
    if text.function(node.proto).is_some() {
        return if takes.functions { Vec::new() } else { vec![(FUNCTION, Then::Refused)] };
    }
    let own = domain(&node.proto.domain);
    let kind = node.proto.op_type.as_str();
    let among = |others: &[&str]| others.iter().any(|known| known.split_once('/') == Some((own, kind)));
    let has = match (own, &takes.domains) {
        ("", Domains::Only(others)) if among(others) => true,
        ("", _) => takes.operators.is_none_or(|all| all.binary_search(&kind).is_ok()),
        (_, Domains::Only(others)) => among(others),
        (_, Domains::All(others)) => others.contains(&own),
        (_, Domains::NoneDeclared) => false,
    };
    if !has {
        return vec![(ABSENT, Then::Refused)];
    }
    let concerned =
        |limit: &&Limit| (limit.op == "*" || limit.op == kind) && own.is_empty() && (limit.concerns)(node, opset);
    takes.limits.iter().filter(concerned).map(|limit| (limit.says, limit.then)).collect()
}
