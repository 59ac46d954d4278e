//! Claims about what configurations of either Keras say.

use serde_json::json;

use super::*;

fn layer(name: &str, class: &str, config: Value, inbound: Value) -> Value {
    let mut config = config;
    config["name"] = name.into();
    json!({"class_name": class, "config": config, "name": name, "inbound_nodes": inbound})
}

fn input(name: &str) -> Value {
    layer(name, "InputLayer", json!({"batch_input_shape": [null, 8, 8, 3], "dtype": "float32"}), json!([]))
}

fn functional(name: &str, layers: Vec<Value>, inputs: Value, outputs: Value) -> Value {
    let config =
        json!({"name": name, "trainable": true, "layers": layers, "input_layers": inputs, "output_layers": outputs});
    json!({"class_name": "Functional", "config": config})
}

fn keras_tensor(layer: &str, call: usize) -> Value {
    json!({"class_name": "__keras_tensor__",
        "config": {"shape": [null, 8, 8, 3], "dtype": "float32", "keras_history": [layer, call, 0]}})
}

/// A functional model of one activation, as a layer of another.
fn nested(inbound: Value) -> Value {
    let relu = layer("relu", "Activation", json!({"trainable": true}), json!([[["x", 0, 0, {}]]]));
    let mut inner = functional("inner", vec![input("x"), relu], json!([["x", 0, 0]]), json!([["relu", 0, 0]]));
    inner["name"] = "inner".into();
    inner["inbound_nodes"] = inbound;
    inner
}

/// Layer and call of each input and of each output.
fn ends(model: &Model<'_>) -> [Vec<(usize, usize)>; 2] {
    let Wiring::Graph { inputs, outputs } = &model.wiring else { panic!("a graph was expected") };
    [inputs, outputs].map(|refs| refs.iter().map(|r| (r.layer, r.call)).collect())
}

