//! What a model says beside what is computed: kept, so that it can be said again.

use std::collections::HashSet;

use residua_formats::onnx::schema::{GraphProto, ModelProto, StringStringEntryProto, ValueInfoProto};
use residua_ir::{Metadata, OnnxHeader, ValueMetadata};

use super::interface::declared;

/// A text, and named values.
pub(super) fn metadata(doc: &str, properties: &[StringStringEntryProto]) -> Metadata {
    let properties = properties.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
    Metadata { doc: doc.to_owned(), properties }
}

/// What the file says of itself.
pub(super) fn header(model: &ModelProto, graph: &GraphProto, opset: i64) -> OnnxHeader {
    let tensors: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let listed = graph.input.iter().map(|info| info.name.as_str());
    OnnxHeader {
        ir_version: model.ir_version,
        opset,
        producer: model.producer_name.clone(),
        producer_version: model.producer_version.clone(),
        domain: model.domain.clone(),
        model_version: model.model_version,
        model: metadata(&model.doc_string, &model.metadata_props),
        graph: metadata(&graph.doc_string, &graph.metadata_props),
        values: values(graph),
        replaceable: listed.filter(|name| tensors.contains(name)).map(str::to_owned).collect(),
    }
}

/// What is said of inputs, outputs, tensors and values in between.
fn values(graph: &GraphProto) -> Vec<ValueMetadata> {
    let of = |info: &ValueInfoProto, is_output: bool| ValueMetadata {
        name: info.name.clone(),
        declared: declared(info).filter(|_| is_output),
        metadata: metadata(&info.doc_string, &info.metadata_props),
    };
    let outputs = graph.output.iter().map(|info| of(info, true));
    let others = graph.input.iter().chain(&graph.value_info).map(|info| of(info, false));
    let tensors = graph.initializer.iter().map(|tensor| ValueMetadata {
        name: tensor.name.clone(),
        declared: None,
        metadata: metadata(&tensor.doc_string, &tensor.metadata_props),
    });
    let all = outputs.chain(others).chain(tensors);
    all.filter(|value| value.declared.is_some() || !value.metadata.is_empty()).collect()
}
