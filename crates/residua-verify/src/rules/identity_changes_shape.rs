//! Shortcuts that are the identity where the block changes the shape.

use residua_ir::{Finding, Shape, Typed};
use residua_resnet::anatomy::{Block, ShortcutKind, Step};

use crate::Subject;

residua_ir::code! {
    /// The shortcut of a block is its input as it is, and its main path changes channels or size.
    ///
    /// ## Why it matters
    ///
    /// The branches cannot be added; where one of them has a size of 1 they are broadcast, which is not what a residual
    /// block is.
    ///
    /// ## Example
    ///
    /// `layer2.0.add: the main path makes 128 channels of 64 and has stride 2, the shortcut is the identity`
    ///
    /// ## How to fix it
    ///
    /// Give the block a projection: a 1x1 convolution with the stride of the main path.
    pub(super) static CODE = Topology Error R207 "identity-changes-shape";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for block in &subject.anatomy.blocks {
        let changes = changes(subject, block);
        if !changes.is_empty() {
            let message = format!("the main path {}, the shortcut is the identity", changes.join(" and "));
            let help = "give the block a projection with the stride of the main path";
            findings.push(Finding::new(&CODE, message, help).at(subject.layer(block.add)));
        }
    }
}

/// What the main path of a block changes although its shortcut is the identity; nothing where all is well.
pub(super) fn changes(subject: &Subject, block: &Block) -> Vec<String> {
    let mut changes = Vec::new();
    // Where the shapes are known and the same, channels lie on another axis than convolutions have them on.
    if block.shortcut != ShortcutKind::Identity
        || block.unseen.main
        || keeps_shape(subject.model, block)
        || subject.is_broken(block)
    {
        return changes;
    }
    // What the kernels take and give: behind a sum that does not fit, shapes are not to be relied on.
    let known = |channels: &usize| *channels > 0;
    let takes = block.convs.first().map(|conv| conv.inputs).filter(known);
    let gives = block.convs.last().map(|conv| conv.outputs).filter(known);
    if let (Some(takes), Some(gives)) = (takes, gives)
        && takes != gives
    {
        changes.push(format!("makes {gives} channels of {takes}"));
    }
    // What enlarges again, as attention over a pooled image does, makes up for a stride.
    let enlarges =
        block.steps.iter().any(|step| matches!(step, Step::Other | Step::Merge | Step::Reshape | Step::Dense));
    if block.stride > 1 && !enlarges {
        changes.push(format!("has stride {}", block.stride));
    }
    changes
}

/// Whether what comes in and the sum are known to have one shape.
fn keeps_shape(model: &Typed, block: &Block) -> bool {
    let dims = |value| model.shape_of(value).map(Shape::dims);
    let ends = dims(block.fork).zip(dims(model.graph().node(block.add).output()));
    ends.is_some_and(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_equal(b)))
}
