//! Moving statistics that were never updated.

use residua_ir::{Finding, Level, NodeId, Op};

use crate::Subject;

residua_ir::code! {
    /// The moving mean of a batch norm is 0 and its moving variance 1 in every channel, which is what it is created
    /// with.
    ///
    /// ## Why it matters
    ///
    /// The layer normalises nothing when it is run. Either the model was never trained, or these tensors were not
    /// loaded: the ones that training had gathered are lost. Where it is so in all layers, the model is one that was
    /// created and not trained yet, which is a note.
    ///
    /// ## Example
    ///
    /// `bn1: mean 0 and variance 1 in all 64 channels, as in 3 of 53 batch norms`: the names of three layers did not
    /// match the checkpoint.
    ///
    /// ## How to fix it
    ///
    /// Load the checkpoint strictly, so that a tensor without a place is an error, and export again. For a model that
    /// is meant to be untrained, nothing.
    pub(super) static CODE = Values Warning R307 "untouched-statistics";
}

/// Whether a model has batch norms and none of them was ever updated: it is as it was created.
pub(super) fn is_fresh(subject: &Subject) -> bool {
    let (untouched, total) = untouched(subject);
    total > 0 && untouched.len() == total
}

/// The batch norms whose statistics were never updated, and how many there are in all.
fn untouched(subject: &Subject) -> (Vec<NodeId>, usize) {
    let graph = subject.model.graph();
    let is_all = |node: NodeId, operand: usize, value: f64| {
        let tensor = graph.node(node).inputs.get(operand).and_then(|&value| subject.statistics_of(value));
        tensor.is_some_and(|(parameter, found)| !parameter.tensor.is_empty() && found.is_all(value))
    };
    let norms: Vec<NodeId> = graph.node_ids().filter(|&node| matches!(graph.node(node).op, Op::BatchNorm(_))).collect();
    let untouched = norms.iter().copied().filter(|&node| is_all(node, 3, 0.0) && is_all(node, 4, 1.0)).collect();
    (untouched, norms.len())
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let help = "load the checkpoint strictly and export again; for a model that is meant to be untrained, nothing";
    let (untouched, total) = untouched(subject);
    let count = untouched.len();
    if count == total
        && let Some(&first) = untouched.first()
    {
        let message = format!("mean 0 and variance 1 in all {total} batch norms, as in a model that was never trained");
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(first)).leveled(Level::Note));
        return;
    }
    findings.extend(untouched.into_iter().map(|node| {
        let message = format!("mean 0 and variance 1 in all channels, as in {count} of {total} batch norms");
        Finding::new(&CODE, message, help).at(subject.layer(node))
    }));
}
