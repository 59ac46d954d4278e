//! Tensors whose elements are not those that their shape asks for.

use residua_formats::Problem;
use residua_formats::onnx::schema::DataLocation;
use residua_ir::Finding;

use crate::OnnxText;

residua_ir::code! {
    /// A tensor of the ONNX model has more or fewer elements than its shape says, or a shape that is none.
    ///
    /// ## Why it matters
    ///
    /// The file was cut off or edited on one side only. Runtimes refuse the model, or read what lies behind the tensor.
    ///
    /// ## Example
    ///
    /// `conv1.weight: expected as many elements as the shape says, found 37632 bytes for [64, 3, 7, 7] of f32`
    ///
    /// ## How to mend it
    ///
    /// Export the model again.
    pub(super) static CODE = Error R606 "malformed-tensor";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let tensors = text.graph().map(|graph| &graph.initializer[..]).unwrap_or_default();
    for tensor in tensors.iter().filter(|tensor| tensor.data_location != DataLocation::External as i32) {
        if let Err(error) = text.file().tensor(tensor)
            && matches!(error.problem, Problem::Malformed { .. })
        {
            findings.push(Finding::new(&CODE, error.to_string(), "export the model again").of_tensor(&tensor.name));
        }
    }
}
