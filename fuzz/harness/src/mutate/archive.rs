//! Archives: one member is changed as what it is, and the archive is written whole around it.

use std::io::{Cursor, Read, Write};

use fastrand::Rng;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{json, model, pickle};

/// The most that a member of a seed may have; what is larger is no seed.
const MOST: u64 = 4 << 20;

/// An archive of these members, under one folder, none compressed.
pub(crate) fn stored(folder: &str, members: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let members: Vec<(String, Vec<u8>)> =
        members.iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes.to_vec())).collect();
    write(&members)
}

fn write(members: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        archive.start_file(name.as_str(), options).ok()?;
        archive.write_all(bytes).ok()?;
    }
    Some(archive.finish().ok()?.into_inner())
}

/// The archive with one member changed, dropped, doubled under another name, or exchanged with another.
pub(super) fn mutate(data: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    let mut members = members(data)?;
    let place = random.usize(..members.len());
    let other = random.usize(..members.len());
    match random.u8(..12) {
        0 => drop(members.remove(place)),
        1 => {
            let (name, bytes) = members.get(place)?.clone();
            members.push((format!("{name}_"), bytes));
        }
        2 => {
            let bytes = members.get(other)?.1.clone();
            members.get_mut(place)?.1 = bytes;
        }
        _ => {
            // What says what the others mean is worth more tries than elements of tensors.
            let telling = |name: &str| name.ends_with(".json") || name.ends_with(".pkl") || name.ends_with(".h5");
            let place = members.iter().position(|(name, _)| telling(name)).filter(|_| random.bool()).unwrap_or(place);
            let (name, bytes) = members.get_mut(place)?;
            *bytes = if name.ends_with(".json") { json::mutate(bytes, random) } else { model(bytes, random) }
                .unwrap_or_else(|| pickle::mutate(bytes, random));
        }
    }
    write(&members)
}

fn members(data: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(data)).ok()?;
    let mut members = Vec::new();
    for index in 0..archive.len().min(200) {
        let file = archive.by_index(index).ok()?;
        let name = file.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        members.push((name, bytes));
    }
    (!members.is_empty()).then_some(members)
}
