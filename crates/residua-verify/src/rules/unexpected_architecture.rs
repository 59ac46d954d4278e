//! The model is not the architecture that the user expects.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R200",
    name: "unexpected-architecture",
    level: Level::Error,
    explanation: "The network in the file is not the one named with --expect. The comparison is made on structure: \
depth, block kind, place of the activations, shortcut kind, strides and widths, never on names in the file. The size \
of the input and the head on top of the network do not matter.\n\nv1, v1.5 and v2 have nearly the same parameters and \
differ in what they compute: v1 strides on the first 1x1 convolution of a block, v1.5 on the 3x3, v2 activates before \
it convolves.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(expected) = subject.expected else { return };
    if let Err(reasons) = subject.anatomy.is(expected) {
        findings.push(Finding {
            code: &CODE,
            message: format!("expected {expected}: {}", reasons.join("; ")),
            node: None,
            help: "export the right model, or change what is expected".into(),
        });
    }
}
