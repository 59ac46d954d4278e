//! What a proof is worth: outputs that are NaN prove nothing, what float16 loses is found, rounding that a network magnifies
//! is no fault, and a fault is found where it is made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{json, residua};

fn folder() -> PathBuf {
    residua_tests::folder().join("proof")
}

fn text(folder: &Path, args: &[&str]) -> (String, i32) {
    let done = residua(folder, args);
    let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
    (text, done.status.code().unwrap())
}

#[test]
fn two_networks_that_give_nothing_but_nan_are_not_the_same() {
    for (a, b) in [("diverged_a.pth", "diverged_b.pth"), ("diverged_a.pth", "diverged_a.pth")] {
        let (document, status) = json(&folder(), &["compare", a, b]);
        assert_eq!((status, document["verdict"].as_str()), (1, Some("different")), "{a} {b}");
        assert_eq!(document["top1_agree"], false);
        let output = &document["outputs"][0];
        let found = &output["non_finite"];
        assert_eq!((&found["a"], &found["b"], &found["of"]), (&found["of"], &found["of"], &Value::from(12)));
        assert_eq!(found["first"], serde_json::json!([0, 0]));
        assert_eq!(
            (found["since_a"].as_str(), found["since_b"].as_str()),
            (Some("layer3.0.bn2"), Some("layer3.0.bn2"))
        );
        assert!(output["max_abs"].is_null() && output["cosine"].is_null(), "{output}");
        assert!(document["cause"].is_null());

        let (text, status) = text(&folder(), &["compare", a, b]);
        assert_eq!(status, 1);
        for expected in [
            "different  outputs hold values that are infinite or NaN",
            "all 12 values are infinite or NaN in A and in B, the first at [0, 0], since layer `layer3.0.bn2`",
            "no number is left to tell by",
            "No class is the best of scores that are infinite or NaN.",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("best class is the same"), "{text}");
    }
}

#[test]
fn a_model_is_not_checked_against_one_that_gives_nothing_but_nan() {
    let (document, status) = json(&folder(), &["check", "diverged_b.pth", "--against", "diverged_a.pth"]);
    assert_eq!((status, document["against"]["verdict"].as_str()), (1, Some("different")));
    let findings = document["findings"].as_array().unwrap();
    let of = |code: &str| findings.iter().find(|finding| finding["code"] == code).map(|f| f["message"].to_string());
    assert!(of("R301").unwrap().contains("layer3.0.bn2.weight"));
    assert!(of("R701").unwrap().contains("all 12 values are infinite or NaN"), "{findings:?}");
}

#[test]
fn a_golden_file_is_not_reproduced_by_nan() {
    let (document, status) = json(&folder(), &["check", "diverged_a.pth", "--golden", "loud.npz"]);
    assert_eq!((status, document["golden"][0]["verdict"].as_str()), (1, Some("different")));
    let found = &document["golden"][0]["outputs"][0]["non_finite"];
    assert_eq!(
        (&found["a"], &found["b"], found["since_b"].as_str()),
        (&Value::from(0), &Value::from(12), Some("layer3.0.bn2"))
    );
}

/// What `convert --dtype f16` makes of a network, which must be nothing.
fn refused_in_half(model: &str) -> (String, Value) {
    let out = tempfile::tempdir().unwrap();
    let model = folder().join(model);
    let args = ["convert", model.to_str().unwrap(), "out.onnx", "--dtype", "f16"];
    let (text, status) = text(out.path(), &args);
    assert_eq!(status, 1, "{text}");
    let done = residua(out.path(), &[&args[..], &["--format", "json"]].concat());
    assert!(fs::read_dir(out.path()).unwrap().next().is_none(), "leaves something behind");
    (text, serde_json::from_slice(&done.stdout).unwrap_or_default())
}

