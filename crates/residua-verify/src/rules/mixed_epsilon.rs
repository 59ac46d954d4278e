//! Batch norms of one network with different epsilons.

use std::collections::BTreeMap;

use residua_ir::{Finding, Op};

use crate::Subject;

residua_ir::code! {
    /// A few batch norms have another epsilon than the rest.
    ///
    /// ## Why it matters
    ///
    /// Frameworks have different defaults (Keras 1e-3, Keras Applications 1.001e-5, PyTorch 1e-5), and a layer that was
    /// rebuilt with the default of another one computes something slightly different, most where variances are small.
    ///
    /// ## Example
    ///
    /// `epsilon is 1e-3 here and 1.001e-5 in 52 of 53 batch norms`
    ///
    /// ## How to mend it
    ///
    /// Set the epsilon to the one that the layer was trained with.
    pub(super) static CODE = Warning R203 "mixed-epsilon";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    let mut by_epsilon: BTreeMap<u32, (f64, Vec<&str>)> = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::BatchNorm(norm) = &node.op {
            // Formats that keep it as f32 do not make it another one.
            #[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
            let key = (norm.epsilon as f32).to_bits();
            by_epsilon.entry(key).or_insert((norm.epsilon, Vec::new())).1.push(&graph.layer(node.layer).name);
        }
    }
    let total: usize = by_epsilon.values().map(|(_, layers)| layers.len()).sum();
    let Some((usual, count)) = by_epsilon.values().map(|(eps, layers)| (*eps, layers.len())).max_by_key(|e| e.1) else {
        return;
    };
    // Few exceptions among many are worth a word; two halves are two models joined on purpose.
    if count == total || count * 4 < total * 3 {
        return;
    }
    let help = "set the epsilon that the layer was trained with";
    for (epsilon, layers) in by_epsilon.values().filter(|(_, layers)| layers.len() != count) {
        for layer in layers {
            let message = format!("epsilon is {epsilon:e} here and {usual:e} in {count} of {total} batch norms");
            findings.push(Finding::new(&CODE, message, help).at(*layer));
        }
    }
}
