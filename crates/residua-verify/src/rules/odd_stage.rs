//! Stages that break the pattern of the network.

use residua_ir::{Finding, Level, NodeId};
use residua_resnet::Form;
use residua_resnet::anatomy::{Block, BlockKind};
use residua_resnet::form::{StemForm, StrideIn};

use crate::Subject;
use crate::dominant::DominantPattern;
use crate::majority::usual;

residua_ir::code! {
    /// One stage breaks the pattern of the others: its number of blocks, its width, or the factor by which it makes the
    /// image smaller.
    ///
    /// ## Why it matters
    ///
    /// Residual networks double their channels and halve the image from stage to stage, and each depth has its own
    /// number of blocks. A stage that does not is often one whose block was lost, or whose stride was.
    ///
    /// ## Example
    ///
    /// `layer3.5.add: stage 2 has 5 blocks; ResNet-50 has 3, 4, 6, 3`
    ///
    /// ## How to fix it
    ///
    /// Compare the stages with the code that built the model.
    pub(super) static CODE = Topology Warning R212 "odd-stage";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some((dominant, form)) = subject.dominant().zip(Form::observed(subject.anatomy)) else { return };
    // What was lost has a finding of its own, and stages cannot be told reliably around it.
    let bridged = |block: &Block| super::identity_changes_shape::changes(subject, block).is_empty();
    let whole = !subject.anatomy.hidden.any()
        && dominant.lost.is_empty()
        && dominant.wirings.is_empty()
        && subject.anatomy.blocks.iter().all(bridged);
    if !dominant.known || !whole || subject.anatomy.stages.len() < 3 {
        return;
    }
    widths(subject, &form, findings);
    strides(subject, dominant, &form, findings);
    depths(subject, &form, findings);
}

fn report(subject: &Subject, findings: &mut Vec<Finding>, node: NodeId, message: String, level: Level) {
    let help = "compare the stages with the code that built the model";
    findings.push(Finding::new(&CODE, message, help).at(subject.layer(node)).leveled(level));
}

fn first_block<'s>(subject: &'s Subject, stage: usize) -> Option<&'s Block> {
    subject.anatomy.blocks.get(subject.anatomy.stages.get(stage)?.blocks.start)
}

/// Channels double from stage to stage, but for one. Behind other stems than those of He et al. they may be of any widths:
/// a RegNet's grow by a factor of its own, rounded to whole groups, which is nearly always or by chance twice.
fn widths(subject: &Subject, form: &Form, findings: &mut Vec<Finding>) {
    if form.stem == StemForm::Other {
        return;
    }
    let outputs: Option<Vec<usize>> = subject.anatomy.stages.iter().map(|stage| stage.outputs).collect();
    let Some(outputs) = outputs else { return };
    let doubles = |widths: &[usize]| widths.windows(2).all(|pair| pair[1] == pair[0] * 2);
    if outputs.len() < 4 || doubles(&outputs) {
        return;
    }
    for at in 1..outputs.len() {
        let mut corrected = outputs.clone();
        let would_be = outputs[at - 1] * 2;
        corrected[at] = would_be;
        if doubles(&corrected)
            && let Some(node) = first_block(subject, at).and_then(|block| block.convs.last())
        {
            let found = outputs[at];
            let message = format!("stage {at} has {found} channels; all other stages double them, to {would_be} here");
            return report(subject, findings, node.node, message, CODE.level);
        }
    }
}

/// Each stage halves the image, but for one; stages that are dilated instead do so on purpose.
fn strides(subject: &Subject, dominant: &DominantPattern, form: &Form, findings: &mut Vec<Finding>) {
    let stages = &subject.anatomy.stages;
    let halving = match form.stride_in {
        StrideIn::First => 1..stages.len(),
        StrideIn::Last => 0..stages.len() - 1,
    };
    let dilated = subject.anatomy.blocks.iter().any(|block| block.dilation > 1);
    let odd: Vec<usize> = halving.clone().filter(|&at| stages[at].stride != 2).collect();
    let [at] = odd[..] else { return };
    if dilated || halving.len() < 2 || !dominant.known {
        return;
    }
    if let Some(block) = first_block(subject, at) {
        let message = match halving.len() - 1 {
            1 => format!("stage {at} has stride {}; the other one halves the image", stages[at].stride),
            more => format!("stage {at} has stride {}; the other {more} halve the image", stages[at].stride),
        };
        // A last stage that keeps its size is a common choice where positions matter.
        let level = if at + 1 == halving.end { Level::Note } else { CODE.level };
        let node = block.path.conv.as_ref().map_or(block.add, |conv| conv.node);
        report(subject, findings, node, message, level);
    }
}

/// One stage has more or fewer blocks than a known network in everything else.
fn depths(subject: &Subject, form: &Form, findings: &mut Vec<Finding>) {
    if form.standard_name().is_some() {
        return;
    }
    let counts: Vec<usize> = form.stages.iter().map(|stage| stage.blocks).collect();
    let known: Vec<(String, Vec<usize>)> = match (form.stem, form.block) {
        (StemForm::Small, BlockKind::Basic | BlockKind::Bottleneck) if counts.len() == 3 => {
            let Some(most) = usual(counts.iter().copied()) else { return };
            vec![("the others".to_owned(), vec![most.value; 3])]
        }
        (StemForm::Large | StemForm::Deep, BlockKind::Basic) => depths_of(&[18, 34]),
        (StemForm::Large | StemForm::Deep, BlockKind::Bottleneck) => depths_of(&[50, 101, 152]),
        (StemForm::Small | StemForm::Other, _) | (_, BlockKind::Other) => return,
    };
    // Thin networks are made for tests, with as many blocks as one likes.
    let standard = form.stages.iter().zip([1usize, 2, 4, 8]).all(|(stage, factor)| match form.block {
        BlockKind::Basic => stage.outputs == 64 * factor,
        BlockKind::Bottleneck => stage.outputs == 256 * factor,
        BlockKind::Other => false,
    });
    if form.stem != StemForm::Small && !standard {
        return;
    }
    for (name, blocks) in known.iter().filter(|(_, blocks)| blocks.len() == counts.len()) {
        let odd: Vec<usize> = (0..counts.len()).filter(|&at| counts[at] != blocks[at]).collect();
        let [at] = odd[..] else { continue };
        if counts[at].abs_diff(blocks[at]) > 2 {
            continue;
        }
        let Some(last) = subject.anatomy.blocks.get(subject.anatomy.stages[at].blocks.end - 1) else { continue };
        let list: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        let message =
            format!("stage {at} has {}, and all else is as in {name} ({} blocks)", plural(counts[at]), list.join(", "));
        return report(subject, findings, last.add, message, CODE.level);
    }
}

fn plural(blocks: usize) -> String {
    if blocks == 1 { "1 block".to_owned() } else { format!("{blocks} blocks") }
}

fn depths_of(depths: &[usize]) -> Vec<(String, Vec<usize>)> {
    let blocks = |depth: &usize| {
        let form = Form::named(&format!("resnet{depth}")).into_iter().next()?;
        Some((format!("ResNet-{depth}"), form.stages.iter().map(|stage| stage.blocks).collect()))
    };
    depths.iter().filter_map(blocks).collect()
}
