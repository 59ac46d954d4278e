//! Ordinary checkpoints: the tensors of a network under the names of a library, as its model code loads them.
//!
//! There is no graph in the metadata: a reader tells the network from names and shapes, from the hints that no name can
//! give, and for Hugging Face from `config.json`, which is written beside and committed with the weights, as is
//! `preprocessor_config.json` where the source states how images are prepared. So what is
//! proved by reading the file back is what everybody else will read. For timm `config.json` is written where the weights are
//! called as it looks for them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use residua_ir::{Checked, DType, Shown, Tensor};
use residua_resnet::layout_fit::{Fitted, FittedTensor};
use residua_resnet::layouts::Axes;
use serde_json::{Map, Value, json};

use super::{config, file, processor, timm};
use crate::mapping::origin;
use crate::place::{Stage, Staged, With};
use crate::sink::Segment;
use crate::{Dropped, EmitError, Emitted, Exactness, InMemory, TensorMapping, float, metadata};

/// Name of the file that says how the model code of Hugging Face or timm is to be built.
pub const CONFIG: &str = "config.json";
/// Name of the file that says how Hugging Face's image processors prepare images.
pub const PROCESSOR: &str = "preprocessor_config.json";

/// Writes the tensors of `fitted` beside `target`, to be read back and then [committed](Staged::commit).
///
/// `model` is the network that `fitted` was made from. With a float type, all floating-point tensors are rounded to it.
///
/// # Errors
/// [`EmitError`]; for Hugging Face and timm also where another `config.json` or `preprocessor_config.json` stands beside the target.
pub fn stage(model: &Checked, fitted: &Fitted, float: Option<DType>, target: &Path) -> Result<Staged, EmitError> {
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Contents { segments, beside, emitted } = Contents::new(model, fitted, float, name)?;
    let mut new = Vec::new();
    let mut there = Vec::new();
    for (name, text) in &beside {
        let of_output = if is_there(text, &target.with_file_name(name))? { &mut there } else { &mut new };
        of_output.push(*name);
    }
    let stage = Stage::new(target)?;
    stage.write("", &segments)?;
    for (name, text) in beside {
        stage.write_beside(name, text.as_bytes())?;
    }
    stage.finish(With::Beside { new, there }, emitted)
}

/// Writes the tensors of `fitted` into memory, as a file called `name`; configurations of model code are
/// [`InMemory::beside`] it.
///
/// # Errors
/// [`EmitError`]; or where there is no memory.
pub fn to_memory(model: &Checked, fitted: &Fitted, float: Option<DType>, name: &str) -> Result<InMemory, EmitError> {
    let Contents { segments, beside, emitted } = Contents::new(model, fitted, float, name)?;
    let beside = beside.into_iter().map(|(name, text)| (name.to_owned(), vec![Segment::Bytes(text.into_bytes())]));
    InMemory::gather(name, &segments, beside.collect(), emitted)
}

/// The files of a checkpoint, wherever they go.
struct Contents {
    segments: Vec<Segment>,
    /// Names and texts of what belongs beside the weights.
    beside: Vec<(&'static str, String)>,
    /// What is written, without its files.
    emitted: Emitted,
}

impl Contents {
    fn new(model: &Checked, fitted: &Fitted, float: Option<DType>, name: &str) -> Result<Self, EmitError> {
        let dtypes = || fitted.tensors.iter().map(|placed| placed.tensor.dtype()).filter(|dtype| dtype.is_float());
        let rounded = float.map(float::check).transpose()?.filter(|&to| float::rounds(dtypes(), to));
        let stored = |placed: &FittedTensor| match float {
            Some(to) if placed.tensor.dtype().is_float() => placed.tensor.cast(to),
            Some(_) | None => placed.tensor.clone(),
        };
        let tensors: Vec<(String, Tensor)> =
            fitted.tensors.iter().map(|placed| (placed.name.clone(), stored(placed))).collect();
        let mapping =
            fitted.tensors.iter().zip(&tensors).map(|(placed, (_, tensor))| mapping(model, placed, tensor)).collect();
        let timm = timm::configuration(fitted, model.graph(), name);
        let config = config::text(fitted, float.or_else(|| dtypes().next())).or(timm.text);
        let (processor, note) = match processor::text(fitted, model.graph()) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(note)) => (None, Some(note)),
            None => (None, None),
        };
        let beside = [(CONFIG, config), (PROCESSOR, processor)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .collect();
        let segments = file::segments(about(model, fitted), tensors)?;
        let computed =
            fitted.tensors.iter().filter(|placed| !placed.moves.is_empty()).map(|placed| placed.name.clone());
        let emitted = Emitted {
            files: Vec::new(),
            bytes: 0,
            mapping,
            dropped: dropped(model, fitted),
            exactness: Exactness::new(rounded, computed.collect()),
            notes: fitted.notes.iter().cloned().chain(note).chain(timm.notes).collect(),
        };
        Ok(Self { segments, beside, emitted })
    }
}

fn about(model: &Checked, fitted: &Fitted) -> Map<String, Value> {
    let format = match fitted.class.layout().axes {
        Axes::Torch | Axes::TorchGateMatrices | Axes::Burn => "pt",
        Axes::Keras => "keras",
    };
    let hints = fitted.hints().into_iter().chain(metadata::entries(model.graph()));
    let mut about = Map::new();
    about.insert("format".to_owned(), json!(format));
    about.extend(hints.map(|(key, value)| (key.to_owned(), json!(value))));
    about
}

fn mapping(model: &Checked, placed: &FittedTensor, tensor: &Tensor) -> TensorMapping {
    let mut mapping = TensorMapping::new(model.graph(), &placed.from, &placed.name, tensor);
    // What was computed into new elements has no history of its own.
    if !mapping.transforms.iter().any(|transform| transform.starts_with("computed(")) {
        let computed = placed.moves.iter().map(|how| format!("computed({how})"));
        mapping.transforms.splice(0..0, computed);
    }
    if placed.from.is_empty() && mapping.transforms.is_empty() {
        mapping.transforms.push("computed(zeros: the source has none)".to_owned());
    }
    mapping
}

/// Every tensor of the source that is in no tensor of the checkpoint.
fn dropped(model: &Checked, fitted: &Fitted) -> Vec<Dropped> {
    let graph = model.graph();
    let of_graph =
        fitted.dropped.iter().map(|(id, reason)| Dropped { from: origin(graph, *id), reason: reason.clone() });
    let unused = graph.unused().iter();
    let of_file =
        unused.map(|unused| Dropped { from: unused.location.raw().to_owned(), reason: unused.reason.clone() });
    of_graph.chain(of_file).collect()
}

/// Whether a configuration is there already, in whatever form. One that says something else is not replaced: it belongs
/// to other weights.
fn is_there(config: &str, path: &Path) -> Result<bool, EmitError> {
    let there = match fs::read(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(EmitError::io("cannot read", path)(error)),
    };
    let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    let same = parse(&there).is_some_and(|there| Some(there) == parse(config.as_bytes()));
    if same {
        return Ok(true);
    }
    Err(EmitError::Option(format!(
        "{} is there and says something else, and the configuration of this model would replace it; write into another \
         folder, or move it away",
        path.shown()
    ).into()))
}
