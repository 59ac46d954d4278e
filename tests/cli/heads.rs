//! Whole modules with heads and pools of their own: what torch's containers state is read, what code of one's own joins is named.

use residua_tests::Fixture;
use serde_json::Value;

use super::{json, residua};

fn file(name: &str) -> &'static Fixture {
    let all = residua_tests::torch_heads();
    all.iter().find(|fixture| fixture.name == name).unwrap_or_else(|| panic!("there is no {name}"))
}

/// What a command says of a file, as text, and the exit status.
fn text(fixture: &Fixture, command: &str, options: &[&str]) -> (String, i32) {
    let name = fixture.path.file_name().unwrap().to_str().unwrap();
    let done = residua(fixture.path.parent().unwrap(), &[&[command, name], options].concat());
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (text, done.status.code().unwrap())
}

fn document(fixture: &Fixture, command: &str, options: &[&str]) -> (Value, i32) {
    let name = fixture.path.file_name().unwrap().to_str().unwrap();
    json(fixture.path.parent().unwrap(), &[&[command, name], options].concat())
}

fn notes(fixture: &Fixture, options: &[&str]) -> String {
    let (document, status) = document(fixture, "inspect", options);
    assert_eq!(status, 0, "{}", fixture.label());
    let notes = document["notes"].as_array().unwrap().iter().filter_map(Value::as_str);
    notes.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_head_that_modules_state_computes_what_torch_computes_and_so_does_its_onnx() {
    let (mut wrong, mut held) = (Vec::new(), 0);
    for fixture in residua_tests::torch_heads() {
        let Some(golden) = &fixture.golden else { continue };
        let golden = golden.to_str().unwrap();
        let target = tempfile::tempdir().unwrap();
        let onnx = target.path().join("out.onnx");
        let onnx = onnx.to_str().unwrap();
        let checked = text(fixture, "check", &["--golden", golden, "--tolerance", "1e-5"]);
        let converted = text(fixture, "convert", &[onnx]);
        let again = residua(target.path(), &["check", onnx, "--golden", golden, "--tolerance", "1e-5"]);
        held += 1;
        if checked.1 != 0 || converted.1 != 0 || !again.status.success() {
            wrong.push(format!("{}: {}{}", fixture.label(), checked.0, converted.0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(held > 14, "only {held} files were held against goldens");
}

#[test]
fn the_layers_of_a_head_are_told_and_all_its_tensors_are_bound() {
    for (name, head) in [
        ("mlp", "Linear 16 to 12, ReLU, Linear 12 to 5"),
        ("normed", "BatchNorm1d, Linear 64 to 12, BatchNorm1d, GELU, Linear 12 to 5, LogSoftmax"),
        ("nested", "Linear 16 to 12, PReLU, LayerNorm, Linear 12 to 6, PReLU, Linear 6 to 4"),
        ("behind", "Linear 16 to 20, ReLU, Linear 20 to 4, Softmax"),
        ("beside", "Linear 16 to 9, ReLU, Linear 9 to 4"),
        ("norm_alone", "BatchNorm1d"),
        ("timm_mlp", "Linear 32 to 9, ReLU, Linear 9 to 4"),
    ] {
        let said = notes(file(name), &[]);
        assert!(said.contains(&format!("head as its modules state it: {head}")), "{name}: {said}");
        assert!(!said.contains("left out"), "{name}: {said}");
        let (document, _) = document(file(name), "inspect", &[]);
        assert_eq!(document["unused"].as_array().unwrap().len(), 0, "{name}: {}", document["unused"]);
    }
}

#[test]
fn code_of_ones_own_is_named_and_never_guessed() {
    let said = notes(file("projector"), &[]);
    assert!(said.contains("`fc` is a `__main__.Projector`, and what that computes is in no file"), "{said}");
    assert!(said.contains("left out as heads") && said.contains("`fc` (4 tensors)"), "{said}");
    let (said, status) = text(file("gem"), "inspect", &[]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("`avgpool` is of class `__main__.GeM`"), "{said}");
}

#[test]
fn where_a_head_begins_can_be_said() {
    let said = notes(file("normed"), &["--head-from", "fc"]);
    assert!(said.contains("`fc` (") && !said.contains("as its modules state it"), "{said}");
    let said = notes(file("normed"), &["--head-from", "fc.5"]);
    assert!(said.contains("state it: BatchNorm1d, Linear 64 to 12, BatchNorm1d, GELU\n"), "{said}");
    assert!(said.contains("left out as heads") && said.contains("`fc` (2 tensors)"), "{said}");
}

#[test]
fn a_layout_that_has_one_dense_layer_refuses_a_head_of_several() {
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("out.safetensors");
    let (said, status) = text(file("mlp"), "convert", &[out.to_str().unwrap(), "--layout", "torchvision"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("its head has 2 dense layers, the layouts have one"), "{said}");
    assert!(!out.exists());
    // Ours holds the graph, whatever it is.
    let (said, status) = text(file("mlp"), "convert", &[out.to_str().unwrap(), "--layout", "residua"]);
    assert_eq!(status, 0, "{said}");
    assert!(out.exists());
}
