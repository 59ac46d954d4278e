//! Weights that are infinite or no number.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// A tensor holds values that are infinite or NaN.
    ///
    /// ## Why it matters
    ///
    /// Everything the layer computes, and everything behind it, is then NaN as well.
    ///
    /// ## Example
    ///
    /// `2 of the 36864 values of conv2/kernel are infinite or NaN`: training diverged, or a value was beyond the range
    /// of float16 when it was saved.
    ///
    /// ## How to fix it
    ///
    /// Take an earlier checkpoint, or convert again with a wider float type.
    pub(super) static CODE = Values Error R301 "non-finite-weight";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (parameter, statistics) in subject.statistics() {
        if let Ok(found) = statistics
            && found.non_finite() > 0
        {
            let (count, name) = (parameter.tensor.len(), &parameter.name);
            let message = format!("{} of the {count} values of `{name}` are infinite or NaN", found.non_finite());
            let help = "take an earlier checkpoint, or convert with a wider float type";
            findings.push(subject.about(&CODE, parameter, message, help));
        }
    }
}
