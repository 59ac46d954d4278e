//! Convolutions between blocks that no shortcut bridges.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R202",
    name: "missing-shortcut",
    level: Level::Warning,
    explanation: "Between two residual blocks there are convolutions that no shortcut bridges, as many as a block has. \
A block whose addition was lost looks like this: the network still runs, and no longer is what was trained.\n\nSome \
architectures do have single convolutions between stages (transitions); those are not reported.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    for loose in &subject.anatomy.loose {
        let (Some(before), Some(first)) = (subject.anatomy.blocks.get(loose.behind), loose.convs.first()) else {
            continue;
        };
        if loose.convs.len() < before.convs.len().max(2) {
            continue;
        }
        findings.push(Finding {
            code: &CODE,
            message: format!(
                "{} convolutions behind block {} have no shortcut around them; the blocks before have {}",
                loose.convs.len(),
                before.name,
                before.convs.len()
            ),
            node: Some(graph.layer(graph.node(first.node).layer).name.clone()),
            help: "check whether the addition of a block was lost".into(),
        });
    }
}
