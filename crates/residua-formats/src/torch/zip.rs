//! `torch.save` since 1.6, and TorchScript: ZIP archives of a pickle and a record for each storage.
//!
//! The top folder has any name. Local headers have no sizes, checksums may be 0: the archive's directory counts. (Source:
//! torch's `caffe2/serialize/inline_container.cc`.)

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::{Endian, Shown, Unused};

use super::described::described;
use super::storage::{Storage, Storages, element_size};
use super::{TorchFile, TorchKind, exported, walk};
use crate::error::Result;
use crate::zip::Archive;
use crate::{FormatError, pickle};

/// Whether an archive of these names is one of torch's.
pub(crate) fn is_torch_zip(names: &[String]) -> bool {
    prefix(names).is_some() || exported::prefix(names).is_some()
}

/// What stands before the names of all records.
fn prefix(names: &[String]) -> Option<&str> {
    let prefixes = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('/')).min_by_key(|prefix| prefix.len())
}

/// Reads an archive.
pub(crate) fn read_zip(bytes: &Bytes, archive: Archive) -> Result<TorchFile> {
    let mut archive = archive.without_checksums();
    let names = archive.names();
    if let Some(prefix) = exported::prefix(&names) {
        let prefix = prefix.to_owned();
        return read_program(bytes, archive, &prefix);
    }
    let Some(prefix) = prefix(&names).map(str::to_owned) else {
        return Err(FormatError::malformed("", "a record `data.pkl`", "none"));
    };
    let kind = match names.iter().any(|name| *name == format!("{prefix}constants.pkl")) {
        true => TorchKind::Script,
        false => TorchKind::Zip,
    };
    let record = format!("{prefix}data.pkl");
    let text = archive.entry(&record, Limit::PickleBytes)?;
    let text = text.ok_or_else(|| FormatError::malformed(&record, "a record", "none"))?;
    let sound = archive.is_sound(&record, &text);
    let pickle = pickle::run(&record, &text, 0)?;
    let endian = match archive.entry(&format!("{prefix}byteorder"), Limit::DecodedBytes)?.as_deref() {
        None | Some(b"little") => Endian::Little,
        Some(b"big") => Endian::Big,
        Some(other) => {
            let found = String::from_utf8_lossy(other).shown().to_string();
            return Err(FormatError::malformed(format!("{prefix}byteorder"), "`little` or `big`", found));
        }
    };
    let mut storages = Storages::new();
    for wanted in described(&pickle, &record)? {
        if storages.contains_key(&wanted.key) {
            continue;
        }
        let name = format!("{prefix}data/{}", wanted.key);
        let Some(found) = archive.entry(&name, Limit::DecodedBytes)? else {
            return Err(FormatError::malformed(name, "the record of a storage", "none"));
        };
        if element_size(&wanted.class).is_some() && wanted.bytes() != Some(found.len() as u64) {
            let expected = format!("{} elements of a {}", wanted.count, wanted.class.shown());
            return Err(FormatError::malformed(name, expected, format!("{} bytes", found.len())));
        }
        storages.insert(wanted.key, Storage { location: name, class: wanted.class, endian, bytes: found });
    }
    let unused = unused_records(&names, &prefix, &storages);
    let mut file = walk::read(kind, &pickle, &storages, bytes.len(), &record)?;
    file.unused.extend(unused);
    if !sound {
        file.notes.push(format!("the checksum of `{record}` is wrong, or was left out; others are not looked at"));
    }
    if kind == TorchKind::Script {
        let folder = format!("{prefix}constants/");
        let constants = names.iter().filter(|name| name.starts_with(&folder));
        let reason = "a constant of the program, which is not read";
        file.unused.extend(constants.map(|name| Unused { location: name.clone().into(), reason: reason.to_owned() }));
        file.notes.push(
            "a TorchScript program: its weights are read, its code is not; the network is told from their names and shapes"
                .to_owned(),
        );
    }
    Ok(file)
}

/// Reads a program of `torch.export`.
fn read_program(bytes: &Bytes, mut archive: Archive, prefix: &str) -> Result<TorchFile> {
    let Some((record, inner)) = exported::nested(&mut archive, prefix)? else {
        return exported::read(bytes, &mut archive, prefix);
    };
    // An archive in the archive, and no more than one.
    let nested = Archive::open(&inner).map_err(|error| error.within(&record))?;
    if exported::prefix(&nested.names()).is_some() {
        return Err(FormatError::malformed(record, "a state dict", "another program"));
    }
    read_zip(&inner, nested).map(exported::of_program).map_err(|error| error.within(&record))
}

/// Records of storages that the pickle does not mention.
fn unused_records(names: &[String], prefix: &str, storages: &Storages) -> Vec<Unused> {
    let folder = format!("{prefix}data/");
    let keys = names.iter().filter_map(|name| Some((name, name.strip_prefix(&folder)?)));
    let left = keys.filter(|(_, key)| !key.is_empty() && !storages.contains_key(*key));
    left.map(|(name, _)| Unused {
        location: name.clone().into(),
        reason: "a storage that no tensor refers to".to_owned(),
    })
    .collect()
}
