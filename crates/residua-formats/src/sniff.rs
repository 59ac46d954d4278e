//! Tells from bytes, never from a name, what a file is: what is read, and what is known but not read.

use residua_ir::Shown;

use crate::error::{FormatError, Result};
use crate::keras::archive;
use crate::keras::beside::may_be_architecture;
use crate::zip::Archive;
use crate::{hdf5, onnx, safetensors, torch};

/// A kind of file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HDF5; whether Keras wrote it shows when it is open.
    Hdf5,
    /// A ZIP archive with what a `.keras` file has.
    KerasZip,
    /// An ONNX model.
    Onnx,
    /// A safetensors file.
    Safetensors,
    /// A ZIP archive with what `torch.save`, TorchScript or `torch.export` writes.
    TorchZip,
    /// PyTorch's stream of pickles and storages.
    TorchLegacy,
    /// A tar archive, as the first PyTorch wrote them.
    Tar,
    /// A Python pickle.
    Pickle,
    /// A numpy archive, in which tch and others have tensors under their names.
    Npz,
    /// The architecture of a Keras model without its weights.
    KerasJson,
    /// JSON that names the files over which a model is spread.
    Index,
}

const SAVE_KERAS: &str = "in Python, load it and `model.save(\"model.keras\")`, or convert it with `tf2onnx`";
const WHAT_IS_READ: &str =
    "Keras (.h5, .weights.h5, .keras), PyTorch (.pth, .pt, .ckpt), ONNX and safetensors files are read";

/// What a file of these bytes is.
///
/// # Errors
/// [`FormatError`] that says what the file is, where that is known, and what would work instead.
pub fn sniff(bytes: &bytes::Bytes) -> Result<Kind> {
    let unsupported = |what: &str, help: &str| Err(FormatError::unsupported("", what, help));
    if bytes.is_empty() {
        return Err(FormatError::malformed("", "a model", "an empty file"));
    }
    if hdf5::is_hdf5(bytes) {
        return Ok(Kind::Hdf5);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip(bytes);
    }
    if safetensors::is_safetensors(bytes) {
        return Ok(Kind::Safetensors);
    }
    if onnx::is_onnx(bytes) {
        return Ok(Kind::Onnx);
    }
    if torch::is_legacy(bytes) {
        return Ok(Kind::TorchLegacy);
    }
    if torch::is_pickle(bytes) {
        return Ok(Kind::Pickle);
    }
    if torch::is_tar(bytes) {
        return Ok(Kind::Tar);
    }
    if bytes.starts_with(b"\x1f\x8b") {
        return unsupported("a file compressed with gzip", "decompress it with `gunzip`");
    }
    if bytes.starts_with(b"\x93NUMPY") {
        return unsupported("a numpy array", "it is an input or output, not a model");
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return unsupported("a TensorFlow Lite model", "convert what it was made from");
    }
    text(bytes).unwrap_or_else(|| protobuf(bytes))
}

fn zip(bytes: &bytes::Bytes) -> Result<Kind> {
    let names = Archive::open(bytes)?.names();
    let inside = |what: &str, help: &str| Err(FormatError::unsupported("", what, help));
    if archive::is_keras(names.iter().map(String::as_str)) {
        Ok(Kind::KerasZip)
    } else if let Some(entry) = archive::missing(names.iter().map(String::as_str)) {
        Err(FormatError::malformed(entry, "an entry of every Keras model", "an archive without it"))
    } else if torch::is_torch_zip(&names) {
        Ok(Kind::TorchZip)
    } else if names.iter().any(|name| name.ends_with(".npy") && is_exchanged(name)) {
        inside("a numpy archive (.npz) of inputs and outputs", "it holds arrays, not a model")
    } else if names.iter().any(|name| name.ends_with(".npy")) {
        Ok(Kind::Npz)
    } else {
        let first = names.first().map_or("nothing", String::as_str);
        inside(&format!("a ZIP archive that is no Keras model (in it: `{}`)", first.shown()), WHAT_IS_READ)
    }
}

/// Whether an array is what a model takes or gives, by its name in golden files.
fn is_exchanged(name: &str) -> bool {
    name.starts_with("input/") || name.starts_with("output/")
}

/// What is told by its text, where it is one.
fn text(bytes: &[u8]) -> Option<Result<Kind>> {
    let start = bytes.get(..512).unwrap_or(bytes).trim_ascii_start();
    let unsupported = |what: &str, help: &str| Some(Err(FormatError::unsupported("", what, help)));
    if start.starts_with(b"version https://git-lfs") {
        return unsupported("a pointer of Git LFS, not the file itself,", "fetch it with `git lfs pull`");
    }
    let lower = start.to_ascii_lowercase();
    if [&b"<!doctype html"[..], b"<html", b"<?xml"].iter().any(|tag| lower.starts_with(tag)) {
        return unsupported("a web page", "the download gave a page instead of the file; follow its link by hand");
    }
    if start.starts_with(b"{") {
        return Some(match find(bytes, b"\"weight_map\"") {
            true => Ok(Kind::Index),
            false if may_be_architecture(bytes) => Ok(Kind::KerasJson),
            false => Err(without_weights()),
        });
    }
    let is_text = bytes.len() >= 8 && lower.iter().all(|&byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_text {
        return Some(Err(FormatError::malformed("", format!("a model ({WHAT_IS_READ})"), "a text")));
    }
    None
}

/// For JSON that is all there is of a model.
pub(crate) fn without_weights() -> FormatError {
    let help = "give the file with the weights, or the folder that holds both";
    FormatError::unsupported("", "JSON without weights", help)
}

fn find(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// What remains: protobufs of TensorFlow, and what is not known.
fn protobuf(bytes: &[u8]) -> Result<Kind> {
    // A saved model starts with its version, 1, and its first graph.
    if bytes.starts_with(b"\x08\x01\x12") {
        return Err(FormatError::unsupported("", "a TensorFlow SavedModel", SAVE_KERAS));
    }
    // A graph of TensorFlow starts with a node, which starts with its name.
    if bytes.starts_with(b"\x0a") && find(bytes.get(..256).unwrap_or(bytes), b"Placeholder") {
        return Err(FormatError::unsupported("", "a frozen graph of TensorFlow", SAVE_KERAS));
    }
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let found = format!("a file that starts with {}", first.join(" "));
    Err(FormatError::malformed("", format!("a model ({WHAT_IS_READ})"), found))
}
