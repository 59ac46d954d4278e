//! `diff`: what differs between two models, across formats, frameworks and names.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{json, residua, transcript};

fn counts(document: &Value, of: &str) -> Vec<usize> {
    let count = |key: &str| document[of][key].as_array().unwrap().len();
    ["only_a", "only_b", "changed"].map(count).to_vec()
}

fn convert(folder: &Path, args: &[&str]) {
    let done = residua(folder, &[&["convert", "--quiet"], args].concat());
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_model_is_itself_whatever_the_container() {
    let folder = residua_tests::folder().join("faults");
    assert_snapshot!("diff_same", transcript(&folder, &["diff", "sound.h5", "sound.keras"]));
}

#[test]
fn one_tensor_that_changed_is_the_only_difference() {
    let folder = residua_tests::folder().join("faults");
    let (document, status) = json(&folder, &["diff", "sound.h5", "nan_kernel.h5"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("different"), 1));
    assert_eq!((counts(&document, "layers"), counts(&document, "tensors")), (vec![0, 0, 0], vec![0, 0, 1]));
    let change = &document["tensors"]["changed"][0];
    assert_eq!(change["name"], "block1_conv2/kernel");
    assert_eq!((&change["differing"], &change["non_finite"], &change["elements"]), (&1.into(), &1.into(), &144.into()));
    assert_snapshot!("diff_tensor", transcript(&folder, &["diff", "sound.h5", "nan_kernel.h5"]));
    assert_snapshot!(
        "diff_markdown",
        transcript(&folder, &["diff", "sound.h5", "nan_kernel.h5", "--format", "markdown"])
    );
}

#[test]
fn tensors_are_found_again_in_another_framework_and_under_other_names() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let onnx = out.path().join("digits.onnx");
    let onnx = onnx.to_str().unwrap();
    convert(folder, &[file, onnx]);
    let (document, _) = json(folder, &["diff", file, onnx, "--ignore-names"]);
    assert_eq!(counts(&document, "tensors"), [0, 0, 0], "{document}");
    assert!(document["tensors"]["differing"] == 0 && document["tensors"]["elements"].as_u64().unwrap() > 10_000);
}

#[test]
fn names_of_another_layout_are_told_and_may_be_ignored() {
    let checkpoint = &residua_tests::checkpoint("torchvision/resnet18.pth").path;
    let (folder, file) = (checkpoint.parent().unwrap(), checkpoint.file_name().unwrap().to_str().unwrap());
    let out = tempfile::tempdir().unwrap();
    let other = out.path().join("model.safetensors");
    let other = other.to_str().unwrap();
    convert(folder, &[file, other, "--layout", "huggingface"]);
    let (document, status) = json(folder, &["diff", file, other]);
    assert_eq!((counts(&document, "tensors")[2], status), (0, 1), "{document}");
    assert!(document["tensors"]["renamed"].as_array().unwrap().len() > 50);
    let (document, _) = json(folder, &["diff", file, other, "--ignore-names"]);
    assert_eq!(counts(&document, "layers"), [0, 0, 0], "{document}");
}

/// The digits model with another configuration, as a `.keras` file, and both as ONNX.
fn edited(folder: &Path, edit: impl FnOnce(&mut Value)) -> [String; 4] {
    let (home, file) = crate::place("digits/digits.k3.keras");
    let source = home.join(file);
    let mut archive = ZipArchive::new(File::open(&source).unwrap()).unwrap();
    let other = folder.join("edited.keras");
    let mut writer = ZipWriter::new(File::create(&other).unwrap());
    let mut edit = Some(edit);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        if member.name().unwrap() == "config.json" {
            let mut config: Value = serde_json::from_slice(&bytes).unwrap();
            (edit.take().unwrap())(&mut config);
            bytes = serde_json::to_vec(&config).unwrap();
        }
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(member.name().unwrap(), options).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap();
    let [source, other] = [source, other].map(|path| path.to_str().unwrap().to_owned());
    let as_onnx = |model: &str, name: &str| {
        let out = folder.join(name).to_str().unwrap().to_owned();
        convert(folder, &[model, &out, "--no-verify"]);
        out
    };
    let (a, b) = (as_onnx(&source, "a.onnx"), as_onnx(&other, "b.onnx"));
    [source, other, a, b]
}

fn layer<'c>(config: &'c mut Value, name: &str) -> &'c mut Value {
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|layer| layer["config"]["name"] == name).unwrap()
}

