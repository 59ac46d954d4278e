//! Networks without any shortcut.

use residua_ir::{Finding, Level, Op};
use residua_resnet::Family;

use crate::Subject;

residua_ir::code! {
    /// The network is a chain of convolutions without any shortcut.
    ///
    /// ## Why it matters
    ///
    /// That is what VGG and the plain networks of He et al. 2015 are, and what is left of a residual network whose
    /// additions were lost. Where its name says ResNet, or where it repeats bottlenecks, which nobody builds without
    /// shortcuts, it is a warning.
    ///
    /// ## Example
    ///
    /// `plain50: 16 times 1x1, 3x3, 1x1 without a shortcut`
    ///
    /// ## How to fix it
    ///
    /// Nothing for a network that is meant to be plain. Otherwise look for where the additions went when the model was
    /// exported.
    pub(super) static CODE = Topology Note R216 "plain-network";
}

/// Fewer convolutions than this are no deep network.
const LEAST: usize = 8;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(architecture) = subject.anatomy.architecture.as_ref().filter(|a| a.family == Family::Plain) else {
        return;
    };
    let total = subject.anatomy.plain.total;
    if total < LEAST {
        return;
    }
    let names = subject.called.iter().copied().chain([subject.model.graph().name().raw()]);
    let says = names.map(str::to_ascii_lowercase).any(|name| name.contains("resnet") || name.contains("resnext"));
    let bottlenecks = bottlenecks(subject);
    let mut message = format!("{total} convolutions and no shortcut");
    if bottlenecks >= 3 {
        message = format!("{message}; {bottlenecks} times 1x1, 3x3, 1x1, as bottlenecks have it");
    }
    if says {
        message = format!("{message}; the name says that it is a residual network");
    }
    let level = if says || bottlenecks >= 3 { Level::Warning } else { CODE.level };
    let help = "nothing, for a network that is meant to be plain; otherwise look for where its additions went";
    findings.push(Finding::new(&CODE, message, help).at(&architecture.name).leveled(level));
}

/// How often 1x1, 3x3, 1x1 with all channels follow each other.
fn bottlenecks(subject: &Subject) -> usize {
    let graph = subject.model.graph();
    let kernels: Vec<[usize; 2]> = graph
        .nodes()
        .iter()
        .filter(|node| matches!(node.op, Op::Conv(conv) if conv.groups == 1))
        .filter_map(|node| {
            let shape = subject.model.shape_of(*node.inputs.get(1)?)?.as_fixed()?;
            Some([*shape.get(2)?, *shape.get(3)?])
        })
        .collect();
    let bottleneck = [[1, 1], [3, 3], [1, 1]];
    let (mut count, mut at) = (0, 0);
    while at + 3 <= kernels.len() {
        let found = kernels[at..at + 3] == bottleneck;
        count += usize::from(found);
        at += if found { 3 } else { 1 };
    }
    count
}
