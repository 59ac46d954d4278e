//! `check` in a repository: residua.toml, baselines, a reference model.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::{json, residua, transcript};

/// A repository with models in `models/`: two with a finding, one without.
fn repository(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    fs::create_dir_all(folder.path().join("models")).unwrap();
    for model in ["nan_kernel.h5", "negative_variance.h5", "sound.keras", "sound.golden.npz"] {
        let source = residua_tests::folder().join("faults").join(model);
        fs::copy(source, folder.path().join("models").join(model)).unwrap();
    }
    if !config.is_empty() {
        fs::write(folder.path().join("residua.toml"), config).unwrap();
    }
    folder
}

fn status(folder: &Path, args: &[&str]) -> i32 {
    residua(folder, args).status.code().unwrap()
}

#[test]
fn a_repository_says_what_it_asks_of_its_models() {
    let folder = repository(
        r#"
fail-on = "warning"

[levels]
non-finite-weight = "note"

[[model]]
files = "models/*.keras"
expect = "resnet50"
golden = "models/{stem}.golden.npz"
"#,
    );
    let models = ["check", "models/nan_kernel.h5", "models/sound.keras"];
    assert_snapshot!("check_settings", transcript(folder.path(), &models));
    // The same from within, whatever the folder.
    let (document, status) = json(&folder.path().join("models"), &["check", "nan_kernel.h5", "sound.keras"]);
    assert_eq!((document["models"][0]["verdict"].as_str(), status), (Some("pass"), 1));
    assert_eq!(document["models"][1]["golden"][0]["verdict"], "same");
    assert!(document["models"][0]["config"].as_str().unwrap().ends_with("residua.toml"));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let folder = repository("expect = \"resnet50\"\nfail-on = \"never\"\nlevels.R301 = \"off\"\n");
    let status = |args: &[&str]| status(folder.path(), &[&["check", "models/nan_kernel.h5"], args].concat());
    assert_eq!(status(&[]), 0);
    assert_eq!(status(&["--no-config"]), 1);
    assert_eq!(status(&["--fail-on", "error"]), 1);
    let (document, _) = json(folder.path(), &["check", "models/nan_kernel.h5", "--level", "R301=warning"]);
    let codes: Vec<&Value> = document["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&Value::from("R301")) && codes.contains(&&Value::from("R200")), "{codes:?}");
    fs::write(folder.path().join("other.toml"), "levels.non-finite-weight = \"warning\"").unwrap();
    assert_eq!(status(&["--config", "other.toml"]), 0);
}

#[test]
fn settings_end_at_the_root_of_a_repository() {
    let folder = repository("fail-on = \"never\"");
    fs::create_dir_all(folder.path().join("models/.git")).unwrap();
    assert_eq!(status(folder.path(), &["check", "models/nan_kernel.h5"]), 1);
}

#[test]
fn a_file_of_settings_that_is_wrong_is_told_with_its_line() {
    let folder = repository("fail-on = \"warning\"\n\n[[model]]\nfiles = \"*.keras\"\nexepct = \"resnet50\"\n");
    assert_snapshot!("check_settings_unknown", transcript(folder.path(), &["check", "models/sound.keras"]));
}

#[test]
fn options_of_a_repository_need_not_mean_something_to_every_model() {
    let folder = repository("epsilon = 1e-3\nvariant = \"v1\"\n");
    assert_eq!(status(folder.path(), &["check", "models/sound.keras"]), 0);
    // On the command line one that means nothing is a mistake.
    let args = ["check", "models/sound.keras", "--no-config", "--epsilon", "1e-3"];
    assert_eq!(status(folder.path(), &args), 2);
}

#[test]
fn accepted_findings_are_quiet_and_new_ones_fail() {
    let folder = repository("");
    let folder = folder.path();
    let check = ["check", "models/nan_kernel.h5", "models/sound.keras", "--baseline", "known.json"];
    assert_snapshot!("check_baseline_missing", transcript(folder, &check));
    assert_snapshot!("check_baseline_update", transcript(folder, &[&check[..], &["--update-baseline"]].concat()));
    assert_snapshot!("check_baseline", transcript(folder, &check));

    // Another model with the same finding is new.
    fs::copy(folder.join("models/nan_kernel.h5"), folder.join("models/other.h5")).unwrap();
    assert_eq!(status(folder, &[&check[..], &["models/other.h5"]].concat()), 1);
    // So is a second finding of the same model.
    fs::copy(folder.join("models/negative_variance.h5"), folder.join("models/nan_kernel.h5")).unwrap();
    assert_snapshot!("check_baseline_gone", transcript(folder, &check));
    // Accepting what one model has keeps what others have.
    let (_, updated) = json(folder, &["check", "models/other.h5", "--baseline", "known.json", "--update-baseline"]);
    assert_eq!(updated, 0);
    let known: Value = serde_json::from_str(&fs::read_to_string(folder.join("known.json")).unwrap()).unwrap();
    let models: Vec<&String> = known["models"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["models/nan_kernel.h5", "models/other.h5"]);
}

#[test]
fn a_finding_that_got_worse_is_new() {
    let folder = repository("baseline = \"ci/known.json\"");
    let folder = folder.path();
    fs::create_dir(folder.join("ci")).unwrap();
    let model = "models/nan_kernel.h5";
    assert_eq!(status(folder, &["check", model, "--level", "R301=warning", "--update-baseline"]), 0);
    assert_eq!(status(folder, &["check", model, "--level", "R301=warning", "--fail-on", "note"]), 0);
    assert_eq!(status(folder, &["check", model]), 1);
}

#[test]
fn what_a_baseline_hides_is_counted_in_every_format() {
    let folder = repository("");
    let folder = folder.path();
    let check = ["check", "models/nan_kernel.h5", "--baseline", "known.json"];
    assert_eq!(status(folder, &[&check[..], &["--update-baseline"]].concat()), 0);
    let (document, status) = json(folder, &check);
    assert_eq!((document["findings"].as_array().unwrap().len(), status), (0, 0));
    assert_eq!(document["models"][0]["baseline"]["known"][0]["code"], "R301");
    for (format, part) in [("sarif", "\"known\": 1"), ("junit", "skipped=\"1\""), ("markdown", "1 known finding ")] {
        let done = residua(folder, &[&check[..], &["--format", format]].concat());
        assert!(String::from_utf8(done.stdout).unwrap().contains(part), "{format}");
    }
}

#[test]
fn what_is_no_baseline_is_refused() {
    let folder = repository("");
    let folder = folder.path();
    for text in ["", "{}", "{\"schema\": \"residua.baseline/9\", \"models\": {}}", "[1]"] {
        fs::write(folder.join("known.json"), text).unwrap();
        let done = residua(folder, &["check", "models/sound.keras", "--baseline", "known.json"]);
        assert_eq!(done.status.code(), Some(2), "{text}");
        assert!(String::from_utf8(done.stderr).unwrap().contains("known.json"), "{text}");
    }
}

#[test]
fn a_model_is_held_against_its_reference_in_structure_and_function() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let onnx = out.path().join("digits.onnx");
    let onnx = onnx.to_str().unwrap();
    assert_eq!(status(folder, &["convert", file, onnx, "--fold-bn", "--quiet"]), 0);
    let (document, ended) = json(folder, &["check", onnx, "--against", file]);
    assert_eq!((document["against"]["verdict"].as_str(), ended), (Some("same"), 0), "{document}");
    assert_eq!(document["against"]["structure"], Value::Array(Vec::new()));
    // Another network: both are said.
    let other = crate::place("cifar/resnet29v2.k3.weights.h5");
    let other = other.0.join(other.1);
    let (document, ended) = json(folder, &["check", onnx, "--against", other.to_str().unwrap()]);
    let codes: Vec<&Value> = document["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&Value::from("R701")) && codes.contains(&&Value::from("R702")), "{document}");
    assert_eq!(ended, 1);
}

/// Changes the sign of all values of a tensor in a safetensors file.
fn negate(file: &Path, tensor: &str) {
    let mut bytes = fs::read(file).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offsets: Vec<usize> = serde_json::from_value(header[tensor]["data_offsets"].clone()).unwrap();
    for value in bytes[8 + length + offsets[0]..8 + length + offsets[1]].chunks_mut(4) {
        value[3] ^= 0x80;
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn the_layer_where_a_model_leaves_its_reference_is_named_in_every_format() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let changed = out.path().join("digits.safetensors");
    assert_eq!(status(folder, &["convert", file, changed.to_str().unwrap(), "--quiet"]), 0);
    negate(&changed, "stages.1.blocks.1.conv1.weight");
    let args = ["check", changed.to_str().unwrap(), "--against", file];
    let (document, ended) = json(folder, &args);
    assert_eq!(ended, 1);
    let findings = document["findings"].as_array().unwrap();
    assert_eq!((findings.len(), findings[0]["code"].as_str()), (1, Some("R701")), "{document}");
    let layer = document["against"]["first_divergence"]["b"].as_str().unwrap();
    assert_eq!(findings[0]["node"], layer);
    for format in ["text", "sarif", "junit", "github", "markdown"] {
        let done = residua(folder, &[&args[..], &["--format", format]].concat());
        let text = String::from_utf8(done.stdout).unwrap().replace('\\', "");
        assert!(text.contains(layer) && text.contains("conv2d_10/kernel"), "{format}: {text}");
    }
}
