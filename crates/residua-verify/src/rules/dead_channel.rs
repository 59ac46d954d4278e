//! Channels that pass nothing on.

use residua_ir::{Finding, Level, Op, Parameter, ValueId};

use crate::Subject;

residua_ir::code! {
    /// Some output channels of a layer are zero whatever it is given: all values of their filters are zero, or scale
    /// and offset of their normalisation are.
    ///
    /// ## Why it matters
    ///
    /// They cost time and carry nothing. Pruning leaves such channels on purpose, and training a few, which are a note
    /// only; otherwise part of a tensor was lost. Where the scale of all channels is zero, the whole path is dead: blocks
    /// start so in training (zero-initialised gamma), and a model that was trained does not end so.
    ///
    /// ## Example
    ///
    /// `layer1.0.conv1: 12 of 64 filters of layer1.0.conv1.weight are zero, the first is 3`
    ///
    /// ## How to fix it
    ///
    /// Nothing for a network that was pruned. Otherwise take the checkpoint that was meant.
    pub(super) static CODE = Values Warning R305 "dead-channel";
}

/// Of so many filters, one that is zero is no reason to worry: trained networks have some.
const FEW: usize = 8;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let help = "nothing, for a network that was pruned; otherwise take the checkpoint that was meant";
    for (parameter, statistics) in subject.kernels() {
        let Ok(found) = statistics else { continue };
        // A kernel that is zero throughout has a finding of its own.
        if found.is_all(0.0) {
            continue;
        }
        let zero: Vec<usize> = (0..found.channels.len()).filter(|&at| found.channels[at].zero).collect();
        if let Some(first) = zero.first() {
            let (count, total, name) = (zero.len(), found.channels.len(), &parameter.name);
            let message = format!("{count} of {total} filters of `{name}` are zero, the first is {first}");
            let level = if count * FEW <= total { Level::Note } else { CODE.level };
            findings.push(subject.about(&CODE, parameter, message, help).leveled(level));
        }
    }
    norms(subject, help, findings);
}

fn norms(subject: &Subject, help: &str, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    // Zero-initialised, and not trained yet.
    let level = if super::untouched_statistics::is_fresh(subject) { Level::Note } else { CODE.level };
    let zeros = |value: Option<&ValueId>| -> Option<(&Parameter, Vec<bool>)> {
        let (parameter, found) = subject.statistics_of(*value?)?;
        Some((parameter, found.channels.iter().map(|channel| channel.zero).collect()))
    };
    for node in graph.nodes().iter().filter(|node| matches!(node.op, Op::BatchNorm(_) | Op::GroupNorm(_))) {
        let (Some((scale, scales)), Some((_, offsets))) = (zeros(node.inputs.get(1)), zeros(node.inputs.get(2))) else {
            continue;
        };
        let total = scales.len();
        let scaled = scales.iter().filter(|zero| **zero).count();
        let dead = scales.iter().zip(&offsets).filter(|(scale, offset)| **scale && **offset).count();
        let message = if scaled == total && total > 0 {
            format!("all {total} values of `{}` are zero: the layer gives the same for every input", scale.name)
        } else if dead > 0 {
            format!("scale and offset of {dead} of {total} channels are zero")
        } else {
            continue;
        };
        findings.push(subject.about(&CODE, scale, message, help).at(&graph.layer(node.layer).name).leveled(level));
    }
}
