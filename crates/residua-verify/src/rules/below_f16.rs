//! Weights that are zero in float16.

use residua_ir::{DType, Finding, Level, Role};

use crate::Subject;

residua_ir::code! {
    /// The model is to be kept in float16, and some values of a tensor that are not zero are zero there: below 3e-8
    /// nothing is left.
    ///
    /// ## Why it matters
    ///
    /// A few such weights change nothing. Where many of a tensor vanish, and above all where a variance does, the layer
    /// computes something else.
    ///
    /// ## Example
    ///
    /// `layer4.2.bn1: 7 of the 512 values of layer4.2.bn1.running_var are zero in float16`
    ///
    /// ## How to mend it
    ///
    /// Fold batch norms into the convolutions first, keep this layer in float32, or use bfloat16.
    pub(super) static CODE = Warning R310 "below-float16";
}

/// Of a kernel, one value in so many may vanish without a word of warning: it is nothing beside the others.
const FEW: usize = 100;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    if subject.dtype != Some(DType::F16) {
        return;
    }
    for (parameter, statistics) in subject.statistics() {
        let Ok(found) = statistics else { continue };
        if found.below_f16 == 0 || parameter.role == Role::Counter {
            continue;
        }
        let (count, name) = (parameter.tensor.len(), &parameter.name);
        let message = format!("{} of the {count} values of `{name}` are zero in float16", found.below_f16);
        let few = parameter.role != Role::Statistic && found.below_f16 <= count / FEW;
        let level = if few { Level::Note } else { CODE.level };
        let help = "fold batch norms first, keep this layer in float32, or use bfloat16";
        findings.push(subject.about(&CODE, parameter, message, help).leveled(level));
    }
}
