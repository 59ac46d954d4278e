//! Tensors whose bytes the file cannot give.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R304",
    name: "unreadable-tensor",
    level: Level::Error,
    explanation: "The file declares a tensor and cannot give its values: a compressed chunk is damaged, or its checksum \
does not match. The file was truncated or altered after it was written. Copy it again and compare checksums.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (parameter, statistics) in subject.statistics() {
        if let Err(error) = statistics {
            findings.push(Finding {
                code: &CODE,
                message: format!("`{}` cannot be read: {error}", parameter.name),
                node: Some(subject.model.graph().layer(parameter.layer).name.clone()),
                help: "get the file again".into(),
            });
        }
    }
}
