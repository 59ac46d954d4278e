//! Weights that float16 cannot hold.

use residua_ir::{DType, Finding, Role};

use crate::Subject;

residua_ir::code! {
    /// The model is to be kept in float16, and finite values of a tensor are infinite there: 65504 is the largest that
    /// it has.
    ///
    /// ## Why it matters
    ///
    /// An infinite weight makes everything behind it infinite or NaN. bfloat16 has the range of float32 and is not
    /// concerned.
    ///
    /// ## Example
    ///
    /// `bn1: 2 of the 64 values of bn1.running_var are beyond 65504, the largest magnitude is 1.2e5`
    ///
    /// ## How to fix it
    ///
    /// Fold batch norms into the convolutions first (their variances are what is large as a rule), keep this layer in
    /// float32, or use bfloat16.
    pub(super) static CODE = Values Error R309 "beyond-float16";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    if subject.dtype != Some(DType::F16) {
        return;
    }
    for (parameter, statistics) in subject.statistics() {
        let Ok(found) = statistics else { continue };
        if found.beyond_f16 == 0 || parameter.role == Role::Counter {
            continue;
        }
        let (count, name) = (parameter.tensor.len(), &parameter.name);
        let largest = found.max.max(-found.min);
        let message = format!(
            "{} of the {count} values of `{name}` are beyond 65504, the largest magnitude is {largest:e}",
            found.beyond_f16
        );
        let help = "fold batch norms first, keep this layer in float32, or use bfloat16";
        findings.push(subject.about(&CODE, parameter, message, help));
    }
}
