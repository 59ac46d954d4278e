//! A configuration that was edited at random is read or refused, never a panic, a hang or a graph with a handle out of
//! range; and what is read, validates or not, without a panic either.

#![allow(clippy::panic, reason = "a panic is how a test fails")]

use residua_formats::Container;
use residua_import::LoadOptions;
use residua_ir::validate;
use serde_json::{Value, json};

/// A generator of numbers that is the same everywhere (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap_or(0) % bound.max(1)
    }
}

/// Every place in a value, as pointers.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                places(item, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.push(at);
}

fn replacement(numbers: &mut Numbers, elsewhere: &Value) -> Value {
    let choices = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(3),
        json!(1_000_000_007_u64),
        json!(9_223_372_036_854_775_807_i64),
        json!(1.5),
        json!(-1e300),
        json!(true),
        json!(""),
        json!("same"),
        json!([]),
        json!([0, 0]),
        json!([[]]),
        json!([1, 2, 3, 4, 5]),
        json!({}),
        elsewhere.clone(),
    ];
    choices[numbers.below(choices.len())].clone()
}

/// Keys that say something about the network; initialisers and the like are only skipped over.
fn matters(place: &str) -> bool {
    !["initializer", "regularizer", "constraint", "build_config/shapes_dict", "compile_config"]
        .iter()
        .any(|word| place.contains(word))
}

#[test]
fn a_configuration_edited_at_random_is_read_or_refused() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut read, mut refused) = (0, 0);
    for fixture in residua_tests::all().iter().filter(|fixture| fixture.set == "layers") {
        let Ok(Container::Keras(file)) = residua_formats::open(&fixture.path) else { continue };
        let Some(config) = file.config else { continue };
        let mut all = Vec::new();
        places(&config, String::new(), &mut all);
        all.retain(|place| matters(place));
        for _ in 0..40 {
            let mut edited = config.clone();
            for _ in 0..=numbers.below(2) {
                let (place, other) = (&all[numbers.below(all.len())], &all[numbers.below(all.len())]);
                let value = replacement(&mut numbers, config.pointer(other).unwrap_or(&Value::Null));
                if let Some(target) = edited.pointer_mut(place) {
                    *target = value;
                }
            }
            let Ok(Container::Keras(mut file)) = residua_formats::open(&fixture.path) else { continue };
            file.config = Some(edited);
            match residua_import::from_container(Container::Keras(file), "edited", &LoadOptions::default()) {
                Ok(graph) => {
                    read += 1;
                    // Either answer will do; the point is that there is one.
                    let _ = validate(graph);
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(
        read > 500 && refused > 500,
        "{read} were read and {refused} refused: the edits are too weak or too strong"
    );
}

/// A model that calls the model within it ten times, whose innermost is one activation.
fn bomb(depth: usize) -> Value {
    let shape = json!([null, 8, 8, 2]);
    let input = json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"name": "x", "batch_input_shape": shape, "dtype": "float32"}});
    let calls = |times: usize| -> Value { (0..times).map(|_| json!([["x", 0, 0, {}]])).collect() };
    let mut inner = json!({"class_name": "Activation", "name": "inner", "inbound_nodes": calls(10),
        "config": {"name": "inner", "trainable": true, "activation": "relu"}});
    for level in 0..depth {
        inner = json!({"class_name": "Functional", "name": "inner", "inbound_nodes": calls(10), "config": {
            "name": "inner", "layers": [input, inner], "input_layers": [["x", 0, 0]],
            "output_layers": [["inner", usize::from(level > 0), 0]]}});
    }
    inner
}

#[test]
fn models_that_call_each_other_over_and_over_are_refused_in_time() {
    let Ok(Container::Keras(mut file)) = residua_formats::open(&residua_tests::fixture("layers/lambda.k2.h5").path)
    else {
        panic!("the fixture is not a Keras file")
    };
    file.config = Some(bomb(12));
    let error = residua_import::from_container(Container::Keras(file), "bomb", &LoadOptions::default()).err();
    assert!(error.is_some_and(|error| error.to_string().contains("calls of layers")));
}

#[test]
fn what_cannot_be_run_can_be_looked_at_and_is_named() {
    for (label, layer) in [
        ("layers/lambda.k2.h5", "Lambda"),
        ("layers/lambda.k3.h5", "Lambda"),
        ("layers/lambda.k3.keras", "Lambda"),
        ("layers/custom.k3.h5", "Doubler"),
        ("layers/custom.k3.keras", "Doubler"),
    ] {
        let graph = residua_import::load(&residua_tests::fixture(label).path).unwrap_or_else(|error| panic!("{error}"));
        let checked = validate(graph).unwrap_or_else(|error| panic!("{label}: {error}"));
        let opaque: Vec<&str> = checked.opaque_nodes().map(|id| checked.graph().node(id).op.name()).collect();
        assert!(opaque.iter().any(|name| name.contains(layer)), "{label}: {opaque:?}");
    }
    let subclassed = residua_import::load(&residua_tests::fixture("layers/subclassed.k3.keras").path);
    let error = subclassed.err().map_or_else(String::new, |error| error.to_string());
    assert!(error.contains("holds no list of layers"), "{error}");
}