#[test]
fn keras_2_counts_the_call_that_built_a_nested_model() {
    let add = layer("add", "Add", json!({"trainable": true}), json!([[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]));
    let inner = nested(json!([[["a", 0, 0, {}]], [["inner", 1, 0, {}]]]));
    let root = functional("m", vec![input("a"), inner, add], json!([["a", 0, 0]]), json!([["inner", 1, 0]]));
    let model = Model::parse(&root).unwrap();
    assert_eq!(ends(&model)[1], [(1, 0)]);
    let calls: Vec<usize> = model.layers[2].calls[0].tensors().iter().map(|r| r.call).collect();
    assert_eq!(calls, [0, 1]);
    assert_eq!(model.layers[1].calls[1].tensors()[0].call, 0);
}

#[test]
fn keras_3_counts_it_at_the_ends_of_a_model_only() {
    let call = |tensor: Value| json!({"args": [tensor], "kwargs": {"mask": null}});
    let inner = nested(json!([call(keras_tensor("a", 0)), call(keras_tensor("inner", 0))]));
    let root = functional("m", vec![input("a"), inner], json!(["a", 0, 0]), json!([["inner", 2, 0], ["inner", 1, 0]]));
    let model = Model::parse(&root).unwrap();
    assert_eq!(ends(&model)[1], [(1, 1), (1, 0)]);
    assert_eq!(model.layers[1].calls[1].tensors()[0].call, 0);
}

#[test]
fn a_single_input_may_stand_without_a_list_around_it() {
    let relu = layer("relu", "Activation", json!({"trainable": true}), json!([[["a", 0, 0, {}]]]));
    let root = functional("m", vec![input("a"), relu], json!(["a", 0, 0]), json!(["relu", 0, 0]));
    assert_eq!(ends(&Model::parse(&root).unwrap()), [vec![(0, 0)], vec![(1, 0)]]);
}

#[test]
fn a_layer_and_an_operation_of_the_same_class_are_told_apart() {
    let (x, y) = (keras_tensor("a", 0), keras_tensor("a", 0));
    let as_layer = layer(
        "add",
        "Add",
        json!({"trainable": true, "dtype": "float32"}),
        json!([{"args": [[x.clone(), y.clone()]], "kwargs": {}}]),
    );
    let as_operation = layer("add_1", "Add", json!({}), json!([{"args": [x, 2.0], "kwargs": {}}]));
    let root = functional("m", vec![input("a"), as_layer, as_operation], json!(["a", 0, 0]), json!(["add_1", 0, 0]));
    let model = Model::parse(&root).unwrap();
    assert!(matches!(model.layers[1].body, Body::Layer));
    assert!(matches!(model.layers[2].body, Body::Operation));
    assert!(matches!(model.layers[2].calls[0].args[..], [Arg::Tensor(_), Arg::Literal(_)]));
}

#[test]
fn a_tensorflow_function_is_called_one_list_less_deep_and_has_its_operands_among_the_keywords() {
    let two = layer("mul", "TFOpLambda", json!({"trainable": true}), json!([["a", 0, 0, {"y": 2.0, "name": null}]]));
    let both = layer("add", "TFOpLambda", json!({"trainable": true}), json!([["mul", 0, 0, {"y": ["a", 0, 0]}]]));
    let from = layer(
        "sub",
        "TFOpLambda",
        json!({"trainable": true}),
        json!([["_CONSTANT_VALUE", -1, 1.0, {"y": ["add", 0, 0]}]]),
    );
    let root = functional("m", vec![input("a"), two, both, from], json!([["a", 0, 0]]), json!([["sub", 0, 0]]));
    let model = Model::parse(&root).unwrap();
    let operands = |layer: usize| model.layers[layer].calls[0].tensors().iter().map(|r| r.layer).collect::<Vec<_>>();
    assert_eq!((operands(1), operands(2), operands(3)), (vec![0], vec![1, 0], vec![2]));
    assert!(matches!(model.layers[3].calls[0].args[0], Arg::Literal(_)));
}

#[test]
fn a_sequential_without_an_input_layer_finds_its_input_on_the_first_layer() {
    let dense = json!({"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [null, 4]}});
    let root = json!({"class_name": "Sequential", "config": {"name": "s", "layers": [dense]}});
    let found = Model::parse(&root).unwrap().chain_input().unwrap();
    assert_eq!(found, Input { name: "d_input".to_owned(), shape: vec![None, Some(4)], dtype: None });

    let plain = json!({"class_name": "Dense", "config": {"name": "d", "units": 2}});
    let root = json!({"class_name": "Sequential", "config": {"name": "s", "layers": [plain]}});
    let error = Model::parse(&root).unwrap().chain_input().unwrap_err();
    assert!(error.to_string().contains("the shape of the model's input"), "{error}");
}

#[test]
fn a_reference_to_a_layer_or_a_call_that_is_not_there_names_who_makes_it() {
    for reference in [json!(["nobody", 0, 0, {}]), json!(["a", 7, 0, {}]), json!(["a", -1, 0, {}])] {
        let relu = layer("relu", "Activation", json!({"trainable": true}), json!([[reference]]));
        let root = functional("m", vec![input("a"), relu], json!([["a", 0, 0]]), json!([["relu", 0, 0]]));
        let error = Model::parse(&root).unwrap_err().to_string();
        assert!(error.contains("layer `relu`, inbound_nodes"), "{error}");
    }
}

#[test]
fn two_layers_of_one_name_are_refused() {
    let root = functional("m", vec![input("a"), input("a")], json!([["a", 0, 0]]), json!([["a", 0, 0]]));
    assert!(Model::parse(&root).unwrap_err().to_string().contains("one layer of the name `a`"));
}

#[test]
fn models_within_models_end() {
    let mut root = json!({"class_name": "Sequential", "config": {"name": "s", "layers": []}});
    for _ in 0..40 {
        root = json!({"class_name": "Sequential", "config": {"name": "s", "layers": [root]}});
    }
    assert!(Model::parse(&root).unwrap_err().to_string().contains("models within each other"));
}

#[test]
fn a_subclassed_model_is_refused_with_what_to_do() {
    let root = json!({"class_name": "MyResNet", "config": {"name": "mine"}});
    let error = Model::parse(&root).unwrap_err().to_string();
    assert!(error.contains("MyResNet") && error.contains("Functional and Sequential"), "{error}");
}