#[test]
fn a_variance_that_float16_makes_0_is_named_where_no_epsilon_is_added() {
    let (text, _) = refused_in_half("frozen.pth");
    assert!(text.contains("error R310") && text.contains("layer2.0.bn1.running_var"), "{text}");
    // In f32 nothing is wrong with it.
    let (model, golden) = (folder().join("frozen.pth"), folder().join("frozen.npz"));
    let out = tempfile::tempdir().unwrap();
    let (text, status) =
        self::text(out.path(), &["convert", model.to_str().unwrap(), "out.onnx", "--golden", golden.to_str().unwrap()]);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn sums_beyond_float16_are_found_by_computing_them_in_it() {
    let (text, document) = refused_in_half("loud.pth");
    for expected in ["computed in f16", "infinite or NaN in the written file, none in the source", "layer1.0"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("The best class is the same"), "{text}");
    let verification = &document["verification"];
    assert_eq!(
        (&verification["top1_agree"], &verification["outputs"][0]["non_finite"]["b"]),
        (&Value::from(false), &Value::from(12))
    );
    let beyond = &document["verification"]["in_dtype"]["beyond"];
    assert!(
        beyond["largest"].as_f64().unwrap() > 65504.0 && beyond["layer"].as_str().unwrap().contains("layer1.0"),
        "{beyond}"
    );
    // bf16 has the range of f32.
    let out = tempfile::tempdir().unwrap();
    let model = folder().join("loud.pth");
    let (document, status) = json(out.path(), &["convert", model.to_str().unwrap(), "out.onnx", "--dtype", "bf16"]);
    assert_eq!(status, 0, "{document}");
    assert_eq!(document["verification"]["in_dtype"]["dtype"], "bf16");
    assert!(document["verification"]["in_dtype"]["beyond"].is_null());
}

fn converted(out: &Path, more: &[&str]) -> (Value, i32) {
    let model = folder().join("magnifying.keras");
    json(out, &[&["convert", model.to_str().unwrap(), "out.onnx"], more].concat())
}

#[test]
fn a_normalisation_is_written_with_the_deviation_that_its_framework_computes() {
    let out = tempfile::tempdir().unwrap();
    let (document, status) = converted(out.path(), &[]);
    assert_eq!((status, document["verification"]["verdict"].as_str()), (0, Some("same")), "{document}");
    assert_eq!(document["verification"]["outputs"][0]["max_abs"], 0.0);
}

#[test]
fn rounding_that_a_network_magnifies_is_not_counted_against_the_file() {
    let out = tempfile::tempdir().unwrap();
    let (document, status) = converted(out.path(), &["--fold-bn"]);
    assert_eq!((status, document["verification"]["verdict"].as_str()), (0, Some("same")), "{document}");
    // An exporter's own arithmetic: the division became a product with what was divided by.
    let model = folder().join("magnifying.keras");
    let (compared, status) = json(out.path(), &["compare", model.to_str().unwrap(), "out.onnx"]);
    assert_eq!((status, compared["verdict"].as_str()), (0, Some("same")), "{compared}");
    let output = &compared["outputs"][0];
    assert!(output["max_abs"].as_f64().unwrap() <= output["bound"].as_f64().unwrap(), "{output}");
}

/// Converts the digits network and gives the document, with more options.
fn digits(out: &Path, more: &[&str]) -> (Value, i32) {
    let model = residua_tests::fixture("digits/digits.k3.keras").path.clone();
    json(out, &[&["convert", model.to_str().unwrap(), "digits.onnx"], more].concat())
}

#[test]
fn what_is_only_rewritten_is_proved_for_all_inputs_without_a_run() {
    let out = tempfile::tempdir().unwrap();
    for (label, layout) in
        [("digits/digits.k3.keras", "nchw"), ("thin/thin50v2.k3.h5", "nchw"), ("thin/thin50v2.k3.h5", "nhwc")]
    {
        let model = residua_tests::fixture(label).path.clone();
        let (file, options) = (model.to_str().unwrap(), ["--input-layout", layout]);
        let (document, status) = json(out.path(), &[&["convert", file, "out.onnx"][..], &options].concat());
        let verification = &document["verification"];
        assert_eq!((status, verification["method"].as_str()), (0, Some("identical-graph")), "{layout}: {verification}");
        let identical = &verification["identical"];
        assert_eq!(identical["ran"], false);
        let count = |key: &str| identical[key].as_u64().unwrap();
        assert!(
            count("operators") > 50 && count("edges") > count("operators") && count("tensors") > 100,
            "{identical}"
        );
        assert!(count("bytes") > 100_000, "{identical}");
        assert_eq!(verification["outputs"][0]["max_abs"], 0.0);
        // The file and its source, whoever asks.
        let (document, status) = json(out.path(), &["compare", file, "out.onnx"]);
        assert_eq!((status, document["method"].as_str()), (0, Some("identical-graph")), "{layout}: {document}");
    }
}

#[test]
fn numbers_are_computed_besides_where_they_are_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let (document, status) = digits(out.path(), &["--numeric"]);
    let verification = &document["verification"];
    assert_eq!((status, verification["method"].as_str()), (0, Some("identical-graph")), "{verification}");
    assert_eq!(verification["identical"]["ran"], true);
    assert!(verification["found"].as_str().unwrap().contains("bit-identical"), "{verification}");
    let (document, status) = json(out.path(), &["compare", "digits.onnx", "digits.onnx", "--numeric"]);
    assert_eq!((status, &document["identical"]["ran"]), (0, &Value::from(true)), "{document}");
}

