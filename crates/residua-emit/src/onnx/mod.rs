//! A validated graph as an ONNX model that runs in as many runtimes as possible.
//!
//! What that means: explicit pads inside `Conv`; padding with zeros before a pool as `Pad` and `MaxPool`; batch norms
//! kept; `Gemm` without transposition; types of all intermediate values; no `Transpose` but at an NHWC interface. Where
//! an operator set lacks an operator, it is written by others, and the [`Emitted`] says so.

mod dynamic;
mod legalise;
mod lower;
mod lowering;
mod message;
mod model;
mod names;
mod options;
mod plan;
mod proto;
mod representable;
mod tensors;
mod types;
mod version;

use std::io::Write;
use std::path::Path;

use residua_formats::onnx::schema::{GraphProto, ModelProto};
use residua_ir::{Checked, Shown};

use crate::place::{Stage, Staged, With};
use crate::{Dropped, EmitError, Emitted, Exactness, InMemory, float, memory};
use lowering::Lowering;
pub use model::{natural_float, natural_opset, opset_for};
pub use options::{ExternalData, FloatTypes, InputLayout, OnnxOptions};
pub use representable::representable;
use tensors::Initializer;
pub use types::own_types;
pub use version::{NEWEST, OLDEST, PORTABLE};

/// Writes the model beside `target`, to be read back and then [committed](Staged::commit).
///
/// # Errors
/// [`EmitError`], naming the node that ONNX at this operator set cannot represent.
pub fn stage(model: &Checked, options: &OnnxOptions, target: &Path) -> Result<Staged, EmitError> {
    let lowered = Lowered::new(model, options)?;
    let stage = Stage::new(target)?;
    let names = if lowered.external { Some(data_names(target, &stage)?) } else { None };
    let parts = lowered.parts(names.as_ref().map(|(usual, _)| &usual[..]))?;
    stage.write("", &parts.model)?;
    let with = match (parts.external, names) {
        (Some(data), Some((_, transit))) => {
            stage.write(DATA, &data)?;
            stage.write_switch(&lowered.parts(Some(&transit))?.model)?;
            With::Data(DATA)
        }
        (Some(_) | None, _) => With::Nothing,
    };
    stage.finish(with, lowered.emitted)
}

/// Writes the model into memory. The main file is called `name`, which is written into it only where the elements of
/// tensors go into a file of their own, [`InMemory::beside`] it ([`OnnxOptions::external_data`]).
///
/// # Errors
/// [`EmitError`], naming the node that ONNX at this operator set cannot represent; or where there is no memory.
pub fn to_memory(model: &Checked, options: &OnnxOptions, name: &str) -> Result<InMemory, EmitError> {
    let lowered = Lowered::new(model, options)?;
    let data = format!("{name}{DATA}");
    let parts = lowered.parts(lowered.external.then_some(&data))?;
    let beside = parts.external.map(|segments| (data, segments));
    InMemory::gather(name, &parts.model, beside.into_iter().collect(), lowered.emitted)
}

/// Writes the model into a writer, from front to back. All elements go into it, whatever
/// [`OnnxOptions::external_data`] says: there is no place beside it.
///
/// # Errors
/// [`EmitError`], naming the node that ONNX at this operator set cannot represent; what the writer says; and where the
/// model would have more than 2 GiB.
pub fn write_to(model: &Checked, options: &OnnxOptions, out: &mut dyn Write) -> Result<Emitted, EmitError> {
    let lowered = Lowered::new(model, options)?;
    memory::write_single(out, &lowered.parts(None)?.model, lowered.emitted)
}

/// A model as it will be written, wherever its elements go.
struct Lowered {
    header: ModelProto,
    body: GraphProto,
    initializers: Vec<Initializer>,
    /// Whether elements are to go into a file of their own.
    external: bool,
    /// What is written, without its files.
    emitted: Emitted,
}

