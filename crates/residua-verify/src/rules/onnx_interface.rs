//! What ONNX asks every graph to say of itself.

use residua_formats::onnx::schema::{TypeValue, ValueInfoProto};
use residua_ir::Finding;

use crate::OnnxText;

residua_ir::code! {
    /// The graph has no name, or an input or output has no name, no type or no shape.
    ///
    /// ## Why it matters
    ///
    /// ONNX asks for these, and its checker refuses the model. Readers differ in what they take where they are missing.
    ///
    /// ## Example
    ///
    /// `output probs has no shape`
    ///
    /// ## How to fix it
    ///
    /// `residua convert MODEL.onnx OUT.onnx` writes them. A shape whose sizes are not known has sizes without a value, and
    /// not no sizes.
    pub(super) static CODE = OnnxText Error R610 "onnx-interface";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let mut report = |message: String| {
        findings.push(Finding::new(&CODE, message, "`residua convert` writes what is missing"));
    };
    let Some(graph) = text.graph() else { return report("the model has no graph".to_owned()) };
    if graph.name.is_empty() {
        report("the graph has no name".to_owned());
    }
    let ends = graph.input.iter().map(|info| ("input", info)).chain(graph.output.iter().map(|info| ("output", info)));
    for (kind, info) in ends {
        if info.name.is_empty() {
            report(format!("an {kind} has no name"));
        } else if let Some(missing) = missing(info) {
            report(format!("{kind} `{}` has no {missing}", info.name));
        }
    }
}

fn missing(info: &ValueInfoProto) -> Option<&'static str> {
    match info.r#type.as_ref().and_then(|ty| ty.value.as_ref()) {
        None => Some("type"),
        Some(TypeValue::Tensor(tensor)) if tensor.elem_type == 0 => Some("element type"),
        Some(TypeValue::Tensor(tensor)) if tensor.shape.is_none() => Some("shape"),
        Some(
            TypeValue::Tensor(_)
            | TypeValue::Sequence(_)
            | TypeValue::Map(_)
            | TypeValue::Opaque(_)
            | TypeValue::SparseTensor(_)
            | TypeValue::Optional(_),
        ) => None,
    }
}