/// `(layer, attribute, A, B)` of each attribute that differs.
fn attributes(document: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |change: &Value| {
        let name = text(&change["name"]);
        let attributes = change["attributes"].as_array().unwrap().iter();
        attributes.map(|of| [name.clone(), text(&of["what"]), text(&of["a"]), text(&of["b"])]).collect::<Vec<_>>()
    };
    document["layers"]["changed"].as_array().unwrap().iter().flat_map(of).collect()
}

#[test]
fn attributes_that_differ_are_told_by_layer_in_each_format() {
    let out = tempfile::tempdir().unwrap();
    let [a, b, onnx_a, onnx_b] = edited(out.path(), |config| {
        layer(config, "batch_normalization_3")["config"]["epsilon"] = 0.01.into();
        layer(config, "activation_3")["config"]["activation"] = "tanh".into();
        layer(config, "average_pooling2d")["config"]["strides"] = vec![4, 4].into();
    });
    let expected = [
        ["batch_normalization_3", "epsilon", "0.001", "0.01"],
        ["activation_3", "operator", "Relu", "Tanh"],
        ["average_pooling2d", "strides", "[8,8]", "[4,4]"],
    ];
    for [a, b] in [[&a, &b], [&onnx_a, &onnx_b]] {
        let (document, status) = json(out.path(), &["diff", a, b]);
        let mut found = attributes(&document);
        found.iter_mut().for_each(|change| change[0] = change[0].rsplit('/').next().unwrap().to_owned());
        assert_eq!(status, 1);
        assert_eq!((counts(&document, "layers"), counts(&document, "tensors")), (vec![0, 0, 3], vec![0, 0, 0]));
        assert_eq!(found, expected, "{a}");
        assert_eq!(document["layers"]["moved"].as_array().unwrap().len(), 0);
    }
    let text = String::from_utf8(residua(out.path(), &["diff", &onnx_a, &onnx_b]).stdout).unwrap();
    assert!(expected.iter().flatten().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_connection_that_leads_elsewhere_is_told_by_both_its_ends() {
    let out = tempfile::tempdir().unwrap();
    let [a, b, onnx_a, onnx_b] = edited(out.path(), |config| {
        // The second block's shortcut comes from before the first block.
        let operand = &mut layer(config, "add_1")["inbound_nodes"][0]["args"][0][0];
        assert_eq!(operand["config"]["keras_history"][0], "activation_2");
        operand["config"]["keras_history"][0] = "activation".into();
    });
    for [a, b] in [[&a, &b], [&onnx_a, &onnx_b]] {
        let (document, status) = json(out.path(), &["diff", a, b]);
        assert_eq!((document["verdict"].as_str(), status), (Some("different"), 1));
        assert_eq!((counts(&document, "layers"), counts(&document, "tensors")), (vec![0; 3], vec![0; 3]), "{a}");
        let moved = document["layers"]["moved"].as_array().unwrap();
        let [only] = &moved[..] else { panic!("{moved:?}") };
        let last = |value: &Value| value.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(last(&only["name"]), "add_1");
        assert_eq!((last(&only["a"][0]), last(&only["b"][0])), ("activation_2".to_owned(), "activation".to_owned()));
        assert_eq!(last(&only["a"][1]), last(&only["b"][1]));
    }
}

#[test]
fn exports_of_one_network_differ_in_what_their_exporters_wrote_only() {
    let onnx = |label: &str| {
        let all = residua_tests::onnx().iter();
        all.clone().find(|f| f.label() == label).unwrap_or_else(|| panic!("{label}")).path.to_str().unwrap()
    };
    let folder = residua_tests::folder();
    let old = onnx("torch/resnet18.legacy13.onnx");
    for other in ["torch/resnet18.legacy16.onnx", "torch/resnet18.legacy20.onnx"] {
        let (document, status) = json(&folder, &["diff", old, onnx(other), "--ignore-names"]);
        assert_eq!((document["verdict"].as_str(), status), (Some("same"), 0), "{other}");
    }
    // The newer exporter writes its mean over all pixels as one over two axes, and the flattening as a reshape.
    let dynamo = onnx("torch/resnet18.dynamo18.onnx");
    let (document, status) = json(&folder, &["diff", old, dynamo, "--ignore-names"]);
    let ops = |key: &str| {
        let layers = document["layers"][key].as_array().unwrap().iter();
        layers.map(|layer| layer["op"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(status, 1);
    assert_eq!(
        (ops("only_a"), ops("only_b")),
        (vec!["GlobalAvgPool".into(), "Flatten".into()], vec!["ReduceMean".into(), "Reshape".into()])
    );
    assert_eq!(counts(&document, "tensors")[..2], [0, 0]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = residua_tests::folder().join("faults");
    let done = residua(&folder, &["diff", "sound.h5", "missing.h5"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(fs::exists(folder.join("sound.h5")).unwrap());
}
