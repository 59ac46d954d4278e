//! `compare` of models that differ: where, by how much layer by layer, why, and what a bug report needs.

use std::fs;

use super::{json, place, residua, transcript};

#[test]
fn a_difference_is_shown_layer_by_layer_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (fixtures, digits) = place("digits/digits.k3.keras");
    fs::copy(fixtures.join(digits), folder.path().join("digits.keras")).unwrap();
    let made = residua(folder.path(), &["convert", "digits.keras", "rounded.onnx", "--dtype", "f16"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let args = ["compare", "digits.keras", "rounded.onnx", "--layers", "--save", "differing"];
    let text = transcript(folder.path(), &args);
    for expected in [
        "different  f64 outputs differ by more than the f32 rounding noise of both models",
        "The bound is 8 times what rounding to f32 does to ",
        "The difference begins at stem.conv, conv2d (there: conv2d):",
        "cause: other weights in ",
        "layer of A         layer of B",
        "stages.2.blocks.2.conv2",
        "--- exit 1",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }

    let mut files: Vec<String> = fs::read_dir(folder.path().join("differing"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["difference.json", "input_a.npy", "input_b.npy", "output_a.npy", "output_b.npy"]);
    let text = fs::read_to_string(folder.path().join("differing/difference.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(saved["first_divergence"]["place"], "stem.conv");

    // A folder with something in it is not written into.
    let again = residua(folder.path(), &args);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));
}

#[test]
fn the_layers_of_a_comparison_are_in_its_json_and_the_cause_is_null_where_nothing_differs() {
    let (folder, digits) = place("digits/digits.k3.keras");
    let (document, status) = json(folder, &["compare", digits, "digits.k3.h5", "--layers"]);
    assert_eq!((status, document["verdict"].as_str()), (0, Some("same")));
    assert!(document["cause"].is_null() && document["first_divergence"].is_null());
    let layers = document["layers"].as_array().unwrap();
    assert!(layers.len() > 20 && layers.iter().all(|layer| layer["within"] == true), "{}", layers.len());
    assert_eq!(layers[0]["place"], "stem.conv");
    let output = &document["outputs"][0];
    assert_eq!((output["top1_agree"].as_bool(), output["top5_agree"].as_bool()), (Some(true), Some(true)));
    assert!(
        output["bound_from"].as_str().unwrap().contains("last place")
            || output["bound_from"].as_str().unwrap().contains("f32")
    );
    assert!(document.get("saved").is_none());
}
