//! Weights beside the model, for a runtime that does not read them.

use residua_formats::onnx::schema::{DataLocation, TensorProto};
use residua_ir::Finding;

use crate::Subject;
use crate::targets::External;

residua_ir::code! {
    /// Weights lie in a file beside the ONNX model, and the runtime does not read it, or not as it is described.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded, or only with all tensors missing.
    ///
    /// ## Example
    ///
    /// `wonnx 0.5 reads no external data: conv1.weight and 53 more`
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL.onnx OUT.onnx` puts all weights into the model, up to 2 GiB.
    pub(super) static CODE = Target Error R404 "target-external-data";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, takes, text) in subject.onnx_targets() {
        let outside = |tensor: &&TensorProto| tensor.data_location == DataLocation::External as i32;
        let Some(graph) = text.graph() else { continue };
        let (needed, what) = match takes.external {
            External::Read => continue,
            External::With(needed) => {
                (needed, format!("needs the {} of external data written out", needed.join(" and ")))
            }
            External::Refused => (&[][..], "reads no external data".to_owned()),
        };
        let lacks = |tensor: &&TensorProto| {
            needed.is_empty() || needed.iter().any(|key| !tensor.external_data.iter().any(|entry| entry.key == *key))
        };
        let mut tensors = graph.initializer.iter().filter(outside).filter(lacks);
        let Some(first) = tensors.next() else { continue };
        let more = match tensors.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("{} {what}: `{}`{more}", runtime.about, first.name);
        let help = "`residua convert` puts all weights into the model";
        findings.push(Finding::new(&CODE, message, help).of_tensor(&first.name));
    }
}
