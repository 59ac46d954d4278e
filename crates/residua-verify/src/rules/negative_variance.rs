//! Batch norms whose variance is negative.

use residua_ir::{Finding, Op, ValueKind};

use crate::Subject;

residua_ir::code! {
    /// The moving variance of a batch norm holds negative values.
    ///
    /// ## Why it matters
    ///
    /// A variance cannot be negative: the tensor was damaged, or belongs somewhere else, often because mean and
    /// variance or the tensors of two layers were swapped. Where variance plus epsilon is below 0 the layer computes
    /// NaN.
    ///
    /// ## Example
    ///
    /// `bn1: the smallest value of bn1.running_var is -1.3e-1`: mean and variance were exchanged by whoever renamed the
    /// tensors.
    ///
    /// ## How to fix it
    ///
    /// Compare the order of the tensors in the file with what the layer expects: scale, offset, mean, variance.
    pub(super) static CODE = Values Error R302 "negative-variance";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    let ranges: Vec<_> = subject.statistics().collect();
    for node in graph.nodes() {
        if !matches!(node.op, Op::BatchNorm(_)) {
            continue;
        }
        let Some(&id) = node.inputs.get(4) else { continue };
        let ValueKind::Parameter(id) = graph.value(id).kind else { continue };
        if let (variance, Ok(found)) = &ranges[id.index()]
            && found.min < 0.0
        {
            let message = format!("the smallest value of `{}` is {:e}", variance.name, found.min);
            let help = "check that scale, offset, mean and variance are in their places";
            findings.push(subject.about(&CODE, variance, message, help).at(&graph.layer(node.layer).name));
        }
    }
}
