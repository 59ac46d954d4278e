//! `torch.save` before 0.1.10: a tar archive of storages, tensors and a pickle that refers to them by number.
//!
//! (Source: torch's `serialization.py`, `legacy_load`.)

use std::collections::BTreeMap;

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::{Endian, Shown, Tensor};

use super::storage::{Storage, Storages, dtype_of_class, element_size};
use super::{TorchFile, TorchKind, walk};
use crate::FormatError;
use crate::decoded::Decoded;
use crate::error::Result;
use crate::pickle::{self, Pickle};

const BLOCK: usize = 512;

/// Whether the bytes are a tar archive.
pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Reads an archive; one that torch did not write is refused.
pub(crate) fn read_tar(bytes: &Bytes) -> Result<TorchFile> {
    let members = members(bytes)?;
    let member = |name: &str| {
        members.get(name).cloned().ok_or_else(|| {
            let has: Vec<&str> = members.keys().map(String::as_str).take(4).collect();
            let what = format!("a tar archive without `{name}` (in it: {})", has.join(", ").shown());
            FormatError::unsupported("", what, "unpack it and give what is in it")
        })
    };
    let (storages, tensors, object) = (member("storages")?, member("tensors")?, member("pickle")?);
    let storages = read_storages(&storages)?;
    let numbered = read_tensors(&tensors, &storages, bytes.len())?;
    let pickle = pickle::run("pickle", &object, 0)?;
    walk::read_numbered(TorchKind::Tar, &pickle, &storages, &numbered, bytes.len(), "pickle")
}

/// Members by name.
fn members(bytes: &Bytes) -> Result<BTreeMap<String, Bytes>> {
    let mut members = BTreeMap::new();
    let mut position = 0;
    while let Some(header) = bytes.get(position..position + BLOCK) {
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        FormatError::check("", Limit::ArchiveEntries, members.len() as u64 + 1)?;
        let text = |from: usize, to: usize| {
            let field = &header[from..to];
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let (name, size) = (text(0, 100), text(124, 136));
        let size = usize::from_str_radix(&size, 8).ok();
        let start = position + BLOCK;
        let end = size.and_then(|size| start.checked_add(size)).filter(|&end| end <= bytes.len());
        let Some(end) = end else {
            return Err(FormatError::malformed(
                name.shown().to_string(),
                "a member of a tar archive that lies in the file",
                "none",
            ));
        };
        // Other kinds than files (`0`, or nothing) are folders and headers of extensions.
        if matches!(header[156], 0 | b'0') {
            members.insert(name.trim_start_matches("./").to_owned(), bytes.slice(start..end));
        }
        position = end.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX - BLOCK);
    }
    Ok(members)
}

/// A pickled number, and where it ends.
fn count(at: &str, bytes: &Bytes) -> Result<(u64, usize)> {
    let pickle = pickle::run(at, bytes, 0)?;
    let number = pickle.int(pickle.root).and_then(|number| u64::try_from(number).ok());
    let number = number.ok_or_else(|| FormatError::malformed(at, "a number", pickle.describe(pickle.root)))?;
    FormatError::check(at, Limit::Tensors, number)?;
    Ok((number, pickle.end))
}

/// The three items of a pickled tuple: a key, something, a class.
fn triple(at: &str, pickle: &Pickle) -> Result<(String, String, String)> {
    let key = |id| pickle.int(id).map(|key| key.to_string()).or_else(|| pickle.text(id).map(str::to_owned));
    let triple = match pickle.sequence(pickle.root) {
        Some(&[a, b, class]) => key(a).zip(key(b)).zip(pickle.global(class)),
        Some(_) | None => None,
    };
    let ((a, b), class) =
        triple.ok_or_else(|| FormatError::malformed(at, "a key, a place and a class", "something else"))?;
    Ok((a, b, class.rsplit('.').next().unwrap_or(class).to_owned()))
}