impl Lowered {
    fn new(model: &Checked, options: &OnnxOptions) -> Result<Self, EmitError> {
        let kind = float::check(options.float)?;
        let (header, body, out, dropped) = texts(model, options)?;
        let rounds = match options.types {
            FloatTypes::One | FloatTypes::WideInterface => float::rounds(float::weights(model.graph()), kind),
            FloatTypes::Own => false,
        };
        let Lowering { tensors, mapping, rearranged, notes, .. } = out;
        let initializers = tensors.into_initializers();
        let elements: u64 = initializers.iter().map(|initializer| initializer.tensor.byte_len() as u64).sum();
        let external = match options.external_data {
            ExternalData::Auto => elements > message::PROTOBUF_LIMIT - (64 << 20),
            ExternalData::Always => true,
            ExternalData::Never => false,
        };
        let exactness = Exactness::new(rounds.then_some(kind), rearranged);
        let emitted = Emitted { files: Vec::new(), bytes: 0, mapping, dropped, exactness, notes };
        Ok(Self { header, body, initializers, external, emitted })
    }

    /// The files; `data` is the name of the one with the elements, where they are to go there.
    fn parts(&self, data: Option<&str>) -> Result<message::Parts, EmitError> {
        let parts = message::parts(&self.header, &self.body, &self.initializers, data);
        message::check_size(&parts.model)?;
        Ok(message::Parts { external: parts.external.filter(|segments| !segments.is_empty()), ..parts })
    }
}

/// What the name of the file with the elements ends with, behind that of the model.
const DATA: &str = ".data";

/// What that file is called, and what it is called while the model is exchanged.
fn data_names(target: &Path, stage: &Stage) -> Result<(String, String), EmitError> {
    let usual = target.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}{DATA}"));
    usual.zip(stage.transit(DATA)).ok_or_else(|| {
        let name = target.shown();
        EmitError::Option(
            format!("{name}: a name that is no UTF-8 cannot be written into the model, and its data is called like it")
                .into(),
        )
    })
}

/// What would be written, without the elements of tensors: of them there are names, shapes and types.
///
/// # Errors
/// As [`stage`], but for what the disk says.
pub fn draft(model: &Checked, options: &OnnxOptions) -> Result<ModelProto, EmitError> {
    let (header, body, out, _) = texts(model, options)?;
    let initializer = out.tensors.initializers().iter().map(message::header).collect();
    Ok(ModelProto { graph: Some(GraphProto { initializer, ..body }), ..header })
}

/// The model without its graph, the graph without its tensors, and what it was made of.
fn texts<'a>(
    model: &'a Checked,
    options: &OnnxOptions,
) -> Result<(ModelProto, GraphProto, Lowering<'a>, Vec<Dropped>), EmitError> {
    let opset = options.opset;
    if !(OLDEST..=NEWEST).contains(&opset) {
        return Err(EmitError::Option(format!("opset {opset} cannot be written; {OLDEST} to {NEWEST} can").into()));
    }
    float::check(options.float)?;
    plan::refuse_opaque(model)?;
    let plan::Plan { mut out, inputs, outputs, dropped } = plan::plan(model, opset, options)?;
    let graph = model.graph();
    let header = model::header(graph, options, &out.domains);
    let inputs = model::with_tensors(inputs, graph, header.ir_version, out.tensors.initializers());
    let said = graph.source().onnx.as_ref().map(|header| header.graph.clone()).unwrap_or_default();
    let body = GraphProto {
        name: if graph.name().is_empty() { "graph".to_owned() } else { graph.name().to_owned().into_raw() },
        node: std::mem::take(&mut out.nodes),
        input: inputs,
        output: outputs,
        value_info: std::mem::take(&mut out.types),
        metadata_props: proto::entries(&said),
        doc_string: said.doc,
        ..GraphProto::default()
    };
    Ok((header, body, out, dropped))
}

/// Writes the model to `target`, without a chance to look at it first.
///
/// # Errors
/// As [`stage`] and [`Staged::commit`].
pub fn write(model: &Checked, options: &OnnxOptions, target: &Path) -> Result<Emitted, EmitError> {
    stage(model, options, target)?.commit()
}
