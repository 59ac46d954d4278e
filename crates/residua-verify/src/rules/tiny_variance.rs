//! Batch norms whose variance is next to nothing.

use residua_ir::{Finding, Level, Op};

use crate::Subject;

residua_ir::code! {
    /// The moving variance of some channels of a batch norm is below 1e-12, far below any epsilon; where it is 0 in
    /// every channel it is a warning.
    ///
    /// ## Why it matters
    ///
    /// Such a channel was constant in training: it is dead, and what it is divided by is the epsilon alone, so another
    /// epsilon gives other results. Trained networks have a few of them. A variance of 0 in every channel is a tensor
    /// that was not loaded.
    ///
    /// ## Example
    ///
    /// `layer4.2.bn1: 7 of 512 variances are below 1e-12, the smallest is 5.6e-45`
    ///
    /// ## How to fix it
    ///
    /// Nothing for a few channels. Where all are 0, read the file with the framework that wrote it and compare.
    pub(super) static CODE = Values Note R308 "tiny-variance";
}

/// Far below the epsilon of any framework.
const TINY: f64 = 1e-12;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    for node in graph.nodes().iter().filter(|node| matches!(node.op, Op::BatchNorm(_))) {
        let variance = node.inputs.get(4).and_then(|&value| subject.statistics_of(value));
        let Some((parameter, found)) = variance.filter(|(_, found)| found.min >= 0.0 && found.min < TINY) else {
            continue;
        };
        let total = parameter.tensor.len();
        let all = found.is_all(0.0);
        let message = if all {
            format!("all {total} variances are 0")
        } else {
            let tiny =
                parameter.tensor.to_f64().map_or(1, |values| values.iter().filter(|value| **value < TINY).count());
            format!("{tiny} of {total} variances are below {TINY:e}, the smallest is {:e}", found.min)
        };
        let help = "compare with what the framework that wrote the file reads, where this is not expected";
        let level = if all { Level::Warning } else { CODE.level };
        findings.push(subject.about(&CODE, parameter, message, help).at(&graph.layer(node.layer).name).leveled(level));
    }
}
