//! Tensors whose elements are not those that their shape asks for.

use residua_formats::Problem;
use residua_formats::onnx::schema::{DataLocation, TensorProto};
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
    /// ## How to fix it
    ///
    /// Export the model again.
    pub(super) static CODE = OnnxText Error R606 "malformed-tensor";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let tensors = text.graph().map(|graph| &graph.initializer[..]).unwrap_or_default();
    let inside = tensors.iter().filter(|tensor| tensor.data_location != DataLocation::External as i32);
    for tensor in inside.filter(|tensor| !is_whole(tensor)) {
        if let Err(error) = text.file().tensor(tensor)
            && matches!(error.problem, Problem::Malformed { .. })
        {
            findings.push(Finding::new(&CODE, error.to_string(), "export the model again").of_tensor(&tensor.name));
        }
    }
}

/// Whether the elements lie in a field of their type and are as many as the shape says, which is known without reading
/// them.
fn is_whole(tensor: &TensorProto) -> bool {
    let TensorProto { float_data, int32_data, int64_data, double_data, uint64_data, .. } = tensor;
    let lens = [float_data.len(), int32_data.len(), int64_data.len(), double_data.len(), uint64_data.len()];
    let mut sizes = tensor.dims.iter().map(|&size| usize::try_from(size).ok());
    let count = sizes.try_fold(1usize, |count, size| count.checked_mul(size?));
    tensor.raw_data.is_empty() && count.is_some_and(|count| count > 0 && lens.iter().sum::<usize>() == count)
}
