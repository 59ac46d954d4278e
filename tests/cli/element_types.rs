//! Element types: those of outputs, of half precision in sources and in what is written, and the grid of what `convert` writes.

use std::fs;
use std::path::Path;

use residua_tests::{element_types, precision, with_member_changed};
use serde_json::Value;

use crate::{json, residua};

/// The element type that the header of a `.npy` file says.
fn npy(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
    header.split_once("'descr': '").unwrap().1.split('\'').next().unwrap().to_owned()
}

fn dtypes(document: &Value) -> Vec<(&str, &str)> {
    let outputs = document["outputs"].as_array().unwrap();
    outputs.iter().map(|output| (output["name"].as_str().unwrap(), output["dtype"].as_str().unwrap())).collect()
}

#[test]
fn outputs_keep_the_element_type_of_the_model_in_both_engines() {
    let out = tempfile::tempdir().unwrap();
    let expected = [
        ("output", "f32", "<f4"),
        ("class", "i64", "<i8"),
        ("certain", "bool", "|b1"),
        ("steps", "i8", "|i1"),
        ("class32", "i32", "<i4"),
        ("narrow", "f16", "<f2"),
        ("wide", "f64", "<f8"),
    ];
    for precision_of in ["f32", "f64"] {
        let target = out.path().join(format!("{precision_of}.npz"));
        let args = ["run", "decisions.onnx", "--input", "decisions.golden.npz", "--precision", precision_of];
        let args = [&args[..], &["--tap", "argmax", "--output", target.to_str().unwrap()]].concat();
        let (document, status) = json(precision(), &args);
        assert_eq!(status, 0, "{document}");
        let wanted: Vec<(&str, &str)> = expected.iter().map(|&(name, dtype, _)| (name, dtype)).collect();
        assert_eq!(dtypes(&document), [&wanted[..], &[("argmax", "i64")]].concat());
        let wanted: Vec<(String, String)> =
            expected.iter().map(|&(name, _, descr)| (name.to_owned(), descr.to_owned())).collect();
        assert_eq!(element_types(&target)[..7], wanted, "{precision_of}");
    }
}

#[test]
fn the_only_output_of_a_half_model_is_half_and_what_was_computed_can_be_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("y.npy");
    let args = ["run", "all_f16.onnx", "--input", "all_f16.golden.npz", "--output", target.to_str().unwrap()];
    for (more, dtype, descr) in [
        (&[][..], "f16", "<f2"),
        (&["--precision", "f64"], "f16", "<f2"),
        (&["--output-dtype", "computed"], "f32", "<f4"),
        (&["--output-dtype", "computed", "--precision", "f64"], "f64", "<f8"),
    ] {
        let (document, _) = json(precision(), &[&args[..], more].concat());
        assert_eq!(dtypes(&document), [("output", dtype)], "{more:?}");
        assert_eq!(npy(&target), descr, "{more:?}");
    }
}

/// What `check --golden` says: the verdict, and what it says about the golden outputs.
fn held(folder: &Path, file: &str, golden: &str, more: &[&str]) -> (i32, Value) {
    let (document, status) = json(folder, &[&["check", file, "--golden", golden], more].concat());
    (status, document)
}

#[test]
fn whole_numbers_of_a_golden_file_are_compared_exactly() {
    let (status, document) = held(precision(), "decisions.onnx", "decisions.golden.npz", &[]);
    assert_eq!(status, 0, "{document:#}");
    // One class that is another.
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.npz");
    with_member_changed(&precision().join("decisions.golden.npz"), &changed, "output/class.npy", |bytes| {
        let last = bytes.len() - 8;
        bytes[last] ^= 1;
    });
    let (status, document) = held(precision(), "decisions.onnx", changed.to_str().unwrap(), &[]);
    assert_eq!(status, 1, "{document:#}");
    assert!(document.to_string().contains("R700"), "{document:#}");
}

