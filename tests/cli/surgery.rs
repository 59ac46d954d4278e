//! `head` and `new`: networks that are made, of others and of a name.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::{json, place, transcript};

fn made(folder: &Path, args: &[&str]) -> Value {
    let (document, status) = json(folder, &[args, &["--quiet"]].concat());
    assert_eq!(status, 0, "{args:?}: {document}");
    document
}

#[test]
fn a_new_network_is_what_its_name_says_and_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["resnet20_cifar", "resnet29v2_cifar", "resnet18", "resnet50v2"] {
        let args = ["new", name, "a.onnx", "--classes", "7", "--input-shape", "3,64,64"];
        let document = made(folder.path(), &args);
        assert_eq!(document["schema"], "residua.new/1");
        let (about, _) = json(folder.path(), &["inspect", "a.onnx"]);
        assert_eq!(about["architecture"]["name"], name, "{about}");
        assert_eq!(about["outputs"][0]["shape"][1], 7);
        let first = fs::read(folder.path().join("a.onnx")).unwrap();
        made(folder.path(), &["new", name, "b.onnx", "--classes", "7", "--input-shape", "3,64,64"]);
        assert!(fs::read(folder.path().join("b.onnx")).unwrap() == first, "{name}");
        made(folder.path(), &["new", name, "b.onnx", "--classes", "7", "--input-shape", "3,64,64", "--seed", "2"]);
        assert!(fs::read(folder.path().join("b.onnx")).unwrap() != first, "{name}");
    }
    for (name, called) in [("plain56_cifar", "plain56"), ("densenet121", "densenet121")] {
        let args = ["new", name, "a.onnx", "--input-shape", "3,64,64"];
        made(folder.path(), &args);
        let (about, _) = json(folder.path(), &["inspect", "a.onnx"]);
        assert_eq!(about["architecture"]["name"], called, "{about}");
    }
    let thin = ["new", "resnet50v2", "thin.onnx", "--width", "0.125", "--survival", "0.8", "--input-shape", "3,64,64"];
    made(folder.path(), &thin);
    let (about, _) = json(folder.path(), &["inspect", "thin.onnx"]);
    assert_eq!(about["blocks"].as_array().unwrap().len(), 16, "{}", about["architecture"]);
    made(folder.path(), &["new", "resnet18", "r.safetensors", "--layout", "torchvision"]);
    let (document, status) = json(folder.path(), &["check", "r.safetensors", "--expect", "resnet18"]);
    assert_eq!((&document["verdict"], status), (&"pass".into(), 0), "{document}");
    assert_snapshot!("new_unknown", transcript(folder.path(), &["new", "resnet51", "a.onnx"]));
    assert_snapshot!("new_ending", transcript(folder.path(), &["new", "resnet18", "a.h5"]));
}

#[test]
fn a_new_head_stands_on_what_was_there_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (models, model) = place("thin/thin50v2.k3.h5");
    fs::copy(models.join(model), folder.path().join("model.h5")).unwrap();
    fs::write(folder.path().join("names.txt"), "cat\ndog\n").unwrap();
    let head = "dense 16 relu, dropout 0.5, dense 2 softmax";
    let args =
        ["head", "model.h5", "cats.onnx", "--drop-top", "--pool", "avg", "--head", head, "--classes", "names.txt"];
    let said = transcript(folder.path(), &args);
    assert!(said.contains("shown to be the source's, every bit of them") && said.ends_with("exit 0\n"), "{said}");
    let (about, _) = json(folder.path(), &["inspect", "cats.onnx"]);
    assert_eq!((&about["architecture"]["family"], &about["outputs"][0]["shape"][1]), (&"v2".into(), &2.into()));
    made(folder.path(), &["head", "model.h5", "base.onnx", "--drop-top"]);
    let (document, _) = json(folder.path(), &["inspect", "base.onnx"]);
    let last = document["outputs"][0]["shape"].as_array().unwrap().clone();
    assert_eq!(last.len(), 4, "{document}");
    made(folder.path(), &["head", "base.onnx", "again.onnx", "--pool", "max"]);
    let features = made(folder.path(), &["head", "model.h5", "cut.onnx", "--cut", "conv3_block1_out"]);
    assert_eq!(features["schema"], "residua.head/1");
    // The same seed gives the same file.
    let bytes = fs::read(folder.path().join("cats.onnx")).unwrap();
    let again = [&args[..2], &["twice.onnx"], &args[3..]].concat();
    made(folder.path(), &again);
    assert!(fs::read(folder.path().join("twice.onnx")).unwrap() == bytes);
    // Names go into the file, and come out of it.
    assert!(String::from_utf8_lossy(&bytes).contains(r#"["cat","dog"]"#));
}

#[test]
fn what_cannot_be_cut_or_put_on_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (models, model) = place("thin/thin50v2.k3.h5");
    fs::copy(models.join(model), folder.path().join("model.h5")).unwrap();
    fs::write(folder.path().join("names.txt"), "cat\ncat\n").unwrap();
    let said = |name: &str, args: &[&str]| {
        assert_snapshot!(name, transcript(folder.path(), &[&["head", "model.h5", "out.onnx"], args].concat()));
    };
    said("head_nothing", &[]);
    said("head_layer", &["--cut", "conv3_block9_out"]);
    said("head_words", &["--drop-top", "--head", "dense two"]);
    said("head_names", &["--drop-top", "--classes", "names.txt"]);
    said("head_pool", &["--pool", "avg"]);
    said("head_count", &["--drop-top", "--head", "dense 3 softmax", "--classes", "2"]);
    let itself = ["head", "model.h5", "model.h5", "--drop-top"];
    assert!(transcript(folder.path(), &itself).contains("exit 2"));
    assert!(!folder.path().join("out.onnx").exists());
}

/// Heads go on whatever is read: PyTorch's weights, safetensors with and without a graph of ours, Keras's whole models.
#[test]
fn heads_go_on_networks_of_every_source() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), &["new", "resnet18", "t.safetensors", "--layout", "torchvision", "--input-shape", "3,64,64"]);
    made(folder.path(), &["new", "resnet18", "own.safetensors", "--input-shape", "3,64,64", "--layout", "residua"]);
    let torch = residua_tests::torch().iter().map(|fixture| fixture.path.clone());
    let torch = torch.filter(|path| path.extension().is_some_and(|end| end == "pth"));
    let torch = torch.filter(|path| path.to_string_lossy().contains("torchvision")).take(3).collect::<Vec<_>>();
    assert_eq!(torch.len(), 3);
    let (keras, digits) = place("digits/digits.k3.keras");
    let sources = [folder.path().join("t.safetensors"), folder.path().join("own.safetensors"), keras.join(digits)];
    for source in sources.into_iter().chain(torch) {
        let source = source.to_str().unwrap();
        for out in ["out.onnx", "out.safetensors"] {
            let layout: &[&str] = if out == "out.onnx" { &[] } else { &["--layout", "residua"] };
            let args = ["head", source, out, "--drop-top", "--head", "dense 8 relu, dense 3 softmax", "--seed", "4"];
            made(folder.path(), &[&args[..], layout].concat());
            let (about, _) = json(folder.path(), &["inspect", out]);
            assert_eq!(about["outputs"][0]["shape"][1], 3, "{source}: {}", about["outputs"]);
        }
    }
}
