//! Weights alone as Keras saves them: what they leave open is said, and can be set.

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::{json, residua};

fn folder() -> &'static Path {
    static ALL: OnceLock<TempDir> = OnceLock::new();
    let unpacked = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let archive = residua_tests::folder().join("weights/weights.zip");
        zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(unpacked.path()).unwrap();
        unpacked
    });
    unpacked.path()
}

/// Each file with the options that say what its weights do not.
fn files() -> Vec<(String, String, Vec<String>)> {
    let options: Value = serde_json::from_reader(File::open(folder().join("options.json")).unwrap()).unwrap();
    let mut all = Vec::new();
    for (name, options) in options.as_object().unwrap() {
        let options = options.as_array().unwrap().iter().map(|option| option.as_str().unwrap().to_owned());
        let file = ["k3.weights.h5", "k2.weights-legacy.h5"].map(|ending| format!("{name}.{ending}"));
        let file = file.into_iter().find(|file| folder().join(file).exists()).unwrap();
        all.push((file, format!("{name}.npz"), options.collect()));
    }
    assert_eq!(all.len(), 5);
    all
}

fn run(args: &[&str], options: &[String]) -> (String, i32) {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let done = residua(folder(), &[args, &options].concat());
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (text, done.status.code().unwrap())
}

#[test]
fn with_the_options_every_file_computes_what_keras_computes_and_so_does_its_onnx() {
    for (file, golden, options) in files() {
        let (said, status) = run(&["check", &file, "--golden", &golden, "--tolerance", "1e-5"], &options);
        assert_eq!(status, 0, "{file}: {said}");
        let target = tempfile::tempdir().unwrap();
        let onnx = target.path().join("out.onnx");
        let onnx = onnx.to_str().unwrap();
        let (said, status) = run(&["convert", &file, onnx, "--input-layout", "source"], &options);
        assert_eq!(status, 0, "{file}: {said}");
        let (said, status) = run(&["check", onnx, "--golden", &golden, "--tolerance", "1e-5"], &[]);
        assert_eq!(status, 0, "{file} as ONNX: {said}");
    }
}

#[test]
fn each_option_that_is_left_out_is_named_in_a_note_or_an_error_and_none_is_idle() {
    for (file, golden, options) in files() {
        for at in (0..options.len()).step_by(2) {
            let others = [&options[..at], &options[at + 2..]].concat();
            let (said, status) = run(&["check", &file, "--golden", &golden, "--tolerance", "1e-5"], &others);
            assert_ne!(status, 0, "{file} without {}", options[at]);
            assert!(said.contains(&options[at]), "{file} without {}: {said}", options[at]);
        }
    }
}

#[test]
fn what_a_file_lists_without_weights_is_not_asked_for() {
    // It lists a global pool, which tells that the network ends there.
    let (file, ..) = files().into_iter().find(|(file, ..)| file.starts_with("pooled")).unwrap();
    let (document, status) = json(folder(), &["inspect", &file]);
    assert_eq!(status, 0);
    let notes = document["notes"].to_string();
    assert!(notes.contains("head taken as global average pooling") && !notes.contains("--pooling"), "{notes}");
    let (said, status) = run(&["inspect", &file, "--pooling", "none"], &[]);
    assert!(status == 2 && said.contains("avg_pool"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_and_so_is_what_changes_nothing() {
    for (name, options, says) in [
        ("last_stride", ["--stride", "1,2,2"], "--stride: expected 4 numbers, one for each stage"),
        ("last_stride", ["--output-stride", "12"], "4, 8, 16, 32, found 12"),
        ("v2", ["--dilation", "1,1,1,2"], "whose stages have their stride in the first block"),
        ("last_stride", ["--norm-groups", "8"], "--norm-groups has no effect"),
        ("cifar", ["--variant", "v1.5"], "--variant has no effect"),
    ] {
        let (file, ..) = files().into_iter().find(|(file, ..)| file.starts_with(name)).unwrap();
        let (said, status) = run(&["inspect", &file], &options.map(str::to_owned));
        assert_eq!(status, 2, "{file} {options:?}: {said}");
        assert!(said.contains(says), "{file} {options:?}: {said}");
    }
}
