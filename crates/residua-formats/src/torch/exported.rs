//! Programs of `torch.export` (`.pt2`): a JSON list of weights beside their raw bytes; before torch 2.8, a state dict in an archive of its own.
//!
//! (Source: torch's `torch/export/pt2_archive`, `_serialize.py`; element types are numbered as `ScalarType` in `schema.py`.)

use bytes::Bytes;
use residua_ir::budget::{Limit, Meter};
use residua_ir::{DType, Endian, Shown, Tensor, Unused};
use serde_json::Value;

use super::{StateDict, TorchFile, TorchKind};
use crate::decoded::Decoded;
use crate::error::Result;
use crate::zip::Archive;
use crate::{FormatError, NamedTensor, json};

const STATE_DICT: &str = "serialized_state_dict.pt";
const NOTE: &str = "a program of torch.export: its weights are read, the program is not; the network is told from their names and shapes";

/// What stands before the names of all records of a program; [`None`] for other archives.
pub(super) fn prefix(names: &[String]) -> Option<&str> {
    let old = names.iter().find_map(|name| name.strip_suffix(STATE_DICT));
    names
        .iter()
        .find_map(|name| name.strip_suffix("archive_format").filter(|p| p.is_empty() || p.ends_with('/')))
        .or(old)
}

/// The state dict that a program of before torch 2.8 has as an archive in the archive, and what that is called.
pub(super) fn nested(archive: &mut Archive, prefix: &str) -> Result<Option<(String, Bytes)>> {
    let record = format!("{prefix}{STATE_DICT}");
    Ok(archive.entry(&record, Limit::DecodedBytes)?.map(|inner| (record, inner)))
}

/// What was read of a nested state dict, as that of a program.
pub(super) fn of_program(file: TorchFile) -> TorchFile {
    let mut file = TorchFile { kind: TorchKind::Exported, ..file };
    file.notes.push(NOTE.to_owned());
    file
}

/// Reads a program whose weights lie beside it.
pub(super) fn read(bytes: &Bytes, archive: &mut Archive, prefix: &str) -> Result<TorchFile> {
    let names = archive.names();
    let mut file = TorchFile { notes: vec![NOTE.to_owned()], ..TorchFile::empty(TorchKind::Exported) };
    let folder = format!("{prefix}data/weights/");
    let (decoded, mut count) = (Decoded::of(bytes.len()), Meter::new(Limit::Tensors));
    let configs = names.iter().filter(|name| name.starts_with(&folder) && name.ends_with("_config.json"));
    for config in configs {
        let text = archive.entry(config, Limit::JsonBytes)?.unwrap_or_default();
        let list = json::parse(config, &text)?;
        let Some(Value::Object(weights)) = list.get("config") else {
            return Err(FormatError::malformed(config, "an object `config`", "none"));
        };
        let mut tensors = Vec::new();
        for (name, weight) in weights {
            count.spend(1).map_err(|overrun| FormatError::beyond(config, overrun))?;
            match weight_of(archive, &folder, config, name, weight, &decoded)? {
                Ok(tensor) => tensors.push(tensor),
                Err(reason) => file.unused.push(Unused { location: name.clone().into(), reason }),
            }
        }
        let path = config.trim_start_matches(&folder).trim_end_matches("_weights_config.json").to_owned();
        let path = if path == "model" { String::new() } else { path };
        file.state_dicts.push(StateDict { path, tensors, modules: Vec::new() });
    }
    let constants = format!("{prefix}data/constants/");
    for name in names.iter().filter(|name| name.starts_with(&constants) && !name.ends_with(".json")) {
        let reason = "a constant of the program, which is not read".to_owned();
        file.unused.push(Unused { location: name.clone().into(), reason });
    }
    Ok(file)
}

/// A weight, or why it is not read.
fn weight_of(
    archive: &mut Archive,
    folder: &str,
    config: &str,
    name: &str,
    weight: &Value,
    decoded: &Decoded,
) -> Result<Result<NamedTensor, String>> {
    let at = format!("{config}: `{}`", name.shown());
    let missing = |what: &str| FormatError::malformed(&at, what, "none");
    let path = weight.get("path_name").and_then(Value::as_str).ok_or_else(|| missing("`path_name`"))?;
    if weight.get("use_pickle").and_then(Value::as_bool) == Some(true) {
        return Ok(Err("it is stored as a pickle of its own".to_owned()));
    }
    let meta = weight.get("tensor_meta").ok_or_else(|| missing("`tensor_meta`"))?;
    let Some(dtype) = meta.get("dtype").and_then(Value::as_u64).and_then(scalar_type) else {
        return Ok(Err("its elements are of a type that is not read".to_owned()));
    };
    let number = |value: &Value| value.get("as_int").unwrap_or(value).as_u64().and_then(|n| usize::try_from(n).ok());
    let numbers = |key: &str| -> Option<Vec<usize>> { meta.get(key)?.as_array()?.iter().map(number).collect() };
    let sizes = numbers("sizes").ok_or_else(|| missing("sizes that are numbers"))?;
    let strides = numbers("strides").ok_or_else(|| missing("strides that are numbers"))?;
    let offset = meta.get("storage_offset").and_then(number).unwrap_or(0);
    let location = format!("{folder}{path}");
    let storage = archive.entry(&location, Limit::DecodedBytes)?;
    let storage = storage.ok_or_else(|| FormatError::malformed(&location, "the record of a weight", "none"))?;
    let tensor = Tensor::from_strided(dtype, Endian::Little, sizes, &strides, offset, &storage)
        .map_err(|error| FormatError::malformed(&at, "a view on its record", error.to_string()))?;
    let tensor = decoded.take(&at, tensor)?;
    Ok(Ok(NamedTensor { name: name.to_owned(), location, tensor }))
}

fn scalar_type(number: u64) -> Option<DType> {
    Some(match number {
        1 => DType::U8,
        2 => DType::I8,
        3 => DType::I16,
        4 => DType::I32,
        5 => DType::I64,
        6 => DType::F16,
        7 => DType::F32,
        8 => DType::F64,
        12 => DType::Bool,
        13 => DType::BF16,
        28 => DType::U16,
        _ => return None,
    })
}
