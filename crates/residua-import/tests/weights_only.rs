//! Files with weights only give the network that Keras had: the same layers in the same order under the same names, with
//! the shapes and the number of parameters that Keras states; and what cannot be told is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use residua_formats::Container;
use residua_import::load;
use residua_ir::{Checked, validate};
use residua_resnet::{Anatomy, analyse};
use residua_tests::Fixture;
use serde_json::Value;

/// Weights without a configuration, of the networks that have one of the known forms.
fn weights_only() -> Vec<&'static Fixture> {
    let sets = ["thin", "cifar"];
    let bare = |fixture: &&Fixture| matches!(residua_formats::open(&fixture.path), Ok(Container::Keras(file)) if file.config.is_none());
    residua_tests::all().iter().filter(|fixture| sets.contains(&fixture.set.as_str())).filter(bare).collect()
}

fn checked(fixture: &Fixture) -> (Checked, Anatomy) {
    let graph = load(&fixture.path).unwrap_or_else(|error| panic!("{}: {error}", fixture.label()));
    let model = validate(graph).unwrap_or_else(|error| panic!("{}: {error}", fixture.label()));
    let anatomy = analyse(&model);
    (model, anatomy)
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

#[test]
fn each_gives_the_layers_that_keras_lists() {
    let fixtures = weights_only();
    assert!(fixtures.len() >= 15, "only {} files of weights", fixtures.len());
    for fixture in fixtures {
        let (model, _) = checked(fixture);
        let facts = fixture.facts();
        let graph = model.graph();
        let total: usize = graph.parameters().iter().map(|p| p.tensor.len()).sum();
        assert_eq!(Some(total as u64), facts["count_params"].as_u64(), "{}", fixture.label());
        let found: Vec<(&str, &str)> = graph.layers().iter().map(|l| (l.name.raw(), l.kind.raw())).collect();
        let expected: Vec<(&str, &str)> = facts["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| (layer["name"].as_str().unwrap(), layer["class"].as_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{}", fixture.label());
        let outputs: Vec<&str> = graph.outputs().iter().map(|&id| graph.value(id).name.raw()).collect();
        assert_eq!(outputs, strings(&facts["outputs"]), "{}", fixture.label());
    }
}

#[test]
fn each_is_recognised_as_what_it_is() {
    for fixture in weights_only() {
        let (model, anatomy) = checked(fixture);
        let facts = fixture.facts();
        let expected = &facts["expect"];
        let found = anatomy.architecture.unwrap();
        assert_eq!(Some(found.depth as u64), expected["depth"].as_u64(), "{}", fixture.label());
        let stages: Vec<u64> = expected["stages"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        assert_eq!(found.stages.iter().map(|&n| n as u64).collect::<Vec<_>>(), stages, "{}", fixture.label());
        assert_eq!(serde_json::to_value(found.family).unwrap(), expected["family"], "{}", fixture.label());
        assert_eq!(serde_json::to_value(found.block).unwrap(), expected["block"], "{}", fixture.label());
        assert!(!found.standard && found.name.ends_with("-custom"), "{}: {}", fixture.label(), found.name);
        assert!(model.graph().source().notes[0].starts_with("network found from"), "{}", fixture.label());
    }
}

/// What each layer computes, of what, and the bits of its tensors.
fn layers(model: &Checked) -> BTreeMap<&str, Vec<String>> {
    let graph = model.graph();
    let mut layers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for node in graph.nodes() {
        let operands = node.inputs.iter().map(|&id| match graph.as_parameter(id) {
            Some(parameter) => format!("{} {:?}", parameter.name, parameter.tensor.to_f32().unwrap()),
            None => graph.producer(id).map_or("input", |p| graph.layer(graph.node(p).layer).name.raw()).to_owned(),
        });
        let text = format!("{:?} of {}", node.op, operands.collect::<Vec<_>>().join(", "));
        layers.entry(graph.layer(node.layer).name.raw()).or_default().push(text);
    }
    layers
}

#[test]
fn each_is_the_network_that_the_whole_model_of_the_same_weights_is() {
    let whole = |fixture: &&Fixture| matches!(residua_formats::open(&fixture.path), Ok(Container::Keras(file)) if file.config.is_some());
    let mut compared = 0;
    for fixture in weights_only() {
        let same = |other: &&Fixture| (&other.set, &other.name) == (&fixture.set, &fixture.name);
        let Some(other) = residua_tests::all().iter().filter(same).find(whole) else { continue };
        let ((found, _), (expected, _)) = (checked(fixture), checked(other));
        let (found, expected) = (layers(&found), layers(&expected));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{}", fixture.label());
        for (name, found) in &found {
            assert!(*found == expected[name], "{}: `{name}` differs from {}", fixture.label(), other.label());
        }
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} pairs");
}

#[test]
fn a_rescaling_before_the_network_is_said_to_be_missing() {
    let (model, anatomy) = checked(residua_tests::fixture("digits/digits.k3.weights.h5"));
    assert_eq!(anatomy.standard_name(), Some("resnet20_cifar"));
    let notes = &model.graph().source().notes;
    assert!(notes.iter().any(|note| note.contains("the factor of `rescaling` is not in the file")), "{notes:?}");
}

#[test]
fn weights_of_a_network_that_is_not_known_are_refused_with_what_was_tried() {
    let tried =
        residua_tests::all().iter().filter(|f| f.set == "layers" || f.set == "transfer").filter_map(|fixture| {
            match residua_formats::open(&fixture.path) {
                Ok(Container::Keras(file)) if file.config.is_none() => Some((fixture, load(&fixture.path))),
                Ok(_) | Err(_) => None,
            }
        });
    for (fixture, result) in tried {
        let Err(error) = result else { panic!("{}: taken for a residual network", fixture.label()) };
        assert_eq!(error.file, fixture.path, "{}: {error}", fixture.label());
    }
}
