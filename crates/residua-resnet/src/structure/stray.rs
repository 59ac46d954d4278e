//! Places where paths meet and that are no residual blocks: what becomes of a block when one of its edges leads elsewhere.

use residua_ir::budget::Limit;
use residua_ir::{NodeId, ValueId};

use super::block::Sums;
use super::flow::Flow;
use super::parts::{Step, Stray, Stretch};
use super::path::{Path, gate_kind};

/// All of them, in topological order.
pub(super) fn find(flow: &Flow, sums: &Sums) -> Vec<Stray> {
    let mut strays = Vec::new();
    let mut total = 0;
    for node in flow.graph.node_ids() {
        let step = flow.step(node);
        let meets = matches!(step, Step::Join | Step::Gate | Step::Merge);
        let is_block = sums.by_sum.contains_key(&flow.output(node));
        if !meets || is_block || !flow.is_live(node) || gated(flow, node).is_some() {
            continue;
        }
        let paths: Vec<Stretch> = flow.operands(node).into_iter().map(|operand| stretch(flow, operand)).collect();
        total += paths.iter().map(|path| path.nodes.len()).sum::<usize>();
        if !flow.may_go_on(Limit::SearchNodes, total) {
            break;
        }
        strays.push(Stray { node, is_sum: step == Step::Join, paths });
    }
    strays
}

/// What a gate is applied to.
fn gated(flow: &Flow, node: NodeId) -> Option<ValueId> {
    let operands = flow.operands(node);
    let origin = flow.dominator(flow.output(node))?;
    match operands[..] {
        [a, b] if flow.step(node) == Step::Gate && (origin == a || origin == b) => {
            gate_kind(flow, node, origin, if origin == a { b } else { a }).map(|_| origin)
        }
        _ => None,
    }
}

fn stretch(flow: &Flow, to: ValueId) -> Stretch {
    let mut path = Path::default();
    let mut from = to;
    while flow.may_go_on(Limit::SearchPath, path.nodes.len()) {
        let Some(node) = flow.graph.producer(from) else { break };
        let Some(before) = flow.operand(node).or_else(|| gated(flow, node)) else { break };
        path.nodes.push(node);
        from = before;
    }
    path.nodes.reverse();
    // What all paths share is no part of any.
    let forks = |&node: &NodeId| flow.forks(flow.output(node));
    if flow.graph.producer(from).is_none()
        && let Some(at) = path.nodes.iter().position(forks)
    {
        from = flow.output(path.nodes[at]);
        path.nodes.drain(..=at);
    }
    Stretch { from, convs: path.convs(flow, false), nodes: path.nodes }
}
