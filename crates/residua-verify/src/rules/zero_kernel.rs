//! Kernels that are zero throughout.

use residua_ir::{Finding, Level};

use crate::Subject;

residua_ir::code! {
    /// All values of a kernel are zero, so the layer passes nothing on but its bias.
    ///
    /// ## Why it matters
    ///
    /// Readers that fail silently leave such tensors; so does a checkpoint that was saved before its weights were
    /// loaded. Networks that begin their training with blocks that give nothing have them on purpose, until they are
    /// trained; where no batch norm was ever updated either, that is a note.
    ///
    /// ## Example
    ///
    /// `all 36864 values of layer1.0.conv1.weight are zero`
    ///
    /// ## How to fix it
    ///
    /// Read the file with the framework that wrote it and compare.
    pub(super) static CODE = Values Warning R303 "zero-kernel";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let level = if super::untouched_statistics::is_fresh(subject) { Level::Note } else { CODE.level };
    for (parameter, statistics) in subject.kernels() {
        if let Ok(found) = statistics
            && found.is_all(0.0)
        {
            let message = format!("all {} values of `{}` are zero", parameter.tensor.len(), parameter.name);
            let help = "compare with what the framework that wrote the file reads";
            findings.push(subject.about(&CODE, parameter, message, help).leveled(level));
        }
    }
}
