//! What is written, and how: the options of an output, resolved for a model.

use std::path::Path;

use residua_emit::onnx::{ExternalData, FloatTypes, OnnxOptions};
use residua_emit::safetensors::{SafetensorsOptions, TensorLayout, checkpoint};
use residua_emit::{InMemory, Staged, onnx, safetensors};
use residua_ir::rewrite::cast_weights;
use residua_ir::{Checked, DType, Graph, Parameter, ParameterId, Role, Shown, TensorError, Text, validate};
use residua_resnet::layout_fit::Fitted;
use residua_resnet::{anatomy, naming};

use super::{Convert, Onnx, Output};
use crate::error::{Lines, Result};
use crate::floats;
use crate::layouts::{self, Fit};
use crate::model::Model;
use crate::options::{Dtype, Layout};

/// What is written, and how.
#[derive(Debug)]
pub(super) enum Target {
    /// With what to say of the operator set and the float types, where they are not the source's.
    Onnx(OnnxOptions, Vec<String>),
    Safetensors {
        layout: Layout,
        fit: Fit,
        float: Option<DType>,
        /// What to say of the float types.
        notes: Vec<String>,
    },
}

impl Target {
    /// From the options, for this model.
    pub(super) fn new(options: &Convert, model: &Model) -> Result<Self> {
        let dtype = options.dtype.map(Dtype::of_tensors);
        Ok(match &options.to {
            Output::Onnx(wanted) => {
                let mut options = onnx_options(wanted, dtype, &model.checked);
                let mut notes: Vec<String> = floats::note(&model.checked, &options).into_iter().collect();
                if wanted.opset.is_none() {
                    let (opset, note) = onnx::opset_for(&model.checked, &options)?;
                    options.opset = opset;
                    notes.extend(note);
                }
                Self::Onnx(options, notes)
            }
            Output::Safetensors(wanted) => {
                let plain = layouts::is_plain(model) && !options.fold_batch_norms;
                let default = if plain { Layout::Source } else { Layout::Residua };
                let layout = wanted.layout.unwrap_or(default);
                let fit = match Fit::of(model, layout) {
                    Ok(fit) => fit,
                    Err(reasons) => return Err(refusal(model, layout, &reasons).into()),
                };
                let notes = floats::said(&model.checked).into_iter().collect();
                Self::Safetensors { layout, fit, float: dtype, notes }
            }
        })
    }

    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Onnx(..) => "onnx",
            Self::Safetensors { .. } => "safetensors",
        }
    }

    /// The layout of the names, where there are layouts.
    pub(super) fn layout(&self) -> Option<&'static str> {
        match self {
            Self::Onnx(..) => None,
            Self::Safetensors { layout, fit, .. } => {
                Some(fit.fitted().map_or(layout.name(), |fitted| fitted.library.name))
            }
        }
    }

    /// The tensors, where another framework's code is to read them.
    pub(super) fn fitted(&self) -> Option<&Fitted> {
        match self {
            Self::Onnx(..) => None,
            Self::Safetensors { fit, .. } => fit.fitted(),
        }
    }

    /// The axis order of inputs and outputs, where the format has a choice.
    pub(super) fn input_layout(&self) -> Option<onnx::InputLayout> {
        match self {
            Self::Onnx(options, _) => Some(options.input_layout),
            Self::Safetensors { .. } => None,
        }
    }

    /// The type of all reals of the output, where it is one whatever types those of the model have.
    pub(super) fn one_float(&self) -> Option<DType> {
        match self {
            Self::Onnx(options, _) if options.types != FloatTypes::Own => Some(options.float),
            Self::Onnx(..) | Self::Safetensors { .. } => None,
        }
    }

    /// Whether inputs and outputs are of another real type than the rest, behind casts.
    pub(super) fn keeps_wide_interface(&self) -> bool {
        matches!(self, Self::Onnx(options, _) if options.types == FloatTypes::WideInterface)
    }

    /// What to say beside the notes of what was written.
    pub(super) fn notes(&self) -> &[String] {
        match self {
            Self::Onnx(_, notes) | Self::Safetensors { notes, .. } => notes,
        }
    }

    /// Writes a model beside its place on disk; its weights unrounded, where they are not `rounded`.
    pub(super) fn stage(&self, model: &Checked, out: &Path, rounded: bool) -> Result<Staged> {
        let (fit, float) = match self {
            Self::Onnx(options, _) => return Ok(onnx::stage(model, options, out)?),
            Self::Safetensors { fit, float, .. } => (fit, float.filter(|_| rounded)),
        };
        let whole = |layout| safetensors::stage(model, &SafetensorsOptions { layout, float }, out);
        Ok(match fit {
            Fit::Fitted(fitted) => checkpoint::stage(model, fitted, float, out)?,
            Fit::OfSource => whole(TensorLayout::Source)?,
            Fit::Own => whole(TensorLayout::Graph { name: "residua", names: &own_names(model) })?,
        })
    }

    /// Writes a model into memory, as a file of this name; its weights unrounded, where they are not `rounded`.
    pub(super) fn to_memory(&self, model: &Checked, name: &str, rounded: bool) -> Result<InMemory> {
        let (fit, float) = match self {
            Self::Onnx(options, _) => return Ok(onnx::to_memory(model, options, name)?),
            Self::Safetensors { fit, float, .. } => (fit, float.filter(|_| rounded)),
        };
        let whole = |layout| safetensors::to_memory(model, &SafetensorsOptions { layout, float }, name);
        Ok(match fit {
            Fit::Fitted(fitted) => checkpoint::to_memory(model, fitted, float, name)?,
            Fit::OfSource => whole(TensorLayout::Source)?,
            Fit::Own => whole(TensorLayout::Graph { name: "residua", names: &own_names(model) })?,
        })
    }

    /// The model as the output has its numbers: what the file must be, bit for bit.
    pub(super) fn expected(&self, model: &Checked) -> Result<Checked> {
        let graph = model.graph().clone();
        let graph = match self {
            Self::Onnx(options, _) => onnx::representable(model, options)?,
            Self::Safetensors { float: None, .. } => graph,
            Self::Safetensors { float: Some(dtype), fit: Fit::Fitted(_), .. } => round_what_is_stored(graph, *dtype)?,
            Self::Safetensors { float: Some(dtype), fit: Fit::Own | Fit::OfSource, .. } => cast_weights(graph, *dtype),
        };
        Ok(validate(graph)?)
    }
}

