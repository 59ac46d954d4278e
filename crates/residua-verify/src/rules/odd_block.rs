//! Blocks that are built differently from all their siblings.

use residua_ir::{Finding, Level, NodeId};
use residua_resnet::anatomy::{Block, ConvNormAct, NormKind};

use crate::Subject;
use crate::dominant::DominantPattern;
use crate::majority::{few, usual};

residua_ir::code! {
    /// One residual block is built differently from the others of the network: other kernels, another kind of block or
    /// of normalisation, another number of groups, another inner width than its stage, no squeeze-and-excite gate; a bias
    /// where the others have none, or none.
    ///
    /// ## Why it matters
    ///
    /// Residual networks repeat one block. A single exception among many is usually an edit that went wrong, or a layer
    /// that an exporter lost. The shapes fit, so nothing else reports it. In a network whose other blocks are of a
    /// known form it is an error.
    ///
    /// ## Example
    ///
    /// `in block stages.2.blocks.3 the kernels are 1x1 5x5 1x1; in the other 15 they are 1x1 3x3 1x1`
    ///
    /// ## How to fix it
    ///
    /// Compare this block with its siblings in the code that built the model.
    pub(super) static CODE = Topology Warning R201 "odd-block";
}

/// What a block is compared by.
struct Trait {
    /// `the kernels are`.
    text: &'static str,
    of: fn(&Block, &DominantPattern) -> Option<String>,
    /// The node of a block that has it, where one has.
    node: fn(&Block, &DominantPattern) -> Option<NodeId>,
    /// Whether networks of no known form are compared by it.
    everywhere: bool,
}

