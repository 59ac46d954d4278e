//! The model is not the architecture that the user expects.

use residua_ir::{Finding, Level};

use crate::Subject;

residua_ir::code! {
    /// The network in the file is not the one named with --expect. Each difference is a finding of its own, with the
    /// node where it shows.
    ///
    /// ## Why it matters
    ///
    /// The comparison is made on structure: depth, block kind, place of the activations, kernels, shortcuts, strides,
    /// widths and stem, never on names in the file. The size of the input and the classifier on top of the network do
    /// not matter.
    ///
    /// v1, v1.5 and v2 have nearly the same parameters and differ in what they compute: v1 strides on the first 1x1
    /// convolution of a block, v1.5 on the 3x3, v2 activates before it convolves.
    ///
    /// Where layers are not known, only what is seen is held against the name; that the rest is not is a warning.
    ///
    /// ## Example
    ///
    /// `layer2.0.conv1: expected resnet50: stages.1.blocks.0: stride on: expected conv2, found conv1`
    ///
    /// ## How to fix it
    ///
    /// Export the right model, or change what is expected.
    pub(super) static CODE = Topology Error R200 "unexpected-architecture";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(expected) = subject.expected else { return };
    let help = "export the right model, or change what is expected";
    let hidden = subject.anatomy.hidden.any();
    let found = match &subject.anatomy.architecture {
        Some(architecture) => format!("it is {}", architecture.name),
        None if hidden => "parts of it are not known".to_owned(),
        None => "it is no residual network, nor a plain convolutional one".to_owned(),
    };
    let Some(differences) = subject.anatomy.differences(expected) else {
        let message = format!("expected {expected}, which is no architecture that is known here; {found}");
        findings.push(Finding::new(&CODE, message, help));
        return;
    };
    if hidden && differences.is_empty() {
        let message =
            format!("expected {expected}: nothing that is seen contradicts it, and parts of it are not known");
        let help = "replace the layers that are not known by built-in ones, so that they can be held against it";
        findings.push(Finding::new(&CODE, message, help).leveled(Level::Warning));
        return;
    }
    if subject.anatomy.architecture.is_some() && differences.is_empty() {
        return;
    }
    findings.push(Finding::new(&CODE, format!("expected {expected}: {found}"), help));
    findings.extend(differences.iter().map(|difference| {
        let finding = Finding::new(&CODE, format!("expected {expected}: {difference}"), help);
        match difference.node {
            Some(node) => finding.at(subject.layer(node)),
            None => finding,
        }
    }));
}
