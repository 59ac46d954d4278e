//! `check --target`: what a runtime cannot load, or computes otherwise.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::{json, place, transcript};

/// Codes of the errors about targets, and of notes with them.
fn found(document: &Value, level: &str) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap().iter();
    let of_targets = findings.filter(|finding| finding["code"].as_str().unwrap().starts_with("R4"));
    of_targets
        .filter(|finding| finding["level"] == level)
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_runtime_that_nobody_knows_is_answered_with_those_that_are() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("target_unknown", transcript(folder, &["check", file, "--target", "onnxruntime"]));
}

#[test]
fn a_keras_model_is_judged_by_what_convert_would_write() {
    let (folder, file) = place("digits/digits.k3.keras");
    for target in ["tract", "rten", "burn-onnx", "ort", "ort-1.14", "ort-1.20.1"] {
        let (document, status) = json(folder, &["check", file, "--target", target]);
        assert_eq!((found(&document, "error"), status), (vec![], 0), "{target}");
    }
    assert_snapshot!("target_wonnx", transcript(folder, &["check", file, "--target", "wonnx"]));
    assert_snapshot!("target_candle", transcript(folder, &["check", file, "--target", "candle", "--target", "burn"]));
    // In bfloat16 the operators are those of a newer set, and few runtimes compute in it.
    for (target, codes) in [("rten", vec!["R403"]), ("tract", vec!["R403"]), ("ort-1.17", vec!["R401", "R401"])] {
        let (document, _) = json(folder, &["check", file, "--target", target, "--dtype", "bf16"]);
        let errors = found(&document, "error");
        assert!(codes.iter().all(|code| errors.iter().any(|found| found == code)), "{target}: {errors:?}");
    }
}

#[test]
fn versions_of_an_exported_model_are_held_against_a_release() {
    let fixture = residua_tests::onnx().iter().find(|fixture| fixture.label() == "torch/resnet18.dynamo22.onnx");
    let path = &fixture.unwrap().path;
    let (folder, file) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    for (target, expected) in [
        ("ort-1.17", vec!["R401", "R401"]),
        ("ort-1.20", vec!["R401"]),
        ("ort-1.21", vec![]),
        ("ort", vec![]),
        ("rten", vec![]),
        ("tract", vec![]),
    ] {
        let (document, status) = json(folder, &["check", file, "--target", target]);
        assert_eq!(
            (found(&document, "error"), status),
            (expected.into_iter().map(str::to_owned).collect(), i32::from(!found(&document, "error").is_empty())),
            "{target}"
        );
    }
    // It goes on beyond the operator sets that it is tested with, and cannot fix the batch that the types of values name.
    let (document, _) = json(folder, &["check", file, "--target", "tract"]);
    assert_eq!(found(&document, "note"), ["R401", "R405"]);
    // What is written again with an older set is of an older version.
    let out = tempfile::tempdir().unwrap();
    let older = out.path().join("older.onnx");
    let done = crate::residua(folder, &["convert", file, older.to_str().unwrap(), "--opset", "17", "--quiet"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (document, status) = json(out.path(), &["check", "older.onnx", "--target", "ort-1.14"]);
    assert_eq!((found(&document, "error"), status), (vec![], 0));
}

#[test]
fn targets_of_a_repository_stand_in_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    let source = residua_tests::folder().join("faults/sound.keras");
    fs::copy(source, folder.path().join("sound.keras")).unwrap();
    let settings = "targets = [\"tract\", \"rten\"]\n[[model]]\nfiles = \"*.keras\"\ntargets = \"wonnx\"\n";
    fs::write(folder.path().join("residua.toml"), settings).unwrap();
    let (document, status) = json(folder.path(), &["check", "sound.keras"]);
    assert_eq!((found(&document, "error").is_empty(), status), (false, 1));
    // The command line wins.
    let (document, status) = json(folder.path(), &["check", "sound.keras", "--target", "tract"]);
    assert_eq!((found(&document, "error"), status), (vec![], 0));
    fs::write(folder.path().join("residua.toml"), "targets = [\"tracht\"]\n").unwrap();
    assert_snapshot!("target_settings_unknown", transcript(folder.path(), &["check", "sound.keras"]));
}
