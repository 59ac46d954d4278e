//! Inputs of free sizes, for a runtime that takes none.

use residua_formats::onnx::schema::{DimensionValue, TypeValue, ValueInfoProto};
use residua_ir::Finding;

use crate::Subject;

residua_ir::code! {
    /// An input of the ONNX model has a size that is left free, such as the batch, and the runtime wants all of them fixed.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded.
    ///
    /// ## Example
    ///
    /// `wonnx 0.5 takes fixed sizes only, input pixels leaves its sizes 0, 2 and 3 free`
    ///
    /// ## How to mend it
    ///
    /// Fix them when the model is written: `residua convert MODEL OUT.onnx --input-shape 1,3,224,224`.
    pub(super) static CODE = Error R405 "target-free-size";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, _, text) in subject.onnx_targets().filter(|(_, takes, _)| !takes.free_sizes) {
        let Some(graph) = text.graph() else { continue };
        let is_tensor = |info: &&ValueInfoProto| graph.initializer.iter().any(|tensor| tensor.name == info.name);
        for input in graph.input.iter().filter(|input| !is_tensor(input)) {
            let free = free(input);
            let axes = match &free[..] {
                [] => continue,
                [only] => format!("size {only}"),
                [before @ .., last] => format!("sizes {} and {last}", before.join(", ")),
            };
            let message =
                format!("{} takes fixed sizes only, input `{}` leaves its {axes} free", runtime.about, input.name);
            let help = "fix them: `residua convert --input-shape`";
            findings.push(Finding::new(&CODE, message, help));
        }
    }
}

/// Axes whose size is no number.
fn free(input: &ValueInfoProto) -> Vec<String> {
    let value = input.r#type.as_ref().and_then(|ty| ty.value.as_ref());
    let Some(TypeValue::Tensor(tensor)) = value else { return Vec::new() };
    let dims = tensor.shape.iter().flat_map(|shape| shape.dim.iter().enumerate());
    let is_free = |value: &Option<DimensionValue>| !matches!(value, Some(DimensionValue::Value(1..)));
    dims.filter(|(_, dim)| is_free(&dim.value)).map(|(axis, _)| axis.to_string()).collect()
}
