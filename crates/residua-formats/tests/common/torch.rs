//! Pickles, archives and streams of torch's making, written byte by byte.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};

pub(crate) fn cat<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Vec<u8> {
    parts.into_iter().flat_map(|part| part.as_ref().to_vec()).collect()
}

/// A pickle that ends with a value.
pub(crate) fn pickle(value: &[u8]) -> Vec<u8> {
    cat([b"\x80\x02", value, b"."])
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    cat([b"X", &u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()])
}

/// An integer of up to eight bytes.
pub(crate) fn int(value: i64) -> Vec<u8> {
    cat([&b"\x8a\x08"[..], &value.to_le_bytes()])
}

pub(crate) fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    cat([b"(".to_vec(), items.concat(), b"t".to_vec()])
}

pub(crate) fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub(crate) fn call(module: &str, name: &str, args: &[Vec<u8>]) -> Vec<u8> {
    cat([global(module, name), tuple(args), b"R".to_vec()])
}

pub(crate) fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    cat([b"}(".to_vec(), entries, b"u".to_vec()])
}

pub(crate) fn storage(class: &str, key: &str, count: i64) -> Vec<u8> {
    let id = tuple(&[text("storage"), global("torch", class), text(key), text("cpu"), int(count)]);
    cat([id, b"Q".to_vec()])
}

/// The arguments of a tensor on storage `0`, of so many floats.
pub(crate) fn view(count: i64, offset: i64, sizes: &[i64], strides: &[i64]) -> Vec<Vec<u8>> {
    vec![storage("FloatStorage", "0", count), int(offset), ints(sizes), ints(strides), b"\x89".to_vec(), b"}".to_vec()]
}

pub(crate) fn tensor(count: i64, offset: i64, sizes: &[i64], strides: &[i64]) -> Vec<u8> {
    call("torch._utils", "_rebuild_tensor_v2", &view(count, offset, sizes, strides))
}

/// A tensor of six floats that fits its storage.
pub(crate) fn weight() -> Vec<u8> {
    tensor(6, 0, &[2, 3], &[3, 1])
}

/// The elements of a storage of so many floats.
pub(crate) fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

pub(crate) fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in records {
        writer
            .start_file(*name, SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored))
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive of a value and storage `0` of six floats.
pub(crate) fn zip_of(value: &[u8]) -> Vec<u8> {
    archive(&[
        ("m/data.pkl", &pickle(value)),
        ("m/byteorder", b"little"),
        ("m/data/0", &floats(6)),
        ("m/version", b"3\n"),
    ])
}

/// A legacy stream of a value, keys and what follows them.
pub(crate) fn legacy(value: &[u8], keys: &[u8], tail: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let system = pickle(&dict(&[("little_endian", b"\x88".to_vec())]));
    cat([&magic[..], &pickle(&int(1001)), &system, &pickle(value), &pickle(keys), tail])
}
