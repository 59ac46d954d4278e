//! Batch norms whose variance is negative.

use residua_ir::{Code, Finding, Level, Op, ValueKind};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R302",
    name: "negative-variance",
    level: Level::Error,
    explanation: "The moving variance of a batch norm holds negative values. A variance cannot be negative: the tensor \
was damaged, or belongs somewhere else, often because mean and variance or the tensors of two layers were swapped. \
Where variance plus epsilon is below 0 the layer computes NaN.\n\nCompare the order of the tensors in the file with \
what the layer expects: scale, offset, mean, variance.",
};

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
            findings.push(Finding {
                code: &CODE,
                message: format!("the smallest value of `{}` is {:e}", variance.name, found.min),
                node: Some(graph.layer(node.layer).name.clone()),
                help: "check that scale, offset, mean and variance are in their places".into(),
            });
        }
    }
}
