//! Normalisations of one network with different epsilons.

use residua_ir::{Finding, NodeId, Op};

use crate::Subject;
use crate::majority::usual;

residua_ir::code! {
    /// A few normalisations have another epsilon than the rest.
    ///
    /// ## Why it matters
    ///
    /// Frameworks have different defaults (Keras 1e-3, Keras Applications 1.001e-5, PyTorch 1e-5), and a layer that was
    /// rebuilt with the default of another one computes something slightly different, most where variances are small.
    /// Norms of a head that was put on top are not compared.
    ///
    /// ## Example
    ///
    /// `conv3_block2_1_bn: epsilon is 1e-3 here and 1.001e-5 in the other 52 norms`
    ///
    /// ## How to fix it
    ///
    /// Set the epsilon to the one that the layer was trained with.
    pub(super) static CODE = Topology Warning R203 "mixed-epsilon";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    let epsilons: Vec<(NodeId, f64)> = norms(subject)
        .into_iter()
        .filter(|&node| matches!(graph.node(node).op, Op::BatchNorm(_) | Op::GroupNorm(_)))
        .filter_map(|node| Some((node, graph.node(node).op.describe().epsilon?)))
        .collect();
    let Some(most) = usual(epsilons.iter().map(|(_, epsilon)| key(*epsilon))) else { return };
    // Few exceptions among many are worth a word; two halves are two models joined on purpose.
    if most.count == most.total || most.count * 4 < most.total * 3 {
        return;
    }
    let usual = f32::from_bits(most.value);
    for (node, epsilon) in epsilons.iter().filter(|(_, epsilon)| key(*epsilon) != most.value) {
        let message = format!("epsilon is {epsilon:e} here and {usual:e} in the other {} norms", most.count);
        let help = "set the epsilon that the layer was trained with";
        findings.push(Finding::new(&CODE, message, help).at(subject.layer(*node)));
    }
}

/// Formats that keep an epsilon as f32 do not make it another one.
#[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
fn key(epsilon: f64) -> u32 {
    (epsilon as f32).to_bits()
}

/// Those of stem and blocks; all of them where there are no blocks.
fn norms(subject: &Subject) -> Vec<NodeId> {
    let anatomy = subject.anatomy;
    if anatomy.blocks.is_empty() {
        return subject.model.graph().node_ids().collect();
    }
    let of_blocks = anatomy.blocks.iter().flat_map(|block| block.norms.iter().copied().chain(block.path.norm));
    let of_stem = anatomy.stem.convs.iter().filter_map(|conv| conv.norm);
    let loose = anatomy.loose.iter().flat_map(|loose| &loose.convs).filter_map(|conv| conv.norm);
    let mut all: Vec<NodeId> = of_stem.chain(of_blocks).chain(loose).chain(anatomy.head.norm).collect();
    all.sort();
    all.dedup();
    all
}