#[test]
fn what_a_source_computes_in_half_precision_is_said_and_held_to_that() {
    let cases = [
        ("half.pth", "half.golden.npz", "f16", "weights"),
        ("bfloat.pth", "bfloat.golden.npz", "bf16", "weights"),
        ("keep_io.onnx", "keep_io.golden.npz", "f16", "values"),
        ("all_f16.onnx", "all_f16.golden.npz", "f16", "values"),
        ("mixed_f16.keras", "mixed_f16.golden.npz", "f16", "policy"),
        ("mixed_f16_ends.keras", "mixed_f16_ends.golden.npz", "f16", "policy"),
        ("mixed_bf16.keras", "mixed_bf16.golden.npz", "bf16", "policy"),
        ("pure_f16.keras", "pure_f16.golden.npz", "f16", "policy"),
        ("mixed_f16_k2.h5", "mixed_f16_k2.golden.npz", "f16", "policy"),
    ];
    let out = tempfile::tempdir().unwrap();
    for (file, golden, dtype, by) in cases {
        let (document, status) = json(precision(), &["inspect", file]);
        assert_eq!((status, document["computes_in"][0]["dtype"].as_str()), (0, Some(dtype)), "{file}");
        assert_eq!(document["computes_in"][0]["by"], by, "{file}");
        let text = String::from_utf8(residua(precision(), &["inspect", file]).stdout).unwrap();
        assert!(text.contains("computes in") && text.contains(dtype), "{file}: {text}");
        let target = out.path().join("out.onnx");
        let (document, status) = json(precision(), &["convert", file, target.to_str().unwrap(), "--golden", golden]);
        assert_eq!(status, 0, "{file}: {document:#}");
        let notes = document["notes"].to_string();
        assert!(notes.contains(dtype), "{file}: {notes}");
        let (status, document) = held(precision(), file, golden, &[]);
        assert_eq!(status, 0, "{file}: {document:#}");
        // An absolute bound stays one.
        let (status, _) = held(precision(), file, golden, &["--tolerance", "1e-12"]);
        assert_eq!(status, 1, "{file}");
    }
    let (document, _) = json(precision(), &["inspect", "plain.pth"]);
    assert!(document.get("computes_in").is_none(), "{document}");
}

#[test]
fn another_function_is_found_in_half_precision_too() {
    // The weights of another seed, and an epsilon that moves outputs by more than f16 rounds.
    for (file, golden) in [("half.pth", "plain.golden.npz"), ("plain.pth", "half.golden.npz")] {
        let (status, document) = held(precision(), file, golden, &[]);
        assert_eq!(status, 1, "{file}: {document:#}");
    }
    let (status, document) = held(precision(), "half.pth", "half.golden.npz", &["--epsilon", "0.05"]);
    assert_eq!(status, 1, "{document:#}");
}

/// Element types of what a written model's inputs, outputs and tensors are.
fn written(folder: &Path, file: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (document, status) = json(folder, &["inspect", file]);
    assert_eq!(status, 0, "{document}");
    let interface = |key: &str| -> Vec<String> {
        document[key].as_array().unwrap().iter().map(|value| value["dtype"].as_str().unwrap().to_owned()).collect()
    };
    let graph = residua::ir::validate(residua::import::load(folder.join(file)).unwrap()).unwrap();
    let mut tensors: Vec<String> = graph
        .graph()
        .parameters()
        .iter()
        .map(|parameter| parameter.tensor.dtype())
        .filter(|dtype| dtype.is_float())
        .map(|dtype| dtype.to_string())
        .collect();
    tensors.sort();
    tensors.dedup();
    (interface("inputs"), interface("outputs"), tensors)
}