fn i64_at(at: &str, bytes: &Bytes, position: usize) -> Result<usize> {
    let chunk = bytes.get(position..).and_then(|rest| rest.first_chunk());
    let number = chunk.and_then(|&chunk| usize::try_from(i64::from_le_bytes(chunk)).ok());
    number.ok_or_else(|| FormatError::malformed(at, "a number of 8 bytes", "none, or a negative one"))
}

fn read_storages(bytes: &Bytes) -> Result<Storages> {
    let at = "storages";
    let (number, mut position) = count(at, bytes)?;
    let mut storages = Storages::new();
    for _ in 0..number {
        let about = pickle::run(at, bytes, position)?;
        let (key, _, class) = triple(at, &about)?;
        let place = format!("storages: `{}`", key.shown());
        let size = element_size(&class).ok_or_else(|| {
            FormatError::unsupported(&place, format!("a storage of the class {class}"), "save it with a newer PyTorch")
        })?;
        let length = i64_at(&place, bytes, about.end)?.checked_mul(size);
        let start = about.end + 8;
        let end = length.and_then(|length| start.checked_add(length)).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(|| FormatError::malformed(&place, "elements that lie in the file", "fewer"))?;
        let bytes = bytes.slice(start..end);
        storages.insert(key, Storage { location: place, class, endian: Endian::Little, bytes });
        position = end;
    }
    let views = pickle::run(at, bytes, position)?;
    for &view in views.sequence(views.root).unwrap_or_default() {
        let Some(&[key, root, offset, size]) = views.sequence(view) else { continue };
        let text = |id| views.int(id).map(|key| key.to_string()).or_else(|| views.text(id).map(str::to_owned));
        let number = |id| views.int(id).and_then(|n| u64::try_from(n).ok());
        if let (Some(key), Some(root), Some(offset), Some(size)) = (text(key), text(root), number(offset), number(size))
            && let Some(part) = storages.get(&root).and_then(|storage| storage.part(offset, size, &storage.class))
        {
            storages.insert(key, part);
        }
    }
    Ok(storages)
}

fn read_tensors(bytes: &Bytes, storages: &Storages, file: usize) -> Result<BTreeMap<String, (Tensor, String)>> {
    const RANK: usize = 32;
    let at = "tensors";
    let (number, mut position) = count(at, bytes)?;
    let (mut tensors, decoded) = (BTreeMap::new(), Decoded::of(file));
    for _ in 0..number {
        let about = pickle::run(at, bytes, position)?;
        let (key, storage, _) = triple(at, &about)?;
        let place = format!("tensors: `{}`", key.shown());
        let rank = bytes.get(about.end..).and_then(|rest| rest.first_chunk()).map(|&rank| i32::from_le_bytes(rank));
        let rank = rank.and_then(|rank| usize::try_from(rank).ok()).filter(|&rank| rank <= RANK);
        let rank = rank.ok_or_else(|| FormatError::malformed(&place, format!("a rank up to {RANK}"), "none"))?;
        let numbers = about.end + 8;
        let list =
            |from: usize| (0..rank).map(|axis| i64_at(&place, bytes, from + 8 * axis)).collect::<Result<Vec<_>>>();
        let (shape, strides) = (list(numbers)?, list(numbers + 8 * rank)?);
        let offset = i64_at(&place, bytes, numbers + 16 * rank)?;
        position = numbers + 16 * rank + 8;
        let Some(storage) = storages.get(&storage) else {
            return Err(FormatError::malformed(place, format!("storage `{}`", storage.shown()), "none"));
        };
        let Some(dtype) = dtype_of_class(&storage.class) else { continue };
        let tensor = Tensor::from_strided(dtype, storage.endian, shape, &strides, offset, &storage.bytes)
            .map_err(|error| FormatError::malformed(&place, "a view on its storage", error.to_string()))?;
        let tensor = decoded.take(&place, tensor)?;
        tensors.insert(key, (tensor, place));
    }
    Ok(tensors)
}
