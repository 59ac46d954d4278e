//! Tensors of the file that the model does not use.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R106",
    name: "unused-tensor",
    level: Level::Note,
    explanation: "The file holds tensors that the model does not use, such as the state of an optimizer. They are left \
out of every output.\n\nThis is only a note because each of them is known for what it is: a tensor that cannot be \
explained makes reading fail.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let unused = subject.model.graph().unused();
    let mut reasons: Vec<&str> = Vec::new();
    for entry in unused {
        if !reasons.contains(&entry.reason.as_str()) {
            reasons.push(&entry.reason);
        }
    }
    findings.extend(reasons.into_iter().map(|reason| {
        let mut of_it = unused.iter().filter(|entry| entry.reason == reason);
        let first = of_it.next().map_or("", |entry| entry.location.as_str());
        let message = match of_it.count() {
            0 => format!("{first} is not used: {reason}"),
            more => format!("{first} and {more} more are not used: {reason}"),
        };
        Finding {
            code: &CODE,
            message,
            node: None,
            help: "nothing to do, unless you expected them in the model".into(),
        }
    }));
}
