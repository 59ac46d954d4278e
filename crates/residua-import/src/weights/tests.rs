//! Files that no fixture holds: old names, nested bases, and good files with one thing wrong.

use residua_formats::NamedTensor;
use residua_formats::keras::{KerasFile, KerasKind, KerasWeights, LayerWeights, VariableGroup};
use residua_ir::{Op, Tensor};
use residua_resnet::layouts::{fields, snake_case};
use residua_resnet::recipe::{Classifier, Head, HeadPool, Input, KerasModelClass, Recipe};
use residua_resnet::recognise::Given;

use super::import;
use crate::error::Error;
use residua_ir::Graph;
use residua_resnet::form::StageForm;

/// A thin network of a model class.
fn thin(model_class: KerasModelClass, classes: Option<usize>) -> Recipe {
    let cifar = matches!(model_class, KerasModelClass::CifarV1 | KerasModelClass::CifarV2);
    let stages = (0..if cifar { 3 } else { 4 }).map(|stage| {
        let width = if model_class == KerasModelClass::CifarV2 && stage > 0 { 4 << stage } else { 2 << stage };
        let outputs = if model_class == KerasModelClass::CifarV1 { width } else { 8 << stage };
        StageForm { blocks: 2, width, outputs }
    });
    let form = model_class.form(2, stages.collect());
    model_class.recipe("thin", form, Input { channels: 3, size: cifar.then_some([32, 32]) }, classes)
}

fn tensor(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|at| at as f32).collect();
    Tensor::from_f32(shape.to_vec(), &values).unwrap()
}

/// Tensors of a layer as Keras writes them, under names with this prefix.
fn tensors(layer: &residua_resnet::recipe::Layer, prefix: &str) -> Vec<NamedTensor> {
    let named = layer.tensors().into_iter().map(|(slot, shape)| {
        let keras = fields(layer.class).iter().find(|(field, _)| *field == slot.field).unwrap().1;
        let shape = match shape[..] {
            [o, i, h, w] => vec![h, w, i, o],
            [o, i] => vec![i, o],
            _ => shape,
        };
        let name = format!("{prefix}{keras}:0");
        NamedTensor { location: format!("/{}/{name}", layer.name), name, tensor: tensor(&shape) }
    });
    named.collect()
}

/// The legacy file of a recipe, weightless layers listed as Keras lists them.
fn legacy(recipe: &Recipe) -> Vec<LayerWeights> {
    let layers = recipe.layers();
    let list = layers
        .iter()
        .map(|layer| LayerWeights { name: layer.name.clone(), tensors: tensors(layer, &format!("{}/", layer.name)) });
    list.collect()
}

fn file(weights: KerasWeights) -> KerasFile {
    KerasFile {
        kind: KerasKind::LegacyWeightsH5,
        version: None,
        backend: Some("tensorflow".to_owned()),
        config: None,
        weights,
        unused: Vec::new(),
        beside: None,
    }
}

fn load(layers: Vec<LayerWeights>) -> Result<Graph, String> {
    import(file(KerasWeights::Layers(layers)), "file", &Given::default()).map_err(|error| error.to_string())
}

fn dense(name: &str, shape: [usize; 2]) -> LayerWeights {
    let named = |field: &str, shape: &[usize]| NamedTensor {
        name: format!("{name}/{field}:0"),
        location: format!("/{name}/{name}/{field}:0"),
        tensor: tensor(shape),
    };
    LayerWeights { name: name.to_owned(), tensors: vec![named("kernel", &shape), named("bias", &shape[1..])] }
}

/// A base network in one flat group, trained tensors first, and the layers behind it.
fn nested(head: Vec<LayerWeights>) -> Vec<LayerWeights> {
    let flat = thin(KerasModelClass::V2, None)
        .layers()
        .iter()
        .flat_map(|layer| tensors(layer, &format!("{}/", layer.name)))
        .collect::<Vec<_>>();
    let (statistics, trained): (Vec<_>, Vec<_>) = flat.into_iter().partition(|named| named.name.contains("moving"));
    let base = LayerWeights { name: "resnet50v2".to_owned(), tensors: [trained, statistics].concat() };
    std::iter::once(base).chain(head).collect()
}

#[test]
fn every_kin_is_found_from_its_own_file() {
    for model_class in KerasModelClass::ALL {
        for classes in [Some(5), None] {
            let graph = load(legacy(&thin(model_class, classes)))
                .unwrap_or_else(|error| panic!("{model_class:?} {classes:?}: {error}"));
            let epsilons = graph.nodes().iter().filter_map(|node| match node.op {
                Op::BatchNorm(norm) => Some(norm.epsilon),
                _ => None,
            });
            let expected =
                if matches!(model_class, KerasModelClass::V1 | KerasModelClass::V2) { 1.001e-5 } else { 1e-3 };
            assert!(epsilons.into_iter().all(|epsilon| epsilon == expected), "{model_class:?}");
            let notes = graph.source().notes.join("\n");
            assert!(notes.contains(model_class.describe()), "{model_class:?}: {notes}");
        }
    }
}

#[test]
fn applications_are_found_without_their_names_too() {
    for model_class in [KerasModelClass::V1, KerasModelClass::V2] {
        let layers = thin(model_class, Some(5)).layers();
        let mut counts = std::collections::HashMap::new();
        let groups = layers.iter().map(|layer| {
            let class = snake_case(layer.class);
            let count = counts.entry(class.clone()).or_insert(0);
            *count += 1;
            let key = if *count == 1 { class } else { format!("{class}_{}", *count - 1) };
            VariableGroup { path: format!("layers/{key}"), name: None, tensors: tensors(layer, "") }
        });
        let graph = import(file(KerasWeights::Paths(groups.collect())), "file", &Given::default()).unwrap();
        assert!(graph.source().notes[0].starts_with("network found from shapes and order"));
        let names: Vec<&str> = graph.layers().iter().map(|layer| layer.name.raw()).collect();
        assert_eq!(names, layers.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>());
    }
}

