//! Every planted fault is caught, by name, with the right status, and leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use residua_tests::Table;
use serde_json::Value;

fn residua(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residua")).args(args).output().unwrap()
}

fn faults() -> (std::path::PathBuf, serde_json::Map<String, Value>) {
    let folder = residua_tests::folder().join("faults");
    let listed: Value = serde_json::from_str(&fs::read_to_string(folder.join("faults.json")).unwrap()).unwrap();
    let Value::Object(listed) = listed else { panic!("faults.json is no object") };
    assert!(listed.len() >= 26, "only {} faults", listed.len());
    (folder, listed)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is wrong with how `convert` took this file, if anything.
fn complaint(model: &Path, fault: &Value, verify: bool) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let mut args = vec!["convert", model.to_str().unwrap(), out.to_str().unwrap(), "--quiet"];
    if !verify {
        args.push("--no-verify");
    }
    let done = residua(&args);
    let stderr = text(&done.stderr);
    let expected = i32::try_from(fault["exit"].as_i64().unwrap()).unwrap();
    let name = fault["names"].as_str().unwrap();
    if done.status.code() != Some(expected) {
        return Some(format!("exit {:?}, expected {expected}: {stderr}", done.status.code()));
    }
    if !(stderr.clone() + &text(&done.stdout)).contains(name) {
        return Some(format!("does not name `{name}`: {stderr}"));
    }
    if expected == 2 && stderr.lines().filter(|line| line.starts_with("error")).count() != 1 {
        return Some(format!("is not one error: {stderr}"));
    }
    if fs::read_dir(folder.path()).unwrap().next().is_some() {
        return Some("leaves something behind".to_owned());
    }
    None
}

/// `check` reports what `convert` refuses.
fn is_reported(model: &Path, fault: &Value) -> Result<(), String> {
    let done = residua(&["check", model.to_str().unwrap()]);
    // What is wrong with the graph itself is a finding.
    let expected = fault.get("check").unwrap_or(&fault["exit"]).as_i64();
    let found = done.status.code().map(i64::from);
    if found == expected {
        return Ok(());
    }
    Err(format!("exit {found:?}, expected {expected:?}: {}", text(&done.stderr)))
}

fn main() {
    let (folder, listed) = faults();
    let mut table = Table::new();
    for (file, fault) in listed {
        let model = folder.join(&file);
        for (claim, verify) in [("convert_refuses", true), ("convert_without_proof_refuses", false)] {
            let (model, fault) = (model.clone(), fault.clone());
            let what = move || {
                complaint(&model, &fault, verify).map_or(Ok(()), |wrong| Err(format!("{}: {wrong}", fault["what"])))
            };
            table = table.case(claim, &file, what);
        }
        // A layer of an unknown class is only a warning to whoever merely looks.
        if file != "unknown_class.h5" {
            table = table.case("check_reports", &file, move || is_reported(&model, &fault));
        }
    }
    table
        .test("the_model_without_a_fault_is_converted_and_proved", the_model_without_a_fault_is_converted_and_proved)
        .test(
            "an_output_that_cannot_be_written_is_an_error_that_names_it",
            an_output_that_cannot_be_written_is_an_error_that_names_it,
        )
        .test("an_input_is_never_replaced", an_input_is_never_replaced)
        .run()
}

fn the_model_without_a_fault_is_converted_and_proved() {
    let sound = residua_tests::folder().join("faults");
    for (file, extension) in [("sound.h5", "onnx"), ("sound.keras", "safetensors")] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out").with_extension(extension);
        let done = residua(&[
            "convert",
            sound.join(file).to_str().unwrap(),
            out.to_str().unwrap(),
            "--golden",
            sound.join("sound.golden.npz").to_str().unwrap(),
        ]);
        assert!(done.status.success(), "{file}: {}", text(&done.stderr));
        assert!(out.exists());
    }
}

/// A process that is stopped in the middle, an output folder that cannot be written: nothing half-written under the
/// name that was asked for.
fn an_output_that_cannot_be_written_is_an_error_that_names_it() {
    let sound = residua_tests::folder().join("faults/sound.h5");
    let done = residua(&["convert", sound.to_str().unwrap(), "/nowhere/at/all/out.onnx"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("/nowhere/at/all"), "{}", text(&done.stderr));
}

fn an_input_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    fs::copy(residua_tests::folder().join("faults/sound.h5"), &model).unwrap();
    let before = fs::read(&model).unwrap();
    let link = folder.path().join("link.onnx");
    std::os::unix::fs::symlink(&model, &link).unwrap();
    for out in [&model, &link] {
        let done = residua(&["convert", model.to_str().unwrap(), out.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
    }
    assert_eq!(fs::read(&model).unwrap(), before);
}
