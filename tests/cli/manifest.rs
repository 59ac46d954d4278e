//! `convert --manifest` and `check --manifest`: what was converted stays what it was, and every change is found by name.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{json as run_json, place, residua};

/// A folder with the digits model, converted with a manifest.
fn converted(target: &str, options: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (from, file) = place("digits/digits.k3.h5");
    fs::copy(from.join(file), folder.path().join("digits.h5")).unwrap();
    let done = residua(folder.path(), &[&["convert", "digits.h5", target, "--manifest", "m.json"], options].concat());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("m.json")).unwrap()).unwrap()
}

/// Codes and names of what the check finds at level error, and how it ends.
fn check(folder: &Path, models: &[&str]) -> (Vec<(String, String)>, i32) {
    let (document, status) = run_json(folder, &[&["check", "--manifest", "m.json"], models].concat());
    assert_eq!(document["schema"], "residua.check/1");
    assert_eq!(document["verdict"], if status == 0 { "pass" } else { "fail" });
    let errors = document["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "error");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (errors.map(|finding| (text(&finding["code"]), text(&finding["node"]))).collect(), status)
}

/// Where the bytes of a tensor of a safetensors file are.
fn place_of(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offset = |index: usize| usize::try_from(header[name]["data_offsets"][index].as_u64().unwrap()).unwrap();
    8 + length + offset(0)..8 + length + offset(1)
}

/// Rewrites the output.
fn damage(folder: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(folder.join(file)).unwrap();
    change(&mut bytes);
    fs::write(folder.join(file), bytes).unwrap();
}

fn found(code: &str, name: &str) -> (String, String) {
    (code.to_owned(), name.to_owned())
}

#[test]
fn what_was_converted_is_replayed_and_every_tensor_is_accounted_for() {
    let kinds: [(&str, &[&str]); 5] = [
        ("out.onnx", &[]),
        ("out.onnx", &["--fold-bn", "--dtype", "f16"]),
        ("out.onnx", &["--external-data"]),
        ("out.safetensors", &[]),
        ("out.safetensors", &["--layout", "source", "--dtype", "bf16"]),
    ];
    for (target, options) in kinds {
        let folder = converted(target, options);
        assert_eq!(check(folder.path(), &[]), (Vec::new(), 0), "{target} {options:?}");
        assert_eq!(check(folder.path(), &["digits.h5", target]), (Vec::new(), 0));
        // Every array of the source is the source of a tensor, or listed with the reason.
        let manifest = manifest(folder.path());
        let paired =
            manifest["tensors"].as_array().unwrap().iter().flat_map(|pair| pair["sources"].as_array().unwrap());
        let mut names: Vec<&str> = paired.map(|entry| entry["location"].as_str().unwrap()).collect();
        names.extend(manifest["unused"].as_array().unwrap().iter().map(|single| single["location"].as_str().unwrap()));
        names.sort_unstable();
        names.dedup();
        assert!(names.len() >= 120, "{target} {options:?}: {}", names.len());
        assert!(
            manifest["unused"].as_array().unwrap().iter().all(|single| !single["reason"].as_str().unwrap().is_empty())
        );
    }
}

#[test]
fn each_change_is_found_by_name() {
    let folder = converted("out.safetensors", &[]);
    let (folder, file) = (folder.path(), "out.safetensors");
    let manifest = manifest(folder);
    let of_one_shape: Vec<&str> = {
        let targets = manifest["tensors"].as_array().unwrap().iter().map(|pair| &pair["target"]);
        targets.filter(|target| target["shape"] == json!([32])).map(|target| target["name"].as_str().unwrap()).collect()
    };
    let (first, second) = (of_one_shape[0], of_one_shape[1]);
    let intact = fs::read(folder.join(file)).unwrap();

    damage(folder, file, |bytes| {
        let at = place_of(bytes, first).start;
        bytes[at] ^= 1;
    });
    assert_eq!(check(folder, &[]), (vec![found("R504", first)], 1), "a byte");

    fs::write(folder.join(file), &intact).unwrap();
    damage(folder, file, |bytes| {
        let (a, b) = (place_of(bytes, first), place_of(bytes, second));
        let values = bytes[a.clone()].to_vec();
        bytes.copy_within(b.clone(), a.start);
        bytes[b].copy_from_slice(&values);
    });
    let (mut errors, status) = check(folder, &[]);
    errors.sort();
    let mut both = vec![found("R504", first), found("R504", second)];
    both.sort();
    assert_eq!((errors, status), (both, 1), "two that are swapped");

    fs::write(folder.join(file), &intact).unwrap();
    let renamed = format!("X{}", &first[1..]);
    damage(folder, file, |bytes| {
        // Only the name in the header; what the graph's text says of it is escaped differently.
        let (old, new) = (format!("\"{first}\":{{"), format!("\"{renamed}\":{{"));
        let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    });
    let expected = vec![found("R501", first), found("R502", &renamed)];
    assert_eq!(check(folder, &[]), (expected, 1), "one that is renamed");
}

#[test]
fn a_change_in_the_source_is_found_and_so_is_a_change_of_the_manifest() {
    let folder = converted("out.onnx", &[]);
    let folder = folder.path();
    let manifest = manifest(folder);
    let kernel = manifest["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .position(|pair| pair["transforms"] == json!(["permute(3,2,0,1)"]));
    let kernel = kernel.unwrap();
    let name = |side: &Value| side["name"].as_str().unwrap().to_owned();
    let (source, target) =
        (name(&manifest["tensors"][kernel]["sources"][0]), name(&manifest["tensors"][kernel]["target"]));

    // Only the transform: both tensors are what they were.
    let mut edited = manifest.clone();
    edited["tensors"][kernel]["transforms"] = json!(["permute(3,2,1,0)"]);
    fs::write(folder.join("m.json"), edited.to_string()).unwrap();
    assert_eq!(check(folder, &[]), (vec![found("R505", &target)], 1));
    edited["tensors"][kernel]["transforms"] = json!([]);
    fs::write(folder.join("m.json"), edited.to_string()).unwrap();
    assert_eq!(check(folder, &[]), (vec![found("R505", &target)], 1));

    // The elements of that kernel in the source: HDF5 keeps them in one piece.
    fs::write(folder.join("m.json"), manifest.to_string()).unwrap();
    let values = kernel_bytes(folder, &target);
    damage(folder, "digits.h5", |bytes| {
        let at = bytes.windows(values.len()).position(|window| window == values).unwrap();
        bytes[at] ^= 1;
    });
    assert_eq!(check(folder, &[]), (vec![found("R504", &source)], 1));
}

/// The first elements of the kernel as the source stores them, which a copy with the source's own axes has.
fn kernel_bytes(folder: &Path, name: &str) -> Vec<u8> {
    let done = residua(folder, &["convert", "digits.h5", "own.safetensors", "--layout", "source"]);
    assert_eq!(done.status.code(), Some(0));
    let bytes = fs::read(folder.join("own.safetensors")).unwrap();
    bytes[place_of(&bytes, name)].to_vec()
}

#[test]
fn what_is_no_manifest_is_refused() {
    let folder = converted("out.onnx", &[]);
    let folder = folder.path();
    let manifest = manifest(folder);
    let edit = |pointer: &str, value: Value| {
        let mut edited = manifest.clone();
        *edited.pointer_mut(pointer).unwrap() = value;
        edited.to_string()
    };
    for text in [
        String::new(),
        "[]".to_owned(),
        "[".repeat(100_000),
        edit("/schema", json!("residua.manifest/2")),
        edit("/source/path", json!("../digits.h5")),
        edit("/source/path", json!("/etc/passwd")),
        edit("/output/path", json!("")),
        edit("/output/files/0/name", json!("../out.onnx")),
        edit("/tensors/1/transforms", json!(["permute(3,2"])),
        edit("/tensors/1/transforms", json!(vec!["cast(f32)"; 1000])),
        edit("/tensors/1/target/sha256", json!("0")),
        edit("/tensors/1/target/shape", json!([-1])),
    ] {
        fs::write(folder.join("m.json"), &text).unwrap();
        let done = residua(folder, &["check", "--manifest", "m.json"]);
        assert_eq!(done.status.code(), Some(2), "{}", text.chars().take(80).collect::<String>());
    }
    // Shapes that overflow are found, not multiplied.
    for transform in ["reshape(18446744073709551615,18446744073709551615)", "permute(9,9,9,9)", "reshape()"] {
        fs::write(folder.join("m.json"), edit("/tensors/1/transforms", json!([transform]))).unwrap();
        assert_eq!(check(folder, &[]).1, 1, "{transform}");
    }
    fs::write(folder.join("m.json"), manifest.to_string()).unwrap();
    for args in [&["check"][..], &["check", "a", "b"], &["check", "--manifest", "m.json", "digits.h5"]] {
        assert_eq!(residua(folder, args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_manifest_replaces_no_model() {
    let folder = converted("out.onnx", &[]);
    let folder = folder.path();
    for taken in ["digits.h5", "new.onnx", "out.onnx"] {
        let target = if taken == "out.onnx" { "out.onnx" } else { "new.onnx" };
        let before = fs::read(folder.join("digits.h5")).unwrap();
        let done = residua(folder, &["convert", "digits.h5", target, "--manifest", taken]);
        assert_eq!(done.status.code(), Some(2), "{taken}");
        assert_eq!(fs::read(folder.join("digits.h5")).unwrap(), before);
    }
}

#[test]
fn tensors_of_pytorch_are_told_by_their_names() {
    // Their places in the file are numbers.
    let source = &residua_tests::torch().iter().find(|fixture| fixture.path.ends_with("resnet18.pth")).unwrap().path;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = source.file_name().unwrap().to_str().unwrap();
    fs::copy(source, folder.join(file)).unwrap();
    let args = ["convert", file, "out.safetensors", "--layout", "huggingface", "--manifest", "m.json"];
    assert_eq!(residua(folder, &args).status.code(), Some(0));
    assert_eq!(check(folder, &[]), (Vec::new(), 0));
    let mut edited = manifest(folder);
    let pairs = edited["tensors"].as_array_mut().unwrap();
    let head = pairs.iter_mut().find(|pair| pair["target"]["name"] == "classifier.1.weight").unwrap();
    assert_eq!(head["sources"][0]["name"], "fc.weight");
    head["sources"][0]["sha256"] = json!("0".repeat(64));
    fs::write(folder.join("m.json"), edited.to_string()).unwrap();
    assert_eq!(check(folder, &[]), (vec![found("R504", "fc.weight")], 1));
}