#[test]
fn of_a_folded_network_what_was_folded_is_run_and_the_file_is_held_against_what_was_folded() {
    let out = tempfile::tempdir().unwrap();
    let (document, status) = digits(out.path(), &["--fold-bn"]);
    let verification = &document["verification"];
    assert_eq!((status, verification["identical"].is_null()), (0, true), "{verification}");
    assert_eq!(verification["method"], "identical-graph-in-part", "{verification}");
    assert!(verification["found"].as_str().unwrap().contains("; the file holds what was made"), "{verification}");
    let parts = &verification["in_parts"];
    assert!(parts["operators"].as_u64() > Some(0) && parts["tensors"].as_u64() > Some(0), "{parts}");
    for part in parts["by_numbers"].as_array().unwrap() {
        assert!(part["max_abs"].as_f64() <= part["bound"].as_f64(), "{part}");
    }
    // Asked for, it is run from end to end.
    let (document, status) = digits(out.path(), &["--fold-bn", "--numeric"]);
    let verification = &document["verification"];
    assert_eq!((status, verification["in_parts"].is_null()), (0, true), "{verification}");
    assert!(verification["method"].as_str().unwrap().contains("rounding noise"), "{verification}");
}

#[test]
fn a_network_that_could_divide_by_zero_is_run_even_against_itself() {
    let model = "magnifying.keras";
    let (document, _) = json(&folder(), &["compare", model, model]);
    let identical = &document["identical"];
    assert_eq!(identical["ran"], !identical["run_because"].is_null(), "{document}");
    // Weights that are NaN are no proof of anything.
    let (document, status) = json(&folder(), &["compare", "diverged_a.pth", "diverged_a.pth"]);
    assert_eq!(status, 1);
    assert!(document["identical"]["run_because"].as_str().unwrap().contains("infinite, NaN"), "{document}");
}

/// What rounding hides is the same function to a comparison, and is told all the same; what was written must be every bit.
#[test]
fn a_bit_that_rounding_hides_is_told_with_its_place() {
    let out = tempfile::tempdir().unwrap();
    let digits = residua_tests::folder().join("digits/digits.k3.h5");
    let source = digits.to_str().unwrap();
    let done = residua(out.path(), &["convert", source, "m.safetensors", "--quiet"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let compared = |expected: bool| {
        let done = residua(out.path(), &["compare", source, "m.safetensors"]);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(0), "{text}");
        assert!(text.contains("\nsame  "), "{text}");
        assert_eq!(text.contains("one function for all inputs"), !expected, "{text}");
        assert_eq!(text.contains("  not bit for bit: `") && text.contains("` differ at ["), expected, "{text}");
    };
    compared(false);
    let path = out.path().join("m.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // The lowest bit of the last element of all.
    let last = bytes.len() - 4;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    compared(true);
}
