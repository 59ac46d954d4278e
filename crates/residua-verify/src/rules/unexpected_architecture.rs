//! The model is not the architecture that the user expects.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// The network in the file is not the one named with --expect.
    ///
    /// ## Why it matters
    ///
    /// The comparison is made on structure: depth, block kind, place of the activations, shortcut kind, strides and
    /// widths, never on names in the file. The size of the input and the head on top of the network do not matter.
    ///
    /// v1, v1.5 and v2 have nearly the same parameters and differ in what they compute: v1 strides on the first 1x1
    /// convolution of a block, v1.5 on the 3x3, v2 activates before it convolves.
    ///
    /// ## Example
    ///
    /// `expected resnet50: it is resnet50v1; stages.1.blocks.0: stride on: expected conv2, found conv1`
    ///
    /// ## How to mend it
    ///
    /// Export the right model, or change what is expected.
    pub(super) static CODE = Error R200 "unexpected-architecture";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(expected) = subject.expected else { return };
    if let Err(reasons) = subject.anatomy.is(expected) {
        findings.push(Finding::new(
            &CODE,
            format!("expected {expected}: {}", reasons.join("; ")),
            "export the right model, or change what is expected",
        ));
    }
}
