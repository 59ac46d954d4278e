//! Weights that have to be renamed for the model code of a runtime.

use residua_ir::Finding;

use crate::Subject;
use crate::targets::Fit;

residua_ir::code! {
    /// The model code of the runtime builds this network, and asks for its tensors by other names, or in another container.
    ///
    /// ## Why it matters
    ///
    /// The file itself does not load there; what `convert` makes of it does, and computes the same.
    ///
    /// ## Example
    ///
    /// A checkpoint of Hugging Face, for candle's ResNet, which asks for torchvision's names.
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL OUT.safetensors --layout candle`, which proves that the function is kept.
    pub(super) static CODE = Target Note R409 "target-names";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, library, fit) in subject.weight_targets() {
        if matches!(fit, Fit::Renamed) {
            let message = format!("{} builds this network, and asks for its tensors by other names", runtime.about);
            let help = format!("`residua convert OUT.safetensors --layout {library}` gives them these names");
            findings.push(Finding::new(&CODE, message, help));
        }
    }
}
