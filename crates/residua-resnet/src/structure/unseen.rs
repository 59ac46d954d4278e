//! What operators that are not known have a part in: they may be anything, so that nothing is said of what they may be.

use residua_ir::budget::Limit;
use residua_ir::{NodeId, ValueId};

use super::flow::Flow;
use super::parts::{Step, Unseen};

/// Norms and activations that follow each other; more of them are no part of a block.
const MAX_AROUND: usize = 4;

/// What of a block is not known: between where its paths part and its sum, and around it.
pub(super) fn of_block(flow: &Flow, (fork, sum): (ValueId, ValueId), shortcut: &[NodeId]) -> Unseen {
    let is_unknown = |node: &NodeId| flow.step(*node) == Step::Unknown;
    let within = between(flow, fork, sum);
    Unseen {
        main: within.iter().any(|node| is_unknown(node) && !shortcut.contains(node)),
        shortcut: shortcut.iter().any(is_unknown),
        before: is_before(flow, fork),
        behind: is_behind(flow, sum),
    }
}

/// Nodes on all ways from one value to another.
fn between(flow: &Flow, from: ValueId, to: ValueId) -> Vec<NodeId> {
    let (mut found, mut pending): (Vec<NodeId>, Vec<ValueId>) = (Vec::new(), vec![to]);
    while let Some(value) = pending.pop().filter(|_| flow.may_go_on(Limit::SearchPath, found.len())) {
        let Some(node) = flow.graph.producer(value).filter(|node| value != from && !found.contains(node)) else {
            continue;
        };
        found.push(node);
        pending.extend(flow.operands(node));
    }
    found
}

/// Whether one stands where the norm and the activation before a block would.
fn is_before(flow: &Flow, mut value: ValueId) -> bool {
    for _ in 0..MAX_AROUND {
        let Some(node) = flow.real_producer(value) else { return false };
        match (flow.step(node), flow.operand(node)) {
            (Step::Unknown, _) => return true,
            (Step::Norm | Step::Activation, Some(before)) => value = before,
            _ => return false,
        }
    }
    false
}

/// Whether one stands where the activation behind a sum would, or the norm of the next block.
fn is_behind(flow: &Flow, sum: ValueId) -> bool {
    let mut pending = flow.real_readers(sum);
    for _ in 0..MAX_AROUND {
        if pending.iter().any(|&node| flow.step(node) == Step::Unknown) {
            return true;
        }
        pending.retain(|&node| flow.step(node) == Step::Norm);
        pending = pending
            .iter()
            .flat_map(|&node| flow.real_readers(flow.output(node)))
            .take(Limit::SearchPath.most_here())
            .collect();
    }
    false
}
