//! Pools that differ from those of the other shortcuts.

use std::collections::BTreeSet;

use residua_ir::{AvgPool, Finding, MaxPool, NodeId, Op};
use residua_resnet::anatomy::Step;

use crate::Subject;
use crate::majority::usual;

residua_ir::code! {
    /// The pool on the shortcut of one block is another than on those of the others: a mean instead of a maximum,
    /// another window or stride.
    ///
    /// ## Why it matters
    ///
    /// The shapes fit, and the block adds something else than its siblings do.
    ///
    /// ## Example
    ///
    /// `conv4_block6 shortcut: AvgPool 2x2 with stride 2; the other 2 are MaxPool 1x1 with stride 2`
    ///
    /// ## How to fix it
    ///
    /// Give it the pool that the others have.
    pub(super) static CODE = Topology Warning R215 "mixed-pooling";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    let seen = subject.anatomy.blocks.iter().filter(|block| !block.unseen.shortcut);
    // What keeps the size has another pool than what halves it, if any.
    let strided: BTreeSet<usize> = seen.clone().map(|block| block.stride).collect();
    for stride in strided {
        let of_shortcuts = seen.clone().filter(|block| block.stride == stride);
        let pools: Vec<(NodeId, String)> = of_shortcuts
            .flat_map(|block| block.path.nodes.iter().zip(&block.path.steps))
            .filter(|(_, step)| **step == Step::Pool)
            .filter_map(|(&node, _)| Some((node, described(&graph.node(node).op)?)))
            .collect();
        compare(subject, &pools, findings);
    }
}

fn compare(subject: &Subject, pools: &[(NodeId, String)], findings: &mut Vec<Finding>) {
    let Some(most) = usual(pools.iter().map(|(_, pool)| pool)) else { return };
    if most.total < 3 || most.total - most.count != 1 {
        return;
    }
    for (node, pool) in pools.iter().filter(|(_, pool)| pool != most.value) {
        let message = format!("it is {pool}; the other {} on shortcuts are {}", most.count, most.value);
        findings.push(Finding::new(&CODE, message, "give it the pool that the others have").at(subject.layer(*node)));
    }
}

/// What a pool is. How it pads is left out: that depends on the size.
fn described(op: &Op) -> Option<String> {
    let (name, kernel, strides) = if let Op::MaxPool(MaxPool { kernel, strides, .. }) = op {
        ("MaxPool", kernel, strides)
    } else if let Op::AvgPool(AvgPool { kernel, strides, .. }) = op {
        ("AvgPool", kernel, strides)
    } else {
        return None;
    };
    // A window of one pixel that does not move passes everything on.
    let does_nothing = *kernel == [1, 1] && *strides == [1, 1];
    (!does_nothing).then(|| format!("{name} {}x{} with stride {}", kernel[0], kernel[1], strides[0].max(strides[1])))
}
