//! What is refused, with a message that says what it is, where, and what would work.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use std::io::{Cursor, Write};

use common::{fixture, keras, keras_tensors, onnx_bytes, open_bytes, tensors};
use prost::Message;
use residua_formats::onnx::schema::{
    AttributeProto, DataLocation, DataType, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
};
use residua_formats::{Container, open};
use residua_tests::{Object, hdf5};
use zip::write::{SimpleFileOptions, ZipWriter};

/// What reading these bytes says.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    match open_bytes(bytes) {
        Ok(container) => panic!("taken: {container:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn files_that_are_known_but_not_read_are_named_with_what_would_work() {
    let legacy_torch = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &[&str]); 14] = [
        (b"", &["an empty file"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 103\n", &["Git LFS", "git lfs pull"]),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", &["web page"]),
        (b"just some words in a file", &["a text", "safetensors"]),
        (legacy_torch, &["protocol version, byte 15", "more bytes"]),
        (b"\x80\x04\x95\x10\x00\x00\x00", &["pickle, byte 2", "8 more bytes"]),
        (&tar, &["tar archive"]),
        (b"\x1f\x8b\x08\x00\x00", &["gzip", "gunzip"]),
        (b"\x08\x01\x12\x84\x02\x0a\x10", &["SavedModel", "tf2onnx"]),
        (&zipped(&[("m/data.pkl", b""), ("m/version", b"3")]), &["m/data.pkl, byte 0", "more bytes"]),
        (&zipped(&[("m/archive_format", b"pt2"), ("m/data/weights/model_weights_config.json", b"{}")]), &["`config`"]),
        (&zipped(&[("notes.txt", b"x")]), &["ZIP archive", "notes.txt"]),
        (&zipped(&[("config.json", b"{}"), ("model.weights.npz", b"")]), &["model.weights.h5"]),
        (b"{\"class_name\": \"Functional\"}", &["JSON without weights"]),
    ];
    for (bytes, parts) in cases {
        says(&refusal(bytes), parts);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("not-there.h5");
    says(&open(&nothing).unwrap_err().to_string(), &["not-there.h5", "cannot be read"]);
}

#[test]
fn hdf5_files_made_to_exhaust_or_to_reach_out_are_refused_with_the_place() {
    let cases: [(&str, &[&str]); 10] = [
        ("huge_claim.h5", &["block1_conv1/kernel", "beyond the limit"]),
        ("bomb.h5", &["block1_conv1/kernel", "beyond the limit"]),
        ("external_link.h5", &["stem_conv/kernel", "external link", "/etc/passwd"]),
        ("external_storage.h5", &["stem_conv/kernel", "another file"]),
        ("group_cycle.h5", &["stem_conv/again", "holds itself"]),
        ("soft_cycle.h5", &["stem_conv/kernel", "soft link"]),
        ("deep_json.h5", &["@model_config", "recursion"]),
        ("config_bomb.keras", &["config.json", "beyond the limit"]),
        ("missing_tensor.h5", &["block2_conv2/kernel", "weight_names"]),
        ("unlisted_tensor.h5", &["stray", "weight_names"]),
    ];
    for (name, parts) in cases {
        let path = fixture("faults").join(name);
        let error = open(&path).map(|_| ()).unwrap_err();
        says(&error.to_string(), &[&[name], parts].concat());
    }
}

type Links = Vec<(String, Object)>;

fn soft(from: impl Into<String>, to: impl Into<String>) -> (String, Object) {
    (from.into(), Object::Soft(to.into()))
}

#[test]
fn many_soft_links_are_followed_in_time() {
    const LINKS: usize = 16_000;
    // Each leads to the next, in the order that takes a round for each where rounds are made; the last to a dataset that Keras
    // would not have put there.
    let chain = (0..LINKS).map(|nth| soft(format!("s{nth:05}"), format!("/s{:05}", nth + 1)));
    let end = (format!("s{LINKS:05}"), Object::Dataset(vec![2]));
    let message = refusal(&hdf5(&Object::group(chain.chain([end]))));
    says(&message, &["an HDF5 file that Keras did not write", "`s00000`"]);
}

#[test]
fn soft_links_that_lead_nowhere_or_around_or_multiply_are_refused() {
    let group = |name: &str, links: Vec<(String, Object)>| (name.to_owned(), Object::group(links));
    let around: Vec<_> = (0..3_000).map(|nth| soft(format!("s{nth}"), format!("/s{}", (nth + 1) % 3_000))).collect();
    // Two to the next level in each of forty, and as many levels as links.
    let level = |nth: usize, names: &[&str]| {
        group(&format!("g{nth}"), names.iter().map(|&name| soft(name, format!("/g{}", nth + 1))).collect())
    };
    let end = |nth: usize| group(&format!("g{nth}"), vec![("w".to_owned(), Object::Dataset(vec![2]))]);
    let doubled = (0..40).map(|nth| level(nth, &["l", "r"])).chain([end(40)]).collect();
    let deep = (0..3_000).map(|nth| level(nth, &["l"])).chain([end(3_000)]).collect();
    let big = |shape: u64| group("big", vec![("w".to_owned(), Object::Dataset(vec![shape]))]);
    let copies = (0..2_000).map(|nth| soft(format!("s{nth}"), "/big")).chain([big(1 << 16)]).collect();
    let cases: Vec<(Links, &[&str])> = vec![
        (around, &["soft link", "leads back to it"]),
        (vec![group("a", vec![soft("x", "/b")]), group("b", vec![soft("y", "/a")])], &["leads back to it"]),
        (vec![group("a", vec![soft("x", "/a")])], &["a/x", "which holds it"]),
        (vec![soft("x", "/y/z"), group("y", Vec::new())], &["x", "`/y/z`, where there is nothing"]),
        (vec![soft("x", "/y"), group("x", Vec::new()), group("y", Vec::new())], &["a name of its own"]),
        (vec![soft("x", "/y"), soft("x", "/y"), group("y", Vec::new())], &["a name of its own"]),
        (doubled, &["groups and datasets", "beyond the limit"]),
        (deep, &["levels of nesting", "beyond the limit"]),
        (copies, &["after decoding", "beyond the limit"]),
    ];
    for (links, parts) in cases {
        says(&refusal(&hdf5(&Object::group(links))), parts);
    }
}

#[test]
fn names_that_multiply_with_levels_are_refused_and_groups_without_number_are_not() {
    let names = vec!["n".repeat(1_000); 50];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wide = |count: usize| Object::group((0..count).map(|nth| (format!("g{nth}"), Object::group([]))));
    says(&refusal(&hdf5(&wide(3_000).within(&names))), &["bytes of names", "beyond the limit"]);
    says(&refusal(&hdf5(&wide(3_000).within(&["a"; 70]))), &["levels of nesting"]);
    says(&refusal(&hdf5(&wide(20_000))), &["an HDF5 file that Keras did not write", "`g0`"]);
}

#[test]
fn a_zip_whose_entries_share_bytes_is_refused() {
    let plain = std::fs::read(fixture("faults/sound.keras")).unwrap();
    assert!(open_bytes(&plain).is_ok());
    // Every entry of the directory says that it starts where the first does.
    let mut shared = plain;
    let at: Vec<usize> = (0..shared.len() - 4).filter(|&i| shared[i..].starts_with(b"PK\x01\x02")).collect();
    assert_eq!(at.len(), 3);
    for entry in at {
        shared[entry + 42..entry + 46].fill(0);
    }
    says(&refusal(&shared), &["share bytes"]);
}

#[test]
fn a_deflated_bomb_is_refused_before_it_is_decompressed() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    writer.start_file("config.json", deflated).unwrap();
    writer.write_all(b"{}").unwrap();
    writer.start_file("model.weights.h5", deflated).unwrap();
    for _ in 0..300 {
        writer.write_all(&[0; 1 << 20]).unwrap();
    }
    let mut bomb = writer.finish().unwrap().into_inner();
    says(&refusal(&bomb), &["model.weights.h5", "beyond the limit"]);
    // The same, announced as small.
    let entry = (0..bomb.len()).rev().find(|&i| bomb[i..].starts_with(b"PK\x01\x02")).unwrap();
    bomb[entry + 24..entry + 28].copy_from_slice(&1000u32.to_le_bytes());
    says(&refusal(&bomb), &["model.weights.h5", "larger than its declared"]);
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let file = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let tensor = |dtype: &str, shape: &str, end: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    assert!(open_bytes(&file(&tensor("F32", "[2]", "8"), 8)).is_ok());
    let mut endless = file(&tensor("F32", "[2]", "8"), 8);
    endless[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    says(&refusal(&endless), &["header", "beyond the limit"]);
    says(&refusal(&file(&tensor("F32", "[2]", "8"), 4)), &["8 bytes of tensors", "found 4"]);
    says(&refusal(&file(&tensor("F32", "[3]", "8"), 8)), &["header"]);
    let Container::Safetensors(small) = open_bytes(&file(&tensor("F8_E4M3", "[8]", "8"), 8)).unwrap() else { panic!() };
    assert!(small.tensors.is_empty() && small.unused[0].reason.contains("F8_E4M3"), "{:?}", small.unused);
    says(&refusal(&file(&tensor("U8", "[1000000000000]", "1000000000000"), 8)), &["1000000000000 bytes"]);
    says(&refusal(&file(&tensor("U8", "[4294967296,4294967296]", "0"), 0)), &["header"]);
    // Offsets whose sum with the header's length overflows to the length of the file.
    let eighth = (1u64 << 61) - 1;
    let many: Vec<String> = (0..9)
        .map(|i| {
            let (start, end) = (eighth.wrapping_mul(i), eighth.wrapping_mul(i + 1));
            format!(r#""t{i}":{{"dtype":"U8","shape":[{eighth}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    says(&refusal(&file(&format!("{{{}}}", many.join(",")), 8)), &["header"]);
}

#[test]
fn onnx_messages_made_to_exhaust_are_refused() {
    let claim =
        TensorProto { name: "w".into(), dims: vec![1_000_000, 1_000_000], data_type: 1, ..TensorProto::default() };
    let Container::Onnx(file) = open_bytes(&onnx_bytes(Vec::new(), vec![claim.clone()])).unwrap() else { panic!() };
    says(&file.tensor(&claim).unwrap_err().to_string(), &["tensor `w`", "4000000000000 bytes", "found 0"]);
    let overflow = TensorProto { dims: vec![i64::MAX, i64::MAX], ..claim };
    says(&file.tensor(&overflow).unwrap_err().to_string(), &["tensor `w`", "too many elements"]);

    let mut graph = GraphProto::default();
    for _ in 0..40 {
        let attribute = AttributeProto { g: Some(graph), ..AttributeProto::default() };
        let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
        graph = GraphProto { node: vec![node], ..GraphProto::default() };
    }
    let deep = ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() };
    says(&refusal(&deep.encode_to_vec()), &["nesting", "beyond the limit"]);

    // Two bytes for each node.
    let nodes = 3_000_000;
    let mut many = vec![0x08, 8, 0x3a];
    prost::encoding::encode_varint(2 * nodes, &mut many);
    many.extend([0x0a, 0].repeat(usize::try_from(nodes).unwrap()));
    says(&refusal(&many), &["messages and strings", "beyond the limit"]);
}

fn external(location: &str, offset: &str) -> TensorProto {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    TensorProto {
        name: "w".to_owned(),
        dims: vec![2],
        data_type: DataType::Float as i32,
        data_location: DataLocation::External as i32,
        external_data: vec![entry("location", location), entry("offset", offset)],
        ..TensorProto::default()
    }
}

#[test]
fn external_data_is_read_from_the_models_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir_all(inside.join("sub")).unwrap();
    std::fs::write(folder.path().join("secret"), [0; 64]).unwrap();
    std::fs::write(inside.join("data"), [1; 64]).unwrap();
    std::fs::write(inside.join("sub/data"), [1; 64]).unwrap();
    std::fs::write(inside.join("model.onnx"), onnx_bytes(Vec::new(), Vec::new())).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let Container::Onnx(file) = open(&inside).unwrap() else { panic!() };

    assert_eq!(file.tensor(&external("data", "8")).unwrap().to_f32().unwrap(), [f32::from_le_bytes([1; 4]); 2]);
    assert!(file.tensor(&external("sub/data", "0")).is_ok());
    let absolute = folder.path().join("secret").to_string_lossy().into_owned();
    for location in ["../secret", "sub/../../secret", "../../etc/passwd", &absolute, "/etc/passwd", "", "link"] {
        let message = file.tensor(&external(location, "0")).unwrap_err().to_string();
        says(&message, &["tensor `w`", "a file in the model's folder"]);
    }
    says(&file.tensor(&external("data", "60")).unwrap_err().to_string(), &["8 bytes at 60", "which has 64"]);
    says(&file.tensor(&external("data", "18446744073709551610")).unwrap_err().to_string(), &["8 bytes at"]);
    says(&file.tensor(&external("data", "-1")).unwrap_err().to_string(), &["a number as `offset`"]);
    assert!(file.tensor(&external("sub", "0")).is_err());
}

/// The cache of Hugging Face: all files of a model are links into one folder of blobs.
#[cfg(unix)]
#[test]
fn external_data_may_be_a_link_beside_what_the_model_is_a_link_to() {
    let folder = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (folder.path().join("blobs"), folder.path().join("snapshots/main"));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(blobs.join("aa"), onnx_bytes(Vec::new(), Vec::new())).unwrap();
    std::fs::write(blobs.join("bb"), [0; 8]).unwrap();
    for (blob, name) in [("aa", "model.onnx"), ("bb", "model.onnx.data")] {
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    let Container::Onnx(file) = open(&snapshot).unwrap() else { panic!() };
    assert_eq!(file.tensor(&external("model.onnx.data", "0")).unwrap().to_f32().unwrap(), [0.0, 0.0]);
}

#[test]
fn shards_have_to_lie_beside_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"a": "../other.safetensors"}}"#).unwrap();
    says(&open(&index).unwrap_err().to_string(), &["weight_map", "a file in the model's folder", "../other"]);
}

#[test]
fn a_folder_holds_one_model() {
    let folder = tempfile::tempdir().unwrap();
    says(&open(folder.path()).unwrap_err().to_string(), &["none of its files is one"]);
    let sound = fixture("faults/sound.h5");
    std::fs::copy(&sound, folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "a note about the model").unwrap();
    let found = open(folder.path()).unwrap();
    assert_eq!(tensors(&found).len(), keras_tensors(&keras(open(&sound).unwrap())).len());
    std::fs::copy(&sound, folder.path().join("b")).unwrap();
    says(&open(folder.path()).unwrap_err().to_string(), &["found 2; give one of them"]);
}