#[test]
fn a_missing_tensor_another_shape_and_a_layer_too_many_are_refused_by_name() {
    let position = |layers: &[LayerWeights], name: &str| layers.iter().position(|layer| layer.name == name).unwrap();
    let mut missing = legacy(&thin(KerasModelClass::V1, Some(5)));
    let at = position(&missing, "conv3_block2_2_bn");
    missing[at].tensors.pop();
    let error = load(missing).unwrap_err();
    assert!(error.contains("has tensors [4] [4] [4] [4], `conv3_block2_2_bn` has [4] [4] [4]"), "{error}");

    let mut reshaped = legacy(&thin(KerasModelClass::V1, Some(5)));
    let at = position(&reshaped, "conv4_block2_1_conv");
    reshaped[at].tensors[0].tensor = tensor(&[1, 1, 32, 9]);
    let error = load(reshaped).unwrap_err();
    assert!(error.contains("`conv4_block2_1_conv`") && error.contains("[1, 1, 32, 9]"), "{error}");

    let mut more = legacy(&thin(KerasModelClass::V1, Some(5)));
    let mut extra = dense("conv2d_7", [3, 3]);
    extra.tensors[0].tensor = tensor(&[1, 1, 3, 3]);
    more.push(extra);
    let error = load(more).unwrap_err();
    assert!(
        error.contains("1 layers of the file are not in it") && error.contains("`conv2d_7` [1, 1, 3, 3] [3]"),
        "{error}"
    );
}

#[test]
fn layers_without_weights_tell_networks_of_the_same_weights_apart() {
    let mut gated = legacy(&thin(KerasModelClass::CifarV1, Some(5)));
    gated.push(LayerWeights { name: "multiply_3".to_owned(), tensors: Vec::new() });
    let error = load(gated).unwrap_err();
    assert!(error.contains("the file lists `multiply_3`, which it does not have"), "{error}");

    let mut fewer = legacy(&thin(KerasModelClass::CifarV1, Some(5)));
    let at = fewer.iter().position(|layer| layer.name.starts_with("add")).unwrap();
    fewer.remove(at);
    let error = load(fewer).unwrap_err();
    assert!(error.contains("the file lists no layer that is its Add"), "{error}");

    // A global pool in place of the example's windows is taken as the file lists it.
    let mut global = thin(KerasModelClass::CifarV1, None);
    global.head = Some(Head::new(HeadPool::Global, Some(Classifier::dense(5, true))));
    let graph = load(legacy(&global)).unwrap();
    assert!(graph.nodes().iter().any(|node| matches!(node.op, Op::GlobalPool(_))));
    assert!(!graph.nodes().iter().any(|node| matches!(node.op, Op::Flatten { .. })));
}

#[test]
fn a_base_with_one_dense_layer_is_taken_and_one_with_more_is_refused() {
    let graph = load(nested(vec![dense("cats", [64, 2])])).unwrap();
    assert_eq!(graph.name(), "resnet50v2");
    let notes = graph.source().notes.join("\n");
    assert!(notes.contains("what lies between them is not in the file"), "{notes}");
    assert!(notes.contains("head taken as global average pooling and a dense layer with softmax"), "{notes}");

    let error = load(nested(vec![dense("hidden", [64, 16]), dense("cats", [16, 2])])).unwrap_err();
    for component in ["the base is recognised (depth 26", "`hidden` [64, 16] [16]", "`cats` [16, 2] [2]"] {
        assert!(error.contains(component), "{error}");
    }
    let error = load(nested(vec![dense("cats", [64, 1])])).unwrap_err();
    assert!(error.contains("sigmoid"), "{error}");
    let error = load(nested(vec![dense("cats", [65, 2])])).unwrap_err();
    assert!(error.contains("other features"), "{error}");
}

#[test]
fn rows_behind_several_windows_follow_the_channels() {
    // 64x64 images leave 2x2 windows: Keras flattens rows, columns, channels.
    let mut recipe = thin(KerasModelClass::CifarV1, Some(5));
    recipe.input.size = Some([64, 64]);
    let graph = load(legacy(&recipe)).unwrap();
    assert!(graph.source().notes.iter().any(|note| note.ends_with("images taken as 64x64")));
    let weight = graph.parameters().iter().find(|p| p.name == "dense/kernel").unwrap();
    assert_eq!(weight.tensor.shape(), [5, 8 * 4]);
    let values = weight.tensor.to_f32().unwrap();
    for (out, channel, row, column) in [(0, 0, 0, 1), (3, 5, 1, 0), (4, 7, 1, 1)] {
        let here = out * 32 + (channel * 2 + row) * 2 + column;
        let there = ((row * 2 + column) * 8 + channel) * 5 + out;
        assert_eq!(values[here], there as f32);
    }
}

#[test]
fn mirrored_kernels_and_empty_files_are_refused() {
    let mut theano = file(KerasWeights::Layers(legacy(&thin(KerasModelClass::V1, None))));
    theano.backend = Some("theano".to_owned());
    assert!(matches!(import(theano, "file", &Given::default()), Err(Error::Unsupported { .. })));
    assert!(load(Vec::new()).unwrap_err().contains("holds no weights"));
}