#[test]
fn a_half_model_behind_wider_ends_stays_one() {
    let out = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str], &str, &str); 7] = [
        ("keep_io.onnx", &[], "f32", "f16"),
        ("f64_ends.onnx", &[], "f64", "f16"),
        ("all_f16.onnx", &[], "f16", "f16"),
        ("keep_io.onnx", &["--dtype", "f32"], "f32", "f32"),
        ("keep_io.onnx", &["--dtype", "f16"], "f16", "f16"),
        ("plain.pth", &["--dtype", "f16", "--keep-io-types"], "f32", "f16"),
        ("plain.onnx", &["--dtype", "f16", "--keep-io-types", "--input-layout", "nhwc"], "f32", "f16"),
    ];
    for (source, options, ends, inside) in cases {
        let target = out.path().join("out.onnx");
        let source = precision().join(source);
        let args = ["convert", source.to_str().unwrap(), target.to_str().unwrap()];
        let (document, status) = json(out.path(), &[&args[..], options].concat());
        assert_eq!(status, 0, "{source:?} {options:?}: {document:#}");
        let (inputs, outputs, tensors) = written(out.path(), "out.onnx");
        assert_eq!((&inputs[..], &outputs[..]), (&[ends.to_owned()][..], &[ends.to_owned()][..]), "{options:?}");
        assert_eq!(tensors, [inside], "{source:?} {options:?}");
        let widened = document["notes"].to_string().contains("widened to f32");
        assert_eq!(widened, options == ["--dtype", "f32"], "{}", document["notes"]);
    }
    let done = residua(precision(), &["convert", "plain.pth", "/nowhere/out.onnx", "--keep-io-types"]);
    assert_eq!(done.status.code(), Some(2));
    let done = residua(
        out.path(),
        &[
            "convert",
            precision().join("plain.pth").to_str().unwrap(),
            "out.safetensors",
            "--dtype",
            "f16",
            "--keep-io-types",
        ],
    );
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("--keep-io-types is for ONNX outputs"));
}

/// What is asked for that no file can be, and what is said then.
fn refusal(dtype: &str, opset: &str) -> Option<&'static str> {
    match (dtype, opset) {
        // Convolutions of bf16 came with operator set 22.
        ("bf16", "9" | "13" | "17") => Some("needs opset"),
        _ => None,
    }
}

#[test]
fn the_grid_of_sources_layouts_types_and_operator_sets_is_written_and_proved() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out.onnx");
    let mut failures = Vec::new();
    let mut count = 0;
    for source in ["plain.pth", "plain.safetensors", "plain.onnx", "small.keras"] {
        for layout in ["nchw", "nhwc", "source"] {
            for dtype in ["", "f32", "f16", "bf16"] {
                for opset in ["", "9", "13", "17", "28"] {
                    for fold in [false, true] {
                        let source_path = precision().join(source);
                        let mut args = vec!["convert", source_path.to_str().unwrap(), target.to_str().unwrap()];
                        args.extend(["--input-layout", layout, "--quiet", "--threads", "1"]);
                        args.extend(
                            [("--dtype", dtype), ("--opset", opset)]
                                .iter()
                                .filter(|(_, value)| !value.is_empty())
                                .flat_map(|&(option, value)| [option, value]),
                        );
                        args.extend(fold.then_some("--fold-bn"));
                        count += 1;
                        let done = residua(out.path(), &args);
                        let stderr = String::from_utf8_lossy(&done.stderr);
                        let right = match refusal(dtype, opset) {
                            Some(said) => done.status.code() == Some(2) && stderr.contains(said) && !target.exists(),
                            None => done.status.code() == Some(0) && target.exists(),
                        };
                        if !right {
                            failures.push(format!("{args:?}: {:?} {stderr}", done.status.code()));
                        }
                        let _ = fs::remove_file(&target);
                    }
                }
            }
        }
    }
    assert_eq!(count, 4 * 3 * 4 * 5 * 2);
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_image_is_declared_in_the_order_that_was_asked_for() {
    let out = tempfile::tempdir().unwrap();
    for source in ["plain.pth", "plain.safetensors", "plain.onnx", "small.keras"] {
        for (layout, last) in [("nchw", false), ("nhwc", true), ("source", source == "small.keras")] {
            let target = out.path().join("out.onnx");
            let source = precision().join(source);
            let args = ["convert", source.to_str().unwrap(), target.to_str().unwrap(), "--input-layout", layout];
            let (_, status) = json(out.path(), &args);
            assert_eq!(status, 0);
            let (document, _) = json(out.path(), &["inspect", "out.onnx"]);
            let shape = &document["inputs"][0]["shape"];
            assert_eq!(shape[if last { 3 } else { 1 }], 3, "{source:?} {layout}: {shape}");
            // The same function to whoever compares the two, told from the shapes alone.
            let (document, status) = json(out.path(), &["compare", source.to_str().unwrap(), "out.onnx"]);
            assert_eq!((status, &document["verdict"]), (0, &Value::from("same")), "{source:?} {layout}: {document}");
        }
    }
}
