//! What is taken, left out and refused, over a DenseNet of nothing but names and shapes.

use residua_formats::NamedTensor;
use residua_formats::torch::{Attribute, Module, StateDict};
use residua_ir::{DType, Graph, Source, Tensor};
use residua_resnet::recognise::Given;

use super::super::network::Asked;

fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
    let tensor = Tensor::filled(DType::F32, shape.to_vec(), 1.0).unwrap();
    NamedTensor { name: name.to_owned(), location: format!("at {name}"), tensor }
}

fn norm(tensors: &mut Vec<NamedTensor>, name: &str, channels: usize) {
    for field in ["weight", "bias", "running_mean", "running_var"] {
        tensors.push(tensor(&format!("{name}.{field}"), &[channels]));
    }
}

/// One block of one layer, behind a prefix.
fn densenet(prefix: &str) -> StateDict {
    let mut tensors = vec![tensor("features.conv0.weight", &[4, 3, 7, 7])];
    norm(&mut tensors, "features.norm0", 4);
    let layer = "features.denseblock1.denselayer1";
    norm(&mut tensors, &format!("{layer}.norm1"), 4);
    tensors.push(tensor(&format!("{layer}.conv1.weight"), &[8, 4, 1, 1]));
    norm(&mut tensors, &format!("{layer}.norm2"), 8);
    tensors.push(tensor(&format!("{layer}.conv2.weight"), &[2, 8, 3, 3]));
    norm(&mut tensors, "features.norm5", 6);
    tensors.extend([tensor("classifier.weight", &[5, 6]), tensor("classifier.bias", &[5])]);
    for tensor in &mut tensors {
        tensor.name = format!("{prefix}{}", tensor.name);
    }
    StateDict { path: String::new(), tensors, modules: Vec::new() }
}

fn read_with(dicts: &[StateDict], which: Option<&str>, given: &Given) -> Option<Result<Graph, String>> {
    let asked = Asked { given, head_from: None, unused: &[], dangers: &[] };
    let graph = super::network(dicts, which, &asked, "net", &Source::default(), &[]);
    graph.map(|result| result.map_err(|error| error.to_string()))
}

fn read(dict: StateDict) -> Result<Graph, String> {
    read_with(&[dict], None, &Given::default()).unwrap()
}

fn module(path: &str, class: &str, attributes: &[(&str, Attribute)]) -> Module {
    let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Module { path: path.to_owned(), class: class.to_owned(), attributes }
}

#[test]
fn what_stands_before_the_names_is_noted_and_what_lies_beside_them_left_out() {
    let mut dict = densenet("module.encoder.");
    dict.tensors.push(tensor("module.projector.weight", &[3, 6]));
    let graph = read(dict).unwrap();
    let notes = graph.source().notes.join("; ");
    assert!(notes.contains("stripped from the names of tensors: `module.encoder.`"), "{notes}");
    assert!(
        notes.contains("torchvision's DenseNet, 5 outputs") && notes.contains("`module.projector` (1 tensor)"),
        "{notes}"
    );
    assert_eq!(graph.unused().len(), 1);
}

#[test]
fn a_tensor_that_is_missing_or_too_many_or_of_another_shape_is_named() {
    let changed = |change: &dyn Fn(&mut Vec<NamedTensor>)| {
        let mut dict = densenet("");
        change(&mut dict.tensors);
        read(dict).unwrap_err()
    };
    let missing = changed(&|all| all.retain(|tensor| tensor.name != "features.norm5.running_var"));
    assert!(missing.contains("features.norm5") && missing.contains("running_var"), "{missing}");
    let more = changed(&|all| all.push(tensor("features.extra.weight", &[6])));
    assert!(more.contains("`features.extra.weight`") && more.contains("no place for it"), "{more}");
    for (name, shape) in [
        ("features.denseblock1.denselayer1.conv2.weight", &[2, 7, 3, 3][..]),
        ("features.norm0.bias", &[5]),
        ("classifier.weight", &[5, 7]),
        ("features.conv0.weight", &[4, 3, 0, 0]),
    ] {
        let error = changed(&|all| {
            all.retain(|tensor| tensor.name != name);
            all.push(tensor(name, shape));
        });
        assert!(error.contains(&format!("at {name}")), "{name}: {error}");
    }
}

#[test]
fn settings_that_the_code_does_not_have_are_refused() {
    let given = Given { strides: Some(vec![1, 2]), ..Given::default() };
    let error = read_with(&[densenet("")], None, &given).unwrap().unwrap_err();
    assert!(error.contains("torchvision's DenseNet"), "{error}");
    assert!(read_with(&[densenet("")], None, &Given { epsilon: Some(0.0), ..Given::default() }).unwrap().is_ok());
}

#[test]
fn of_two_networks_none_is_taken_in_silence() {
    let mut dict = densenet("student.");
    dict.tensors.extend(densenet("teacher.").tensors);
    let error = read_with(&[dict.clone()], None, &Given::default()).unwrap().unwrap_err();
    assert!(error.contains("student") && error.contains("teacher"), "{error}");
    let graph = read_with(&[dict], Some("teacher"), &Given::default()).unwrap().unwrap();
    assert!(graph.parameters().iter().all(|parameter| parameter.name.raw().starts_with("teacher.")));
}

#[test]
fn modules_are_held_against_the_code_of_the_family() {
    let two = Attribute::List(vec![Attribute::Int(2), Attribute::Int(2)]);
    let with = |module: Module| read(StateDict { modules: vec![module], ..densenet("") });
    let conv = "torch.nn.modules.conv.Conv2d";
    assert!(with(module("features.conv0", conv, &[("stride", two.clone())])).is_ok());
    for (module, expected) in [
        (module("features.denseblock1.denselayer1.conv2", conv, &[("stride", two)]), "`stride` is [2, 2]"),
        (
            module("features.norm5", "torch.nn.modules.batchnorm.BatchNorm2d", &[("eps", Attribute::Float(1e-3))]),
            "1e-3",
        ),
        (module("features.relu0", "torch.nn.modules.activation.SiLU", &[]), "Relu"),
        (module("features.pool0", "mine.Blur", &[]), "not known"),
        (
            module("features.pool0", "torch.nn.modules.pooling.AvgPool2d", &[("kernel_size", Attribute::Int(3))]),
            "windows",
        ),
    ] {
        let error = with(module).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn names_behind_many_prefixes_are_looked_at_once_for_each_of_their_own() {
    // Looking through all names for each prefix would take minutes.
    let parts = ["conv1.weight", "bn3.weight", "conv2.weight"];
    let names = (0..10_000).flat_map(|n| parts.map(|part| tensor(&format!("a{n}.layer1.0.{part}"), &[1])));
    let dict = StateDict { path: String::new(), tensors: names.collect(), modules: Vec::new() };
    assert!(read_with(&[dict], None, &Given::default()).is_none());
}
