//! Values whose declared type is not the one that follows from the graph.

use std::collections::HashMap;

use residua_formats::onnx::schema::{DataType, DimensionValue, TensorShapeProto, TypeValue, ValueInfoProto};
use residua_ir::{Finding, TensorType, ValueKind};

use crate::Subject;

residua_ir::code! {
    /// The file declares another shape or element type for a value than follows from the nodes before it. Only sizes that
    /// are numbers on both sides can differ; a name for a size contradicts nothing.
    ///
    /// ## Why it matters
    ///
    /// One of both is wrong: the exporter's idea of the network, or what it wrote. Runtimes trust the one or the other,
    /// and allocate memory by it.
    ///
    /// ## Example
    ///
    /// `layer2.0.conv2: /layer2/conv2_output_0 is declared [1, 128, 28, 28], and follows as [1, 128, 56, 56]`: the stride
    /// was changed after the export.
    ///
    /// ## How to fix it
    ///
    /// Export the model again. Where the graph is what is meant, `residua convert MODEL.onnx OUT.onnx` declares what
    /// follows from it.
    pub(super) static CODE = Graph Error R112 "declared-shape";
}

/// Further contradictions mostly follow from the first ones.
const TOLD: usize = 8;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(declared) = subject.onnx_file().and_then(|text| text.graph()) else { return };
    let declared = declared.value_info.iter().chain(&declared.output);
    let declared: HashMap<&str, &ValueInfoProto> = declared.map(|info| (info.name.as_str(), info)).collect();
    let graph = subject.model.graph();
    let mut found = Vec::new();
    for id in graph.value_ids() {
        let value = graph.value(id);
        let (ValueKind::Computed { .. }, Some(inferred)) = (&value.kind, subject.model.type_of(id)) else { continue };
        let Some(text) = declared.get(value.name.raw()).and_then(|info| contradiction(info, inferred)) else {
            continue;
        };
        let message = format!("`{}` is declared {text}", value.name);
        let help = "export the model again, or let `residua convert` declare what follows from the graph";
        found.push(Finding::new(&CODE, message, help).at(subject.origin(id)));
    }
    let more = found.len().saturating_sub(TOLD);
    found.truncate(TOLD);
    if let (Some(last), 1..) = (found.last_mut(), more) {
        last.message = format!("{} (and {more} more of the kind behind it)", last.message).into();
    }
    findings.extend(found);
}

/// In what a declaration contradicts a type, as `X, and follows as Y`.
fn contradiction(info: &ValueInfoProto, inferred: &TensorType) -> Option<String> {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    if let Some(declared) = DataType::read_as(tensor.elem_type).filter(|&declared| declared != inferred.dtype) {
        return Some(format!("{declared}, and follows as {}", inferred.dtype));
    }
    let shape = tensor.shape.as_ref()?;
    let differs = |(declared, size): (&Option<DimensionValue>, Option<usize>)| match (declared, size) {
        (Some(DimensionValue::Value(declared)), Some(size)) => usize::try_from(*declared) != Ok(size),
        (Some(DimensionValue::Value(_) | DimensionValue::Param(_)) | None, _) => false,
    };
    let sizes = inferred.shape.dims().iter().map(residua_ir::Dim::fixed);
    let declared = shape.dim.iter().map(|dim| &dim.value);
    let contradicts = shape.dim.len() != inferred.shape.rank() || declared.zip(sizes).any(differs);
    contradicts.then(|| format!("{}, and follows as {}", shown(shape), inferred.shape))
}

fn shown(shape: &TensorShapeProto) -> String {
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Value(size)) => size.to_string(),
        Some(DimensionValue::Param(name)) if !name.is_empty() => name.clone(),
        Some(DimensionValue::Param(_)) | None => "?".to_owned(),
    };
    let sizes: Vec<String> = shape.dim.iter().map(|dim| size(&dim.value)).collect();
    format!("[{}]", sizes.join(", "))
}
