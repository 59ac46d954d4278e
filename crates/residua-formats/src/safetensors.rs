//! safetensors files, and the shards of one.
//!
//! The header is decoded by the `safetensors` crate, which refuses gaps, overlaps and sizes that do not fit shapes. The
//! whole of the file is held against it here, without the sum that overflows there when offsets are near 2^64.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::{DType, Endian, Shown, Tensor, Unused};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::Result;
use crate::folder::Folder;
use crate::{FormatError, NamedTensor, json};

/// What a safetensors file holds.
#[derive(Debug, Clone, Default)]
pub struct SafetensorsFile {
    /// Tensors in the order of their bytes; those of shards, shard by shard.
    pub tensors: Vec<NamedTensor>,
    /// The file's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    /// Tensors of types that are not read, with the reason.
    pub unused: Vec<Unused>,
    /// `config.json` beside it, as Hugging Face has it; none where it is no JSON, which [`SafetensorsFile::notes`] says.
    pub config: Option<serde_json::Value>,
    /// What else is to be known about the file.
    pub notes: Vec<String>,
}

const HEADER: &str = "header";

/// Whether the bytes start as a safetensors file does: a length, then a JSON object.
pub(crate) fn is_safetensors(bytes: &[u8]) -> bool {
    let text = bytes.get(8..).and_then(|rest| rest.iter().find(|byte| !byte.is_ascii_whitespace()));
    let length = bytes.first_chunk().map(|&length| u64::from_le_bytes(length));
    text == Some(&b'{') && length.is_some_and(|length| length >= 2) && !bytes[..8].iter().all(u8::is_ascii_graphic)
}

/// Reads one file.
pub(crate) fn read(bytes: &Bytes) -> Result<SafetensorsFile> {
    let length = bytes.first_chunk().map_or(u64::MAX, |&length| u64::from_le_bytes(length));
    FormatError::check(HEADER, Limit::SafetensorsHeaderBytes, length)?;
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8)).filter(|&end| end <= bytes.len());
    let Some(end) = end else {
        let found = format!("a file of {} bytes", bytes.len());
        return Err(FormatError::malformed(HEADER, format!("{length} bytes behind the length"), found));
    };
    json::check(HEADER, &bytes[8..end])?;
    let header: Metadata = serde_json::from_slice(&bytes[8..end])
        .map_err(|error| FormatError::malformed(HEADER, "a safetensors header", error.to_string()))?;
    let data = bytes.slice(end..);
    if header.data_len() != data.len() {
        let expected = format!("{} bytes of tensors behind it", header.data_len());
        return Err(FormatError::malformed(HEADER, expected, format!("{}", data.len())));
    }
    let mut file = SafetensorsFile::default();
    let mut names = header.offset_keys();
    // Tensors without elements lie at one place.
    names.sort_by_cached_key(|name| (header.info(name).map(|info| info.data_offsets), name.clone()));
    for name in names {
        match tensor(&header, &name, &data)? {
            Ok(tensor) => file.tensors.push(NamedTensor { location: name.clone(), name, tensor }),
            Err(reason) => file.unused.push(Unused { location: name.into(), reason }),
        }
    }
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    file.metadata = metadata.collect();
    Ok(file)
}

/// A tensor, or why it is not read.
fn tensor(header: &Metadata, name: &str, data: &Bytes) -> Result<Result<Tensor, String>> {
    let at = || format!("tensor `{name}`");
    let missing = || FormatError::malformed(at(), "bytes that lie in the file", "bytes beyond its end");
    let info = header.info(name).ok_or_else(missing)?;
    let (start, end) = info.data_offsets;
    if start > end || end > data.len() {
        return Err(missing());
    }
    let Some(dtype) = dtype(info.dtype) else {
        return Ok(Err(format!("its elements are of the type {}, which is not read", info.dtype)));
    };
    Tensor::from_bytes(dtype, Endian::Little, info.shape.clone(), data.slice(start..end))
        .map(Ok)
        .map_err(|error| FormatError::malformed(at(), "as many bytes as the shape needs", error.to_string()))
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::U16 => DType::U16,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I32 => DType::I32,
        Dtype::U32 => DType::U32,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::U64 => DType::U64,
        _ => return None,
    })
}

/// Reads all shards that an index names; `names` are those of the tensors and their files.
pub(crate) fn read_shards(folder: &Folder, names: &BTreeMap<String, Vec<String>>) -> Result<SafetensorsFile> {
    let files: BTreeSet<&String> = names.values().flatten().collect();
    FormatError::check("weight_map", Limit::Shards, files.len() as u64)?;
    let mut all = SafetensorsFile::default();
    let mut seen = BTreeSet::new();
    for file in files {
        let shard = read(&folder.map("weight_map", file)?).map_err(|error| error.within(file))?;
        all.metadata.extend(shard.metadata);
        let unread = shard.unused.iter().map(|unused| unused.location.raw());
        for name in shard.tensors.iter().map(|tensor| tensor.name.as_str()).chain(unread) {
            check_place(names, name, file, &mut seen)?;
        }
        all.tensors.extend(shard.tensors);
        all.unused.extend(shard.unused);
    }
    check_all(names, &seen)?;
    Ok(all)
}

/// An error unless the index has a tensor in the shard where it is, and no other shard has it.
pub(crate) fn check_place(
    names: &BTreeMap<String, Vec<String>>,
    name: &str,
    file: &str,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    let at = format!("weight_map: tensor `{}`", name.shown());
    if !seen.insert(name.to_owned()) {
        return Err(FormatError::malformed(at, "each tensor once", format!("a second one in `{file}`")));
    }
    if !names.get(name).is_some_and(|files| files.iter().any(|listed| listed == file)) {
        return Err(FormatError::malformed(at, format!("`{file}`, where it is"), "another file, or none"));
    }
    Ok(())
}

/// An error unless the shards had all tensors of the index.
pub(crate) fn check_all(names: &BTreeMap<String, Vec<String>>, seen: &BTreeSet<String>) -> Result<()> {
    match names.keys().find(|name| !seen.contains(*name)) {
        Some(name) => Err(FormatError::malformed("weight_map", format!("tensor `{name}` in its file"), "none")),
        None => Ok(()),
    }
}
