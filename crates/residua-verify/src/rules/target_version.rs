//! Versions of the format and of operator sets that a runtime does not take.

use std::ops::RangeInclusive;

use residua_ir::{Finding, Level};

use crate::Subject;
use crate::onnx::domain;
use crate::targets::Domains;

residua_ir::code! {
    /// The ONNX model is of an IR version, or uses an operator set, that the runtime refuses. A version that it takes and
    /// is not tested with is a note.
    ///
    /// ## Why it matters
    ///
    /// Runtimes look at the versions first and refuse the whole model, however plain its operators are. New exporters
    /// write new versions, and the runtime of a product is often older.
    ///
    /// ## Example
    ///
    /// `ONNX Runtime 1.17 opens IR versions 3 to 9, the model is of 10`
    ///
    /// ## How to fix it
    ///
    /// Write the model with older versions: `residua convert MODEL OUT.onnx --opset 17` is of IR version 8, which nearly
    /// all runtimes open. Or take a newer release of the runtime.
    pub(super) static CODE = Target Error R401 "target-version";
}

const HELP: &str = "`residua convert --opset 17` writes IR version 8, which nearly all runtimes open";

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, takes, text) in subject.onnx_targets() {
        let mut report = |level: Level, message: String| {
            findings.push(Finding::new(&CODE, message, HELP).leveled(level));
        };
        let about = runtime.about;
        let (ir, opset) = (text.model().ir_version, text.opset("").unwrap_or(1));
        if !takes.ir.contains(&ir) {
            report(CODE.level, format!("{about} opens IR versions {}, the model is of {ir}", range(&takes.ir)));
        }
        if !takes.opsets.contains(&opset) {
            let range = range(&takes.opsets);
            report(CODE.level, format!("{about} has the operator sets {range}, the model uses {opset}"));
        } else if !takes.promised.contains(&opset) {
            let range = range(&takes.promised);
            let message = format!("{about} is tested with the operator sets {range}, the model uses {opset}");
            report(Level::Note, message);
        }
        let declared = text.model().opset_import.iter().find(|set| !set.domain.is_empty());
        if let (Domains::NoneDeclared, Some(set)) = (&takes.domains, declared) {
            let named = if domain(&set.domain).is_empty() { "by the name" } else { "of" };
            report(CODE.level, format!("{about} refuses models that declare operators {named} `{}`", set.domain));
        }
    }
}

/// `3 to 9`, `up to 24`.
fn range(versions: &RangeInclusive<i64>) -> String {
    match (versions.start(), versions.end()) {
        (..=1, end) => format!("up to {end}"),
        (start, end) => format!("{start} to {end}"),
    }
}
