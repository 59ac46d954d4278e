//! `diff`: what differs between two models, across formats, frameworks and names.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::{json, residua, transcript};

fn counts(document: &Value, of: &str) -> Vec<usize> {
    let count = |key: &str| document[of][key].as_array().unwrap().len();
    ["only_a", "only_b", "changed"].map(count).to_vec()
}

fn convert(folder: &Path, args: &[&str]) {
    let done = residua(folder, &[&["convert", "--quiet"], args].concat());
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_model_is_itself_whatever_the_container() {
    let folder = residua_tests::folder().join("faults");
    assert_snapshot!("diff_same", transcript(&folder, &["diff", "sound.h5", "sound.keras"]));
}

#[test]
fn one_tensor_that_changed_is_the_only_difference() {
    let folder = residua_tests::folder().join("faults");
    let (document, status) = json(&folder, &["diff", "sound.h5", "nan_kernel.h5"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("different"), 1));
    assert_eq!((counts(&document, "layers"), counts(&document, "tensors")), (vec![0, 0, 0], vec![0, 0, 1]));
    let change = &document["tensors"]["changed"][0];
    assert_eq!(change["name"], "block1_conv2/kernel");
    assert_eq!((&change["differing"], &change["non_finite"], &change["elements"]), (&1.into(), &1.into(), &144.into()));
    assert_snapshot!("diff_tensor", transcript(&folder, &["diff", "sound.h5", "nan_kernel.h5"]));
    assert_snapshot!(
        "diff_markdown",
        transcript(&folder, &["diff", "sound.h5", "nan_kernel.h5", "--format", "markdown"])
    );
}

#[test]
fn tensors_are_found_again_in_another_framework_and_under_other_names() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let onnx = out.path().join("digits.onnx");
    let onnx = onnx.to_str().unwrap();
    convert(folder, &[file, onnx]);
    let (document, _) = json(folder, &["diff", file, onnx, "--ignore-names"]);
    assert_eq!(counts(&document, "tensors"), [0, 0, 0], "{document}");
    assert!(document["tensors"]["differing"] == 0 && document["tensors"]["elements"].as_u64().unwrap() > 10_000);
}

#[test]
fn names_of_another_layout_are_told_and_may_be_ignored() {
    let checkpoint = &residua_tests::checkpoint("torchvision/resnet18.pth").path;
    let (folder, file) = (checkpoint.parent().unwrap(), checkpoint.file_name().unwrap().to_str().unwrap());
    let out = tempfile::tempdir().unwrap();
    let other = out.path().join("model.safetensors");
    let other = other.to_str().unwrap();
    convert(folder, &[file, other, "--layout", "huggingface"]);
    let (document, status) = json(folder, &["diff", file, other]);
    assert_eq!((counts(&document, "tensors")[2], status), (0, 1), "{document}");
    assert!(document["tensors"]["renamed"].as_array().unwrap().len() > 50);
    let (document, _) = json(folder, &["diff", file, other, "--ignore-names"]);
    assert_eq!(counts(&document, "layers"), [0, 0, 0], "{document}");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = residua_tests::folder().join("faults");
    let done = residua(&folder, &["diff", "sound.h5", "missing.h5"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(fs::exists(folder.join("sound.h5")).unwrap());
}