fn word(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// Whether all convolutions of a block are seen: what is not known may be one that is missing.
fn shows_convs(block: &Block, dominant: &DominantPattern) -> bool {
    !block.unseen.main || block.convs.len() == dominant.kernels.len()
}

fn kernels(block: &Block, dominant: &DominantPattern) -> Option<String> {
    let kernels: Vec<String> =
        block.convs.iter().map(|conv| format!("{}x{}", conv.kernel[0], conv.kernel[1])).collect();
    shows_convs(block, dominant).then(|| kernels.join(" "))
}

const TRAITS: [Trait; 6] = [
    Trait { text: "the kernels are", of: kernels, node: odd_kernel, everywhere: false },
    Trait {
        text: "activation comes",
        of: |block, _| (!block.unseen.hides_order()).then(|| word(block.activation)),
        node: |_, _| None,
        everywhere: true,
    },
    Trait {
        text: "normalisation is",
        // Networks that mix norms (IBN-Net) do so in some stages.
        of: |block, _| block.norm.filter(|&norm| !block.unseen.main && norm != NormKind::Mixed).map(word),
        node: |block, _| block.norms.first().copied(),
        everywhere: true,
    },
    Trait {
        text: "the number of groups is",
        of: |block, dominant| shows_convs(block, dominant).then(|| block.groups.to_string()),
        node: |block, _| block.convs.iter().find(|conv| conv.is_wide()).map(|conv| conv.node),
        everywhere: false,
    },
    Trait {
        text: "squeeze-and-excite is",
        of: |block, _| (!block.unseen.main).then(|| word(block.squeeze_excite.is_some())),
        node: |block, _| block.squeeze_excite.as_ref().map(|gate| gate.gate),
        everywhere: false,
    },
    Trait { text: "a filter before the stride is", of: blurred, node: |_, _| None, everywhere: false },
];

/// The first convolution whose kernel is another than the others have in its place.
fn odd_kernel(block: &Block, dominant: &DominantPattern) -> Option<NodeId> {
    let same_number = block.convs.len() == dominant.kernels.len();
    let mut pairs = block.convs.iter().zip(&dominant.kernels).filter(|_| same_number);
    pairs.find(|(conv, usual)| conv.kernel != **usual).map(|(conv, _)| conv.node)
}

fn blurred(block: &Block, _: &DominantPattern) -> Option<String> {
    (block.stride > 1 && !block.unseen.main).then(|| word(block.blurred))
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(dominant) = subject.judged_dominant() else { return };
    let blocks = &subject.anatomy.blocks;
    let explained: Vec<NodeId> =
        super::foreign_shortcut::of_blocks(subject, dominant).map(|(block, _)| block.add).collect();
    let explained = |block: &Block| {
        explained.contains(&block.add)
            || subject.is_broken(block)
            || !super::identity_changes_shape::changes(subject, block).is_empty()
            || lacks_whole_groups(subject, block)
    };
    for Trait { text, of, node, everywhere } in TRAITS {
        if !everywhere && !dominant.known {
            continue;
        }
        let values: Vec<(&Block, String)> =
            blocks.iter().filter_map(|block| Some((block, of(block, dominant)?))).collect();
        let Some(most) = usual(values.iter().map(|(_, value)| value)) else { continue };
        if !few(most.total - most.count, most.total) {
            continue;
        }
        let odd = |block: &Block, value: &String| {
            value != most.value && !explained(block) && !is_meant(subject, dominant, block)
        };
        for (block, value) in values.iter().filter(|(block, value)| odd(block, value)) {
            let message = format!("in block {} {text} {value}; in the other {} {}", block.name, most.count, most.value);
            findings.push(exception(subject, node(block, dominant).unwrap_or(block.add), message, dominant.level()));
        }
    }
    projections(subject, dominant, findings);
    biases(subject, dominant, findings);
    widths(subject, dominant, findings);
}

/// Whether a block is another one on purpose: one of a stage whose blocks all have so many convolutions, or the first one of
/// a network of no known form, whose first activation may be that of the stem.
fn is_meant(subject: &Subject, dominant: &DominantPattern, block: &Block) -> bool {
    let convs = block.convs.len();
    let of_stage = subject.anatomy.stages.get(block.stage).map(|stage| subject.anatomy.stage_blocks(stage));
    let whole_stage = of_stage.is_some_and(|blocks| blocks.iter().all(|other| other.convs.len() == convs));
    let first = (block.stage, block.index) == (0, 0);
    (whole_stage && convs != dominant.kernels.len()) || (first && !dominant.known)
}

/// Whether the groups of a block are as wide as those of its stage, and only fewer: whole groups were pruned.
fn lacks_whole_groups(subject: &Subject, block: &Block) -> bool {
    let wide = |block: &Block| block.width.checked_div(block.groups);
    let stage = subject.anatomy.stages.get(block.stage).map_or(&[][..], |stage| subject.anatomy.stage_blocks(stage));
    stage.iter().any(|other| other.groups > block.groups && block.groups > 1 && wide(other) == wide(block))
}

/// All projections have one kernel.
fn projections(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    let of_blocks = subject.anatomy.blocks.iter().filter_map(|block| Some((block, block.path.conv.as_ref()?)));
    let all: Vec<(&Block, &ConvNormAct)> = of_blocks.collect();
    let Some(most) = usual(all.iter().map(|(_, conv)| conv.kernel)) else { return };
    if !dominant.known || most.total < 3 || most.total - most.count != 1 {
        return;
    }
    let text = |kernel: [usize; 2]| format!("{}x{}", kernel[0], kernel[1]);
    for (block, conv) in all.iter().filter(|(block, conv)| conv.kernel != most.value && !subject.is_broken(block)) {
        let (found, others) = (text(conv.kernel), text(most.value));
        let message =
            format!("the projection of block {} is {found}; the other {} are {others}", block.name, most.count);
        findings.push(exception(subject, conv.node, message, dominant.level()));
    }
}

/// The convolutions at one place of all blocks have a bias, or none has.
fn biases(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    let blocks = subject.anatomy.blocks.iter().filter(|block| block.convs.len() == dominant.kernels.len());
    let blocks: Vec<&Block> = blocks.filter(|_| dominant.known).collect();
    for at in 0..dominant.kernels.len() {
        let Some(most) = usual(blocks.iter().map(|block| block.convs[at].bias)) else { continue };
        if most.total == most.count || !few(most.total - most.count, most.total) {
            continue;
        }
        for block in blocks.iter().filter(|block| block.convs[at].bias != most.value) {
            let (found, others) = if most.value { ("no bias", "one") } else { ("a bias", "none") };
            let message =
                format!("in block {} this layer has {found}; in the other {} it has {others}", block.name, most.count);
            findings.push(exception(subject, block.convs[at].node, message, Level::Warning));
        }
    }
}

/// Within a stage all blocks have one inner width.
fn widths(subject: &Subject, dominant: &DominantPattern, findings: &mut Vec<Finding>) {
    if !dominant.known {
        return;
    }
    for stage in &subject.anatomy.stages {
        let of_stage = subject.anatomy.stage_blocks(stage).iter();
        let blocks: Vec<&Block> = of_stage.filter(|block| shows_convs(block, dominant)).collect();
        let Some(most) = usual(blocks.iter().map(|block| block.width)) else { continue };
        if most.total < 3 || most.total - most.count != 1 {
            continue;
        }
        for block in blocks.iter().filter(|block| block.width != most.value) {
            let message = format!(
                "in block {} the inner width is {}; in the other {} of its stage {}",
                block.name, block.width, most.count, most.value
            );
            let conv = block.convs.iter().find(|conv| conv.outputs == block.width);
            let node = conv.map_or(block.add, |conv| conv.node);
            findings.push(exception(subject, node, message, Level::Warning));
        }
    }
}

fn exception(subject: &Subject, node: NodeId, message: String, level: Level) -> Finding {
    let help = "compare this block with its siblings in the code that built the model";
    Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(level)
}