/// Names of our own, by stage and block.
fn own_names(model: &Checked) -> impl Fn(ParameterId) -> String {
    let names = naming::slots(model, &anatomy::analyse(model));
    move |id| names[id.index()].1.clone()
}

fn onnx_options(wanted: &Onnx, dtype: Option<DType>, model: &Checked) -> OnnxOptions {
    let graph = model.graph();
    let types = match (dtype, wanted.keep_io_types) {
        (Some(_), true) => FloatTypes::WideInterface,
        (Some(_), false) => FloatTypes::One,
        // An ONNX source has said it all.
        (None, _) if graph.source().onnx.is_some() && onnx::own_types(model) => FloatTypes::Own,
        (None, _) => FloatTypes::One,
    };
    OnnxOptions {
        opset: wanted.opset.map_or(onnx::PORTABLE, i64::from),
        input_layout: wanted.input_layout.unwrap_or(onnx::InputLayout::Nchw),
        float: dtype.unwrap_or_else(|| onnx::natural_float(graph)),
        types,
        external_data: if wanted.external_data { ExternalData::Always } else { ExternalData::Auto },
        ..OnnxOptions::default()
    }
}

/// Rounds weights as they are stored for code that standardises them when it runs: before, not after.
fn round_what_is_stored(graph: Graph, dtype: DType) -> std::result::Result<Graph, TensorError> {
    graph.map_tensors(|Parameter { tensor, role, .. }| match tensor.before_standardisation() {
        _ if !tensor.dtype().is_float() || *role == Role::Counter => Ok(tensor.clone()),
        Some((stored, epsilon)) => stored.cast(dtype).standardised(epsilon),
        None => Ok(tensor.cast(dtype)),
    })
}

/// Why a layout is none for a model, and which are.
fn refusal(model: &Model, layout: Layout, reasons: &[String]) -> Lines {
    let name = model.anatomy.architecture.as_ref().map_or_else(String::new, |found| format!(" ({})", found.name));
    let what = format!("{}{name} cannot be written in the layout `{}`:", model.path.shown(), layout.name());
    let reasons = reasons.iter().map(|reason| format!("  - {reason}"));
    let others = format!("  layouts that can hold it: {}", layouts::names(model).join(", "));
    Lines(std::iter::once(what).chain(reasons).chain([others]).map(Text::from).collect())
}
