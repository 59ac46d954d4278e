//! Weights that are zero in float16.

use residua_ir::{DType, Finding, Level, Op, Parameter};

use crate::Subject;

residua_ir::code! {
    /// The model is to be kept in float16, and some values of a tensor that are not zero are zero there: below 3e-8
    /// nothing is left.
    ///
    /// ## Why it matters
    ///
    /// A few such weights of a kernel change nothing, nor do biases: they are added to values of quite another size. Where
    /// many of a kernel vanish the layer computes something else, and where a variance does beside an epsilon that is as
    /// small. Where that epsilon is 0 the layer divides by zero, and it is an error.
    ///
    /// ## Example
    ///
    /// `conv1: 9000 of the 9408 values of conv1.weight are zero in float16`: the kernel is small and the scale of its norm
    /// large.
    ///
    /// ## How to fix it
    ///
    /// Fold batch norms into the convolutions first, keep this layer in float32, or use bfloat16.
    pub(super) static CODE = Values Warning R310 "below-float16";
}

/// Of a kernel, one value in so many may vanish without a word: it is nothing beside the others.
const FEW: usize = 100;

/// An epsilon below this does not stand in for a variance that vanished.
const SMALL: f64 = 1e-6;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    if subject.dtype != Some(DType::F16) {
        return;
    }
    let mut report = |parameter: &Parameter, zero: usize, level: Level| {
        let message =
            format!("{zero} of the {} values of `{}` are zero in float16", parameter.tensor.len(), parameter.name);
        let help = "fold batch norms first, keep this layer in float32, or use bfloat16";
        findings.push(subject.about(&CODE, parameter, message, help).leveled(level));
    };
    for (parameter, statistics) in subject.kernels() {
        if let Ok(found) = statistics
            && found.below_f16 > parameter.tensor.len() / FEW
        {
            report(parameter, found.below_f16, CODE.level);
        }
    }
    for node in subject.model.graph().nodes() {
        let Op::BatchNorm(norm) = node.op else { continue };
        let variance = node.inputs.get(4).and_then(|&value| subject.statistics_of(value));
        if let Some((parameter, found)) = variance.filter(|(_, found)| norm.epsilon < SMALL && found.below_f16 > 0) {
            let level = if norm.epsilon == 0.0 { Level::Error } else { CODE.level };
            report(parameter, found.below_f16, level);
        }
    }
}
