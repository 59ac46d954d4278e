//! Sums of blocks whose branches have different shapes.

use residua_ir::{Dim, Finding, Level, Shape};
use residua_resnet::anatomy::Block;

use crate::Subject;
use crate::dominant::kernels;
use crate::majority::few;

residua_ir::code! {
    /// The branches of a block have different shapes, and the addition repeats the smaller one: one channel is added to
    /// all, or one row of pixels to all.
    ///
    /// ## Why it matters
    ///
    /// Runtimes broadcast without a word. A residual block adds values of one shape; where a kernel or a stride of one
    /// branch was changed, the network still runs and computes something else. In a network whose other blocks are of a
    /// known form it is an error.
    ///
    /// ## Example
    ///
    /// `layer2.0.add: the branches are [N, 128, 28, 28] and [N, 1, 28, 28], and the smaller one is repeated`
    ///
    /// ## How to fix it
    ///
    /// Give the branch the channels, the stride and the pools that the other one has.
    pub(super) static CODE = Topology Warning R217 "broadcast-branches";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let blocks = &subject.anatomy.blocks;
    let found: Vec<(&Block, Vec<&Shape>)> =
        blocks.iter().filter_map(|block| Some((block, repeated(subject, block)?))).collect();
    // Networks that add what they pooled to every pixel do so in every block.
    if !few(found.len(), blocks.len()) {
        return;
    }
    for (block, shapes) in found {
        let list: Vec<String> = shapes.iter().map(ToString::to_string).collect();
        let message = format!("the branches are {}, and the smaller one is repeated", list.join(" and "));
        let help = "give the branch the channels, the stride and the pools that the other one has";
        let usual = subject.dominant().filter(|dominant| dominant.kernels == kernels(block));
        let level = usual.map_or(Level::Warning, |dominant| dominant.level());
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(block.add)).leveled(level));
    }
}

/// The shapes of the branches, where one is repeated.
fn repeated<'s>(subject: &'s Subject, block: &Block) -> Option<Vec<&'s Shape>> {
    let inputs = &subject.model.graph().node(block.add).inputs;
    let shapes: Vec<&Shape> = inputs.iter().map(|&value| subject.model.shape_of(value)).collect::<Option<_>>()?;
    let one = |dim: &Dim| dim.fixed() == Some(1);
    let differ = |a: &Shape, b: &Shape| {
        a.dims().len() != b.dims().len() || a.dims().iter().zip(b.dims()).any(|(a, b)| one(a) != one(b))
    };
    shapes.windows(2).any(|pair| differ(pair[0], pair[1])).then_some(shapes)
}
