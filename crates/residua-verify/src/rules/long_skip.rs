//! Sums that join values from far apart.

use residua_ir::{Code, Finding, Level, ValueKind};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R204",
    name: "long-skip",
    level: Level::Warning,
    explanation: "An addition joins its block with a value from several blocks before, and not with what the block was \
given. Where all other shortcuts span one block, this one is probably wired to the wrong layer.\n\nNetworks that do \
this on purpose (U-Nets, dense connections) can ignore the finding.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    for skip in &subject.anatomy.long_skips {
        let from = match graph.value(skip.from).kind {
            ValueKind::Computed { node, .. } => graph.layer(graph.node(node).layer).name.clone(),
            ValueKind::Input(_) | ValueKind::Parameter(_) => graph.value(skip.from).name.clone(),
        };
        findings.push(Finding {
            code: &CODE,
            message: format!("the shortcut comes from `{from}` and spans {} other additions", skip.spans),
            node: Some(graph.layer(graph.node(skip.add).layer).name.clone()),
            help: "check which layer the shortcut should start from".into(),
        });
    }
}
