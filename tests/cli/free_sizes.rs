//! Sizes that are declared free and are not, and batches that are made free.

use std::path::Path;
use std::sync::OnceLock;

use crate::{json, residua};

/// The files of `fixtures/checks/sizes.zip`.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| residua_tests::unpacked("checks/sizes.zip")).path()
}

/// The only finding of an error of `check`, as its code, node and message; and how it ends.
fn contradiction(file: &str, options: &[&str]) -> (Vec<(String, String, String)>, i32) {
    let (document, status) = json(folder(), &[&["check", file], options].concat());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let findings = document["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "error");
    (findings.map(|f| (text(&f["code"]), text(&f["node"]), text(&f["message"]))).collect(), status)
}

#[test]
fn a_size_that_the_graph_contradicts_is_an_error_that_says_what_it_is() {
    for (file, node, truth, shape) in [
        ("declared_reshape.onnx", "/Reshape", "leaves N free, and it is 1 in truth", "1,3,32,32"),
        ("declared_view.onnx", "/fc/Gemm", "leaves N free, and it is 1 in truth", "1,3,32,32"),
        ("declared_map.onnx", "/Reshape", "leaves N free, and it is 1 in truth", "1,3,32,32"),
        ("declared_token.onnx", "/Concat_1", "leaves N free, and it is 1 in truth", "1,3,32,32"),
        ("declared_first.onnx", "/fc/Gemm", "leaves N free, and it is 1 in truth", "1,3,32,32"),
        ("declared_offset.onnx", "/Add", "leaves N free, and it is 4 in truth", "4,3,32,32"),
        (
            "declared_flat.onnx",
            "/fc/Gemm",
            "leaves H and W free, and they are 29 to 32 and 29 to 32 in truth",
            "1,3,32,32",
        ),
    ] {
        let (errors, status) = contradiction(file, &[]);
        assert_eq!((errors.len(), status), (1, 1), "{file}: {errors:?}");
        let (code, found, message) = &errors[0];
        assert_eq!((code.as_str(), found.as_str()), ("R114", node), "{file}: {message}");
        assert!(message.contains(truth), "{file}: {message}");
        assert_eq!(contradiction(file, &["--input-shape", shape]), (vec![], 0), "{file}");
    }
    assert_eq!(contradiction("free.onnx", &[]), (vec![], 0));
}

#[test]
fn no_runtime_can_run_what_the_graph_contradicts() {
    for target in ["ort", "ort-1.17", "tract", "rten", "burn-onnx", "candle-onnx"] {
        let (errors, status) = contradiction("declared_reshape.onnx", &["--target", target]);
        let at: Vec<(&str, &str)> = errors.iter().map(|(code, node, _)| (code.as_str(), node.as_str())).collect();
        assert!(status == 1 && at.contains(&("R405", "/Reshape")), "{target}: {errors:?}");
        let (errors, _) = contradiction("declared_reshape.onnx", &["--target", target, "--input-shape", "1,3,32,32"]);
        assert!(!errors.iter().any(|(_, node, _)| node == "/Reshape"), "{target}: {errors:?}");
    }
}

#[test]
fn a_conversion_of_it_says_so_before_anything_is_written() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out.onnx");
    let done = residua(folder(), &["convert", "declared_reshape.onnx", target.to_str().unwrap()]);
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && stderr.contains("R114") && stderr.contains("--free-batch"), "{stderr}");
    assert!(!target.exists());
}

#[test]
fn a_conversion_that_nobody_asks_to_prove_writes_it_as_it_is() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out.onnx");
    let args = ["convert", "declared_reshape.onnx", target.to_str().unwrap(), "--no-verify"];
    let done = residua(folder(), &args);
    assert!(done.status.success() && target.exists(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What is written is held against what torch gave for one image, and for three images one after the other.
#[test]
fn a_frozen_batch_is_made_free_and_proved() {
    let out = tempfile::tempdir().unwrap();
    for name in ["reshape", "view", "map", "token"] {
        for source in ["frozen", "declared"] {
            let file = format!("{source}_{name}.onnx");
            let target = out.path().join(&file);
            let (document, status) = json(folder(), &["convert", &file, target.to_str().unwrap(), "--free-batch"]);
            assert_eq!(status, 0, "{file}: {document}");
            let method = document["verification"]["method"].as_str().unwrap();
            assert!(method.contains("3 batches in one"), "{file}: {method}");
            for golden in [format!("frozen_{name}.golden.npz"), format!("frozen_{name}.of_3.golden.npz")] {
                let golden = folder().join(golden);
                let args =
                    ["check", target.to_str().unwrap(), "--golden", golden.to_str().unwrap(), "--tolerance", "1e-5"];
                let (document, status) = json(folder(), &args);
                assert_eq!(status, 0, "{file}, {}: {document}", golden.to_string_lossy());
            }
        }
    }
}

#[test]
fn other_options_of_a_conversion_go_with_a_free_batch() {
    let out = tempfile::tempdir().unwrap();
    for options in [&["--dtype", "f16"][..], &["--fold-bn"], &["--input-layout", "nhwc"]] {
        let target = out.path().join("out.onnx");
        let args = [&["convert", "frozen_view.onnx", target.to_str().unwrap(), "--free-batch"], options].concat();
        let (document, status) = json(folder(), &args);
        assert_eq!(status, 0, "{options:?}: {document}");
    }
}

#[test]
fn a_network_is_run_on_several_images_once_its_batch_is_free() {
    let golden = folder().join("frozen_view.of_3.golden.npz");
    let args = ["run", "frozen_view.onnx", "--input", golden.to_str().unwrap()];
    assert_eq!(residua(folder(), &args).status.code(), Some(2));
    let done = residua(folder(), &[&args[..], &["--free-batch"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_mixes_images_is_refused_by_name() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out.onnx");
    for (name, words) in [("mixed", "mixes the images of a batch"), ("dropped", "of a batch"), ("first", "")] {
        let file = format!("frozen_{name}.onnx");
        let done = residua(folder(), &["convert", &file, target.to_str().unwrap(), "--free-batch"]);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        // The first image of one is all of it.
        let expected = if name == "first" { Some(0) } else { Some(2) };
        assert_eq!(done.status.code(), expected, "{name}: {stderr}");
        assert!(stderr.contains(words), "{name}: {stderr}");
        assert!(name == "first" || !target.exists());
    }
    let done = residua(folder(), &["convert", "free.onnx", target.to_str().unwrap(), "--free-batch"]);
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
}
