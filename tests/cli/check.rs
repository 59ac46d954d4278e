//! `check`: verdicts and findings.

use std::fs;

use insta::assert_snapshot;

use crate::{json, place, residua, transcript};

#[test]
fn a_sound_model_passes() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check", transcript(folder, &["check", file, "--expect", "resnet20_cifar"]));
}

#[test]
fn another_architecture_than_expected_fails_with_what_differs() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check_expect", transcript(folder, &["check", file, "--expect", "resnet50v2"]));
    let (document, status) = json(folder, &["check", file, "--expect", "resnet50v2"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("fail"), 1));
    assert_eq!(document["findings"][0]["code"], "R200");
}

#[test]
fn an_architecture_that_nobody_knows_is_a_mistake_of_the_user() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check_expect_unknown", transcript(folder, &["check", file, "--expect", "resnet51"]));
}

#[test]
fn golden_outputs_are_reproduced_or_the_check_fails() {
    let (folder, file) = place("digits/digits.k3.keras");
    let (document, status) = json(folder, &["check", file, "--golden", "digits.golden.npz"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("pass"), 0), "{document}");
    let other = ["check", file, "--golden", "digits.golden.npz", "--tolerance", "0"];
    let (document, status) = json(folder, &other);
    assert_eq!((document["verdict"].as_str(), status), (Some("fail"), 1));
    assert_eq!(document["golden"][0]["verdict"], "different");
}

#[test]
fn values_that_cannot_be_right_are_findings() {
    let folder = residua_tests::folder().join("faults");
    assert_snapshot!("check_negative_variance", transcript(&folder, &["check", "negative_variance.h5"]));
    assert_snapshot!("check_nan", transcript(&folder, &["check", "nan_kernel.h5"]));
}

/// The digits as safetensors with one variance beyond what float16 holds.
fn with_a_large_variance() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (fixtures, digits) = place("digits/digits.k3.keras");
    let target = folder.path().join("digits.safetensors");
    let done = residua(fixtures, &["convert", digits, target.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut bytes = fs::read(&target).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut tensors = header.as_object().unwrap().iter();
    let (_, variance) = tensors.find(|(name, _)| name.ends_with("stem.norm.variance")).unwrap();
    let at = 8 + length + usize::try_from(variance["data_offsets"][0].as_u64().unwrap()).unwrap();
    bytes[at..at + 4].copy_from_slice(&1e5f32.to_le_bytes());
    fs::write(&target, bytes).unwrap();
    folder
}

#[test]
fn what_float16_cannot_hold_fails_only_where_float16_is_wanted() {
    let folder = with_a_large_variance();
    let codes = |options: &[&str]| {
        let (document, status) = json(folder.path(), &[&["check", "digits.safetensors"], options].concat());
        let findings = document["findings"].as_array().unwrap().clone();
        let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (codes, status)
    };
    assert_eq!(codes(&[]), (vec![], 0));
    assert_eq!(codes(&["--dtype", "bf16"]), (vec![], 0));
    assert_eq!(codes(&["--dtype", "f16"]), (vec!["R309".to_owned()], 1));
    for (dtype, status) in [("f16", 1), ("bf16", 0)] {
        let output = format!("{dtype}.onnx");
        let done = residua(folder.path(), &["convert", "digits.safetensors", &output, "--dtype", dtype]);
        assert_eq!(done.status.code(), Some(status), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(folder.path().join(&output).exists(), status == 0);
        assert_eq!(String::from_utf8_lossy(&done.stderr).contains("error R309: "), status == 1);
    }
}
