//! From a path, or from bytes in memory, to a container.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::in_full;
use serde_json::Value;

use crate::error::Result;
use crate::folder::{Folder, map_regular, parent};
use crate::keras::archive;
use crate::onnx::OnnxFile;
use crate::sniff::{self, Kind};
use crate::zip::Archive;
use crate::{Container, FormatError, ModelSource, json, keras, onnx, safetensors, torch};

/// Reads the model in a file, a folder, or bytes in memory.
///
/// # Errors
/// [`FormatError`], naming the file and the place in it.
pub fn open(source: impl Into<ModelSource>) -> Result<Container> {
    open_source(&source.into())
}

fn open_source(source: &ModelSource) -> Result<Container> {
    let result = match source.path().filter(|path| path.is_dir()) {
        Some(path) => folder(path),
        None => one(source).map(|container| with_config(source, container)),
    };
    result.map_err(|error| error.in_file(source.name()))
}

/// Reads the ONNX model in a file, a folder, or bytes in memory, if that is what it holds; nothing else is read.
///
/// # Errors
/// [`FormatError`], naming the file and the place in it.
pub fn open_onnx(source: impl Into<ModelSource>) -> Result<Option<OnnxFile>> {
    let source = source.into();
    if source.path().is_some_and(Path::is_dir) {
        return Ok(match open(source)? {
            Container::Onnx(file) => Some(file),
            Container::Keras(_) | Container::Safetensors(_) | Container::Torch(_) => None,
        });
    }
    let read = |bytes: Bytes| match sniff::sniff(&bytes)? {
        Kind::Onnx => onnx::read(Folder::beside(&source), &bytes).map(Some),
        Kind::Hdf5
        | Kind::KerasZip
        | Kind::Safetensors
        | Kind::TorchZip
        | Kind::TorchLegacy
        | Kind::Tar
        | Kind::Pickle
        | Kind::Npz
        | Kind::KerasJson
        | Kind::Index => Ok(None),
    };
    bytes_of(&source).and_then(read).map_err(|error| error.in_file(source.name()))
}

/// Reads the model in the bytes of one file of no name, with no file beside it: see [`ModelSource::bytes`].
///
/// # Errors
/// [`FormatError`], naming the place in it.
pub fn open_bytes(bytes: Bytes) -> Result<Container> {
    open(ModelSource::bytes("", bytes))
}

fn bytes_of(source: &ModelSource) -> Result<Bytes> {
    match source.memory() {
        Some(memory) => Ok(memory.bytes.clone()),
        None => map_regular(source.name()),
    }
}

fn one(source: &ModelSource) -> Result<Container> {
    let bytes = bytes_of(source)?;
    match sniff::sniff(&bytes)? {
        Kind::Hdf5 => {
            let file = keras::read_h5(bytes)?;
            let file = match source.path() {
                Some(path) => keras::beside::with_architecture(path, file)?,
                None => file,
            };
            Ok(Container::Keras(file))
        }
        Kind::KerasJson => match source.path() {
            Some(path) => keras::beside::with_weights(path, &bytes).map(Container::Keras),
            None => Err(sniff::without_weights()),
        },
        Kind::KerasZip => archive::read_zip(Archive::open(&bytes)?).map(Container::Keras),
        Kind::Onnx => onnx::read(Folder::beside(source), &bytes).map(Container::Onnx),
        Kind::Safetensors => safetensors::read(&bytes).map(Container::Safetensors),
        Kind::TorchZip => torch::read_zip(&bytes, Archive::open(&bytes)?).map(Container::Torch),
        Kind::TorchLegacy => torch::read_legacy(&bytes).map(Container::Torch),
        Kind::Tar => torch::read_tar(&bytes).map(Container::Torch),
        Kind::Pickle => torch::read_pickle(&bytes).map(Container::Torch),
        Kind::Npz => torch::read_npz(&bytes).map(Container::Torch),
        Kind::Index => index(&Folder::beside(source), &bytes),
    }
}

/// Reads the shards that an index names; what they are shows in the first.
fn index(folder: &Folder, bytes: &Bytes) -> Result<Container> {
    let index = json::parse("", bytes)?;
    let malformed = |found: &str| FormatError::malformed("weight_map", "files for the names of tensors", found);
    let Some(Value::Object(map)) = index.get("weight_map") else { return Err(malformed("no object")) };
    let mut names = BTreeMap::new();
    for (name, files) in map {
        let files = match files {
            Value::String(file) => vec![file.clone()],
            Value::Array(files) => files.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        names.insert(name.clone(), files);
    }
    let Some(first) = names.values().flatten().next() else { return Err(malformed("none")) };
    names.values().flatten().collect::<BTreeSet<_>>().into_iter().for_each(|name| folder.note(name));
    match sniff::sniff(&folder.map("weight_map", first)?) {
        Ok(Kind::Hdf5) => keras::read_shards(folder, &names).map(Container::Keras),
        Ok(Kind::TorchZip | Kind::TorchLegacy) => torch::read_shards(folder, &names).map(Container::Torch),
        // Whatever it is, the message names the file and what an index of such a shape leads to most.
        Ok(
            Kind::KerasZip
            | Kind::Onnx
            | Kind::Safetensors
            | Kind::Tar
            | Kind::Pickle
            | Kind::Npz
            | Kind::KerasJson
            | Kind::Index,
        )
        | Err(_) => safetensors::read_shards(folder, &names).map(Container::Safetensors),
    }
}

/// Puts `config.json` with the container, where it lies beside a file that Hugging Face has under this name.
///
/// What is wrong with it is a note: names and shapes say nearly all that it says.
fn with_config(source: &ModelSource, mut container: Container) -> Container {
    const CONFIG: &str = "config.json";
    let of_hugging_face = source.name().file_name().is_some_and(|name| WITH_CONFIG.iter().any(|known| name == *known));
    if !of_hugging_face {
        return container;
    }
    let Some(text) = Folder::beside(source).map_if_there(CONFIG, CONFIG).transpose() else { return container };
    let read = text.and_then(|text| json::parse(CONFIG, &text)).and_then(|config| match config {
        Value::Object(_) => Ok(config),
        other => Err(FormatError::malformed(CONFIG, "an object", format!("{:.40}", other.to_string()))),
    });
    let (config, notes) = match &mut container {
        Container::Safetensors(file) => (&mut file.config, &mut file.notes),
        Container::Torch(file) => (&mut file.config, &mut file.notes),
        Container::Keras(_) | Container::Onnx(_) => return container,
    };
    match read {
        Ok(read) => *config = Some(read),
        Err(error) => notes.push(format!("`config.json` beside the model is not read: {}", in_full(&error))),
    }
    container
}

/// Names under which a folder's model is known to lie, the first that is there wins.
const MODELS: [&str; 5] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "model.onnx",
];

