//! Pickles that would run code where Python loads them.

use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// A PyTorch file is a pickle, and a pickle is a program: where Python loads it, it calls what the file names. This
    /// one names something that is no constructor of plain data.
    ///
    /// ## Why it matters
    ///
    /// Here nothing is ever called, so the weights are what they are; but whoever opens the file with
    /// `torch.load(weights_only=False)` runs that call. A harmless class of somebody's training script is named here as
    /// well: nobody can tell from its name what it does.
    ///
    /// ## Example
    ///
    /// `posix.system` in a checkpoint that was downloaded.
    ///
    /// ## How to fix it
    ///
    /// Convert the file to safetensors, which can hold no code, and ask where it came from.
    pub(super) static CODE = Graph Warning R107 "pickle-calls-code";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    findings.extend(subject.model.graph().source().dangers.iter().map(|danger| {
        Finding::new(
            &CODE,
            format!("where Python loads this file, {danger}"),
            "convert it to safetensors, and do not load it with `weights_only=False`",
        )
    }));
}
