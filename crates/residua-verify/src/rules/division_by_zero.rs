//! Tensors that are divided by, and are zero.

use residua_ir::{Elementwise, Finding, Hint, Op};

use crate::Subject;

residua_ir::code! {
    /// The model divides by zero: the variance of some channels of a batch norm and its epsilon come to 0, or a tensor that
    /// is divided by holds 0.
    ///
    /// ## Why it matters
    ///
    /// What such a channel gives is infinite or NaN whatever the input is, and so is everything behind it. An epsilon is
    /// there to keep that from happening; frozen norms of detection networks have none.
    ///
    /// ## Example
    ///
    /// `bn1: 2 of 64 channels are divided by zero: bn1.running_var is 0 there, and the epsilon is 0`
    ///
    /// ## How to fix it
    ///
    /// Where the epsilon was not meant to be 0, say the right one (`--epsilon`). Otherwise the channel was never used, or
    /// the tensor was not loaded: take the checkpoint that was meant.
    pub(super) static CODE = Values Error R311 "division-by-zero";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let graph = subject.model.graph();
    for node in graph.nodes() {
        // Operand that a variance is, or what else is divided by; what is added to it.
        let (operand, epsilon, is_norm) = if let Op::BatchNorm(norm) = node.op {
            (4, norm.epsilon, true)
        } else if node.op == Op::Elementwise(Elementwise::Div) {
            (1, 0.0, false)
        } else {
            continue;
        };
        let Some((divisor, found)) = node.inputs.get(operand).and_then(|&value| subject.statistics_of(value)) else {
            continue;
        };
        // Only where both signs or none are there can a sum be 0; most tensors need no second look.
        if !divisor.tensor.dtype().is_float() || found.min + epsilon > 0.0 || found.max + epsilon < 0.0 {
            continue;
        }
        let Ok(values) = divisor.tensor.to_f64() else { continue };
        let zero = values.iter().filter(|&&value| value + epsilon == 0.0).count();
        if zero == 0 {
            continue;
        }
        let (total, name) = (values.len(), &divisor.name);
        let message = if !is_norm {
            format!("{zero} of the {total} values of `{name}`, which is divided by, are 0")
        } else if epsilon == 0.0 {
            format!("{zero} of {total} channels are divided by zero: `{name}` is 0 there, and the epsilon is 0")
        } else {
            format!(
                "{zero} of {total} channels are divided by zero: `{name}` is {:e}, the epsilon {epsilon:e}",
                -epsilon
            )
        };
        let help = format!("say the right epsilon (`{}`), or take the checkpoint that was meant", Hint::Epsilon);
        findings.push(subject.about(&CODE, divisor, message, &help).at(&graph.layer(node.layer).name));
    }
}