/// Names of files beside which `config.json` says what the network is.
const WITH_CONFIG: [&str; 4] =
    ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"];

fn folder(path: &Path) -> Result<Container> {
    let names = files(path)?;
    if archive::is_keras(names.iter().map(String::as_str)) {
        return archive::read_folder(path).map(Container::Keras);
    }
    if let Some(model) = MODELS.into_iter().find(|&model| names.iter().any(|name| name == model)) {
        return open(path.join(model));
    }
    if names.iter().any(|name| name == "saved_model.pb") {
        let help = "in Python, load it and `model.save(\"model.keras\")`, or convert it with `tf2onnx`";
        return Err(FormatError::unsupported("", "a TensorFlow SavedModel", help));
    }
    let mut models: Vec<PathBuf> = names.iter().map(|name| path.join(name)).filter(|path| is_model(path)).collect();
    match (models.pop(), models.len()) {
        (Some(model), 0) => open(model),
        (None, _) => Err(FormatError::malformed("", "a folder that holds a model", "none of its files is one")),
        (Some(_), more) => {
            let found = format!("{}; give one of them", more + 1);
            Err(FormatError::malformed("", "a folder that holds one model", found))
        }
    }
}

/// A JSON file beside a model.
#[derive(Debug)]
pub enum Beside {
    /// There is none of this name.
    Nothing,
    /// It is about this model: the model has a name of Hugging Face's, or is the only one of its folder.
    OfThis(Value),
    /// Other models lie there too.
    OfSeveral(Value),
}

/// Reads the JSON file of this name beside a model: in its folder, in the folder that it is, or given with its bytes.
///
/// # Errors
/// [`FormatError`] where it is there and is no JSON within the limits, or leads out of the folder.
pub fn beside(model: &ModelSource, name: &str) -> Result<Beside> {
    if let Some(_memory) = model.memory() {
        // Files that are given with a model are about it.
        let text = Folder::beside(model).map_if_there(name, name)?;
        let value = text.map(|text| json::parse(name, &text)).transpose()?;
        return Ok(value.map_or(Beside::Nothing, Beside::OfThis));
    }
    let model = model.name();
    let folder = if model.is_dir() { model.to_owned() } else { parent(model) };
    if !folder.join(name).is_file() {
        return Ok(Beside::Nothing);
    }
    // Links of the cache of Hugging Face lead where those of the model lead.
    let stands_for_it = WITH_CONFIG.iter().map(|known| folder.join(known)).find(|path| path.is_file());
    let anchor = stands_for_it.filter(|_| model.is_dir()).unwrap_or_else(|| model.to_owned());
    let anchor = if anchor.is_dir() { folder.join(name) } else { anchor };
    let value = json::parse(name, &Folder::of(&anchor).map(name, name)?)?;
    let known = MODELS.iter().any(|known| model.file_name().is_some_and(|own| own == *known));
    let alone = model.is_dir() || known || folder.join(name) == model || is_alone(&folder)?;
    Ok(if alone { Beside::OfThis(value) } else { Beside::OfSeveral(value) })
}

/// Endings of files that hold models.
const ENDINGS: [&str; 10] = ["safetensors", "bin", "pth", "pt", "ckpt", "tar", "onnx", "h5", "keras", "pkl"];

/// Whether at most one file of a folder has the name of a model.
fn is_alone(folder: &Path) -> Result<bool> {
    let is_model = |name: &String| {
        Path::new(name).extension().is_some_and(|end| ENDINGS.iter().any(|ending| end.eq_ignore_ascii_case(ending)))
    };
    Ok(files(folder)?.iter().filter(|name| is_model(name)).count() <= 1)
}

/// Whether a file holds a model; an architecture alone goes with weights beside it, and arrays beside a model are most often
/// what it takes and gives.
fn is_model(path: &Path) -> bool {
    let kind = || map_regular(path).and_then(|bytes| sniff::sniff(&bytes));
    path.is_file() && kind().is_ok_and(|kind| !matches!(kind, Kind::KerasJson | Kind::Npz))
}

/// Names of what is in a folder, in their order.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(FormatError::io)? {
        names.push(entry.map_err(FormatError::io)?.file_name().to_string_lossy().into_owned());
        FormatError::check("", Limit::FolderFiles, names.len() as u64)?;
    }
    names.sort();
    Ok(names)
}
