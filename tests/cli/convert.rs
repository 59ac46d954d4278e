//! `convert`, `compare` and `diff`.

use std::fs;

use insta::assert_snapshot;

use crate::{json, place, residua, transcript};

/// A folder with the digits model in it.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = residua_tests::folder().join("digits/digits.k3.keras");
    fs::copy(source, folder.path().join("digits.keras")).unwrap();
    folder
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_written_proved_and_the_same() {
    let folder = workplace();
    assert_snapshot!("convert_onnx", transcript(folder.path(), &["convert", "digits.keras", "digits.onnx"]));
    assert_snapshot!(
        "convert_safetensors",
        transcript(folder.path(), &["convert", "digits.keras", "digits.safetensors"])
    );
    // The bound is what rounding does on this machine.
    insta::with_settings!({ filters => [(r"\d\.\d\de-\d+", "[noise]")] }, {
        assert_snapshot!("compare", transcript(folder.path(), &["compare", "digits.keras", "digits.onnx"]));
    });
    assert_eq!(names(folder.path()), ["digits.keras", "digits.onnx", "digits.safetensors"]);
}

#[test]
fn each_kind_of_output_is_proved() {
    let folder = workplace();
    let kinds: [&[&str]; 6] = [
        &["a.onnx", "--input-layout", "source"],
        &["b.onnx", "--fold-bn"],
        &["c.onnx", "--dtype", "f16", "--fold-bn"],
        &["d.onnx", "--external-data", "--opset", "13"],
        &["e.safetensors", "--layout", "keras"],
        &["f.safetensors", "--dtype", "bf16"],
    ];
    for kind in kinds {
        let (document, status) = json(folder.path(), &[&["convert", "digits.keras"], kind].concat());
        assert_eq!((document["verification"]["verdict"].as_str(), status), (Some("same"), 0), "{kind:?}: {document}");
        assert!(document["tensors"].as_array().unwrap().len() > 40);
    }
    assert!(folder.path().join("d.onnx.data").is_file());
}

#[test]
fn an_input_is_not_replaced() {
    let folder = workplace();
    let before = fs::read(folder.path().join("digits.keras")).unwrap();
    fs::hard_link(folder.path().join("digits.keras"), folder.path().join("link.onnx")).unwrap();
    assert_snapshot!(
        "convert_replace",
        transcript(folder.path(), &["convert", "digits.keras", "./digits.keras", "--to", "onnx"])
    );
    assert_eq!(residua(folder.path(), &["convert", "digits.keras", "link.onnx"]).status.code(), Some(2));
    assert_eq!(fs::read(folder.path().join("digits.keras")).unwrap(), before);
}

#[test]
fn options_for_another_format_are_refused() {
    let folder = workplace();
    for args in [
        &["x.safetensors", "--opset", "17"][..],
        &["x.safetensors", "--external-data"],
        &["x.safetensors", "--layout", "keras", "--fold-bn"],
        &["x.onnx", "--layout", "keras"],
        &["x.onnx", "--opset", "99"],
        &["x.pb"],
    ] {
        let done = residua(folder.path(), &[&["convert", "digits.keras"], args].concat());
        assert_eq!(done.status.code(), Some(2), "{args:?}");
    }
    assert_eq!(names(folder.path()), ["digits.keras"]);
}

#[test]
fn models_that_differ_are_told_apart_with_and_without_running() {
    let (folder, first) = place("cifar/resnet20v1.k2.h5");
    let other = residua_tests::folder().join("digits/digits.k3.keras");
    let args = ["diff", first, other.to_str().unwrap()];
    let (document, status) = json(folder, &args);
    assert_eq!((document["verdict"].as_str(), status), (Some("different"), 1));
    let (document, status) = json(folder, &["compare", first, other.to_str().unwrap()]);
    assert_eq!((document["verdict"].as_str(), status), (Some("different"), 1), "{document}");
    let (document, status) = json(folder, &["diff", first, first]);
    assert_eq!((document["verdict"].as_str(), status), (Some("same"), 0));
}
