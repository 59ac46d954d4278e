//! PyTorch's stream: pickles one after the other, then storages.
//!
//! Magic number, protocol version, facts of the system, the object, the keys of its storages; then for each key, in that
//! order, the number of elements and the elements. (Source: torch's `serialization.py`, `_legacy_load`, and
//! `csrc/serialization.cpp`.)
//!
//! Elements are little-endian whatever the facts of the system say: machines of the other order turn them when they
//! write. Only the numbers of elements were written in the machine's own order at first.

use std::collections::BTreeMap;

use bytes::Bytes;
use residua_ir::{Endian, Shown};

use super::described::{Described, described, storage_key};
use super::storage::{Storage, Storages, element_size};
use crate::FormatError;
use crate::error::Result;
use crate::pickle::{self, Pickle, Value};

/// The storage that a stream inside of a pickle holds: what `pickle.dump` makes of a tensor.
pub(super) fn read_storage(bytes: &Bytes) -> Result<Storage> {
    let (object, mut storages) = read(bytes)?;
    let key = match object.get(object.root) {
        Value::Persistent(id) if object.calls.is_empty() => storage_key(&object, *id),
        _ => None,
    };
    let storage = key.and_then(|key| storages.remove(&key));
    storage.ok_or_else(|| FormatError::malformed("object", "a storage and nothing else", object.describe(object.root)))
}

/// The object of a stream, and its storages.
pub(super) fn read(bytes: &Bytes) -> Result<(Pickle, Storages)> {
    let magic = pickle::run("magic number", bytes, 0)?;
    let protocol = pickle::run("protocol version", bytes, magic.end)?;
    if protocol.int(protocol.root) != Some(1001) {
        return Err(FormatError::malformed("protocol version", "1001", protocol.describe(protocol.root)));
    }
    let system = pickle::run("facts of the system", bytes, protocol.end)?;
    let little = system.entries(system.root).and_then(|entries| system.at(&entries, "little_endian"));
    let turned = matches!(little.map(|id| system.get(id)), Some(Value::Bool(false)));
    let object = pickle::run("object", bytes, system.end)?;
    let keys = pickle::run("keys of storages", bytes, object.end)?;
    let storages = storages(bytes, &object, &keys, turned)?;
    Ok((object, storages))
}

fn storages(bytes: &Bytes, object: &Pickle, keys: &Pickle, turned: bool) -> Result<Storages> {
    const AT: &str = "keys of storages";
    let mut wanted: BTreeMap<String, Described> = BTreeMap::new();
    let mut views = Vec::new();
    for storage in described(object, "object")? {
        if let Some(view) = storage.view.clone() {
            views.push((storage.key.clone(), view, storage.class.clone()));
        }
        wanted.entry(storage.key.clone()).or_insert(storage);
    }
    let list = keys.sequence(keys.root);
    let list = list.ok_or_else(|| FormatError::malformed(AT, "a list", keys.describe(keys.root)))?;
    let mut storages = Storages::new();
    let mut position = keys.end;
    for &key in list {
        let key = keys.text(key).ok_or_else(|| FormatError::malformed(AT, "a text", keys.describe(key)))?;
        let at = format!("storage `{}`", key.shown());
        let Some(storage) = wanted.get(key) else {
            return Err(FormatError::malformed(at, "a storage of the object", "one that nothing describes"));
        };
        let Some(size) = element_size(&storage.class) else {
            let what = format!("a storage of the class {}", storage.class.shown());
            return Err(FormatError::unsupported(at, what, "save it with a newer PyTorch"));
        };
        let rest = &bytes[position..];
        let count = rest.first_chunk().map(|&count| u64::from_le_bytes(count));
        let count = count.ok_or_else(|| FormatError::malformed(&at, "its size", "the end of the file"))?;
        let count = if turned && count.swap_bytes() == storage.count { storage.count } else { count };
        let length = count.checked_mul(size as u64).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| length.checked_add(8)).filter(|&end| end <= rest.len());
        let Some(end) = end else {
            let found = format!("{} bytes", rest.len().saturating_sub(8));
            return Err(FormatError::malformed(at, format!("{count} elements of {size} bytes"), found));
        };
        if count != storage.count && storage.view.is_none() {
            let expected = format!("{} elements, as the object says", storage.count);
            return Err(FormatError::malformed(at, expected, format!("{count}")));
        }
        let bytes = bytes.slice(position + 8..position + end);
        storages.insert(
            key.to_owned(),
            Storage { location: at, class: storage.class.clone(), endian: Endian::Little, bytes },
        );
        position += end;
    }
    if position != bytes.len() {
        let found = format!("{} more bytes", bytes.len() - position);
        return Err(FormatError::malformed("", "the end of the file behind the last storage", found));
    }
    for (root, (key, offset, count), class) in views {
        if let Some(view) = storages.get(&root).and_then(|root| root.part(offset, count, &class)) {
            storages.insert(key, view);
        }
    }
    Ok(storages)
}
