//! What stands around the graph: versions, who wrote it, and what it says of itself. An ONNX source says it all again.

use std::collections::{BTreeMap, HashSet};

use residua_formats::onnx::ir_version;
use residua_formats::onnx::schema::{ModelProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto};
use residua_ir::{Checked, DType, Graph, Shape, ValueKind};

use super::options::OnnxOptions;
use super::proto;
use super::tensors::Initializer;
use super::version::{NEWEST, OLDEST, PORTABLE};
use crate::{EmitError, float, metadata};

/// From this version of the format on, tensors need not be listed among the inputs.
const TENSORS_ALONE: i64 = 4;

/// Keys of ours.
const OURS: &str = "residua.";

/// Keys that say where a model comes from at first, which writing it again does not change.
const FIRST_SOURCE: &str = "residua.source.";

/// The operator set that a model is written in where nobody says another: that of an ONNX source, the nearest one to it,
/// or [`PORTABLE`].
#[must_use]
pub fn natural_opset(graph: &Graph) -> i64 {
    graph.source().onnx.as_ref().map_or(PORTABLE, |header| header.opset.clamp(OLDEST, NEWEST))
}

/// The operator set for a model where nobody says another, of these options otherwise: the [natural one](natural_opset), or
/// where that is too old the first that can, with what asks for it.
///
/// # Errors
/// [`EmitError`] where no operator set can.
pub fn opset_for(model: &Checked, options: &OnnxOptions) -> Result<(i64, Option<String>), EmitError> {
    float::check(options.float)?;
    let natural = natural_opset(model.graph());
    let (mut opset, mut asking) = (natural, None);
    loop {
        match super::plan::plan(model, opset, options) {
            Err(EmitError::Unsupported { node, op, since: Some(since), .. }) if since > opset => {
                (opset, asking) = (since, Some((node, op)));
            }
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let note = asking.map(|(node, op)| format!("opset {opset}, not {natural} as the source: `{node}` ({op}) needs it"));
    Ok((opset, note))
}

/// The float type that a model is written in where nobody says another: that of an ONNX source, or f32.
///
/// A source of several float types has that of its first input, where this holds all weights, and otherwise the widest.
#[must_use]
pub fn natural_float(graph: &Graph) -> DType {
    if graph.source().onnx.is_none() {
        return DType::F32;
    }
    let inputs = graph.inputs().iter().filter_map(|&id| match &graph.value(id).kind {
        ValueKind::Input(input) => Some(input.dtype),
        ValueKind::Parameter(_) | ValueKind::Computed { .. } => None,
    });
    let first = inputs.filter(|dtype| dtype.is_float()).take(1);
    let holds_all = |dtype: &DType| !float::rounds(float::weights(graph), *dtype);
    let narrow_first = [DType::F16, DType::BF16, DType::F32, DType::F64];
    first.chain(narrow_first).find(holds_all).unwrap_or(DType::F32)
}

/// The model without its graph.
pub(super) fn header(graph: &Graph, options: &OnnxOptions, domains: &BTreeMap<String, i64>) -> ModelProto {
    let opset = options.opset;
    let own = OperatorSetIdProto { domain: String::new(), version: opset };
    let others = domains.iter().map(|(domain, &version)| OperatorSetIdProto { domain: domain.clone(), version });
    let model = ModelProto {
        ir_version: ir_version(opset),
        producer_name: options.producer.clone(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: std::iter::once(own).chain(others).collect(),
        metadata_props: about(graph, options),
        ..ModelProto::default()
    };
    let Some(source) = &graph.source().onnx else { return model };
    ModelProto {
        ir_version: if source.opset == opset { source.ir_version } else { model.ir_version },
        producer_name: source.producer.clone(),
        producer_version: source.producer_version.clone(),
        domain: source.domain.clone(),
        model_version: source.model_version,
        doc_string: source.model.doc.clone(),
        ..model
    }
}

/// What the source says, and where the model comes from; what a model of ours says of that already holds.
fn about(graph: &Graph, options: &OnnxOptions) -> Vec<StringStringEntryProto> {
    let said = graph.source().onnx.as_ref().map(|header| proto::entries(&header.model)).unwrap_or_default();
    let (before, mut entries): (Vec<_>, Vec<_>) = said.into_iter().partition(|entry| entry.key.starts_with(OURS));
    let again = before.iter().any(|entry| entry.key.starts_with(FIRST_SOURCE));
    let layout = ("residua.input_layout", options.input_layout.name().to_owned());
    let now = metadata::entries(graph).into_iter().chain([layout]);
    let now = now.filter(|(key, _)| !(again && key.starts_with(FIRST_SOURCE)));
    let mut ours: BTreeMap<String, String> = before.into_iter().map(|entry| (entry.key, entry.value)).collect();
    ours.extend(now.map(|(key, value)| (key.to_owned(), value)));
    entries.extend(ours.into_iter().map(|(key, value)| proto::entry(&key, value)));
    entries
}

/// The inputs, and after them the tensors that the source lists there too, or all where the format asks for it.
pub(super) fn with_tensors(
    inputs: Vec<ValueInfoProto>,
    graph: &Graph,
    ir_version: i64,
    initializers: &[Initializer],
) -> Vec<ValueInfoProto> {
    let replaceable = graph.source().onnx.iter().flat_map(|header| &header.replaceable);
    let replaceable: HashSet<&str> = replaceable.map(String::as_str).collect();
    let listed = initializers
        .iter()
        .filter(|tensor| ir_version < TENSORS_ALONE || replaceable.contains(tensor.name.as_str()))
        .map(|Initializer { name, tensor, .. }| proto::interface(name, tensor.dtype(), &Shape::fixed(tensor.shape())));
    inputs.into_iter().chain(listed).collect()
}
