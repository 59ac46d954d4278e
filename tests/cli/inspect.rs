//! `inspect`: what it prints, and that its figures are the framework's own.

use insta::assert_snapshot;
use serde_json::Value;

use crate::{place, residua, transcript};

#[test]
fn a_model_is_summed_up_with_its_blocks() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("inspect", transcript(folder, &["inspect", file]));
    let (folder, file) = place("thin/thin50v2.k3.h5");
    assert_snapshot!("inspect_v2", transcript(folder, &["inspect", file]));
}

#[test]
fn layers_are_listed_whole_where_stdout_is_no_terminal() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("inspect_layers", transcript(folder, &["inspect", file, "--layers"]));
    assert_snapshot!("inspect_csv", transcript(folder, &["inspect", file, "--format", "csv"]));
    assert_snapshot!("inspect_markdown", transcript(folder, &["inspect", file, "--format", "markdown"]));
}

#[test]
fn blocks_are_drawn() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("inspect_dot", transcript(folder, &["inspect", file, "--format", "dot"]));
    assert_snapshot!("inspect_mermaid", transcript(folder, &["inspect", file, "--format", "mermaid"]));
    assert_snapshot!("inspect_svg", transcript(folder, &["inspect", file, "--format", "svg"]));
}

#[test]
fn a_free_size_is_fixed_by_the_user_or_said_to_be_free() {
    let (folder, file) = place("thin/thin50-notop.k3.weights.h5");
    assert_snapshot!("inspect_free", transcript(folder, &["inspect", file]));
    let args = ["inspect", file, "--input-shape", "1,64,64,3"];
    assert_snapshot!("inspect_fixed", transcript(folder, &args));
}

#[test]
fn colours_are_used_when_asked_for_only() {
    let (folder, file) = place("digits/digits.k3.keras");
    let escapes = |args: &[&str]| residua(folder, args).stdout.contains(&0x1b);
    assert!(!escapes(&["inspect", file]));
    assert!(escapes(&["inspect", file, "--color", "always"]));
}

/// Name without the names of enclosing models.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

/// What differs between a model's facts and what `inspect` says of it.
fn complaints(facts: &Value, found: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let opaque = found["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "R105");
    let mut same = |what: &str, expected: &Value, found: &Value| {
        // Facts of Keras 2 hold no shapes, and behind a layer that is not known there is none.
        let unknown = opaque && found.to_string().contains("null");
        if !expected.is_null() && !unknown && expected != found {
            complaints.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    // What a spectral norm is followed by in training is no part of the function, and is listed as unused.
    let is_spectral = |layer: &Value| layer["class"] == "SpectralNormalization";
    if !facts["layers"].as_array().unwrap().iter().any(is_spectral) {
        same("total", &facts["count_params"], &found["parameters"]["total"]);
        same("non_trainable", &facts["non_trainable"], &found["parameters"]["non_trainable"]);
    }
    same("trainable", &facts["trainable"], &found["parameters"]["trainable"]);
    for (kind, of_facts) in [("inputs", "input_shape"), ("outputs", "output_shape")] {
        if found["layers"].as_array().unwrap().iter().any(|row| row["name"] == "a_glu") {
            continue;
        }
        let shapes: Vec<&Value> = found[kind].as_array().unwrap().iter().map(|value| &value["shape"]).collect();
        same(kind, &facts[of_facts], &Value::from(shapes.into_iter().cloned().collect::<Vec<_>>()));
    }
    let rows = found["layers"].as_array().unwrap();
    for layer in facts["layers"].as_array().unwrap() {
        // A nested model is one layer to its framework; here its layers are listed.
        let name = layer["name"].as_str().unwrap();
        let Some(row) = rows.iter().find(|row| last(row["name"].as_str().unwrap()) == name) else { continue };
        if !is_spectral(layer) {
            // A wrapper has the parameters of the layer within it.
            let within = |row: &&Value| row["name"].as_str().unwrap().starts_with(&format!("{name}/"));
            let own = rows.iter().filter(within).chain([row]).map(|row| row["parameters"].as_u64().unwrap());
            same(&format!("{name}: parameters"), &layer["params"], &Value::from(own.sum::<u64>()));
        }
        // Keras says of every activation that it keeps the shape; a gated linear unit halves the channels.
        if name != "a_glu" {
            same(&format!("{name}: output shape"), &layer["output_shape"], &row["output_shape"]);
        }
    }
    complaints
}

#[test]
fn parameters_shapes_and_layers_are_what_the_framework_counts() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for fixture in residua_tests::all().iter().filter(|fixture| fixture.facts.is_some()) {
        // In a file of weights alone nothing says what was frozen or how the layers without weights are called; a
        // filter of h5py's own is refused.
        if fixture.encoding.contains("weights") || fixture.encoding.contains("lzf") {
            continue;
        }
        let done =
            residua(fixture.path.parent().unwrap(), &["inspect", fixture.path.to_str().unwrap(), "--format", "json"]);
        compared += 1;
        let Ok(document) = serde_json::from_slice(&done.stdout) else {
            wrong.push(format!("{}: {}", fixture.label(), String::from_utf8_lossy(&done.stderr)));
            continue;
        };
        let complaints = complaints(&fixture.facts(), &document);
        wrong.extend(complaints.into_iter().map(|complaint| format!("{}: {complaint}", fixture.label())));
    }
    assert!(compared > 40, "only {compared} models were compared");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
