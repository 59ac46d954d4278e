//! Naming layouts: PyTorch's and Hugging Face's files to every layout that can hold them, and refusals of the others.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use residua_tests::{Fixture, checkpoint, torch};
use serde_json::Value;

use crate::{json, residua, transcript};

/// The checkpoint under its own name in a folder of its own.
fn alone(label: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let name = copied(checkpoint(label), folder.path());
    (folder, name)
}

fn copied(fixture: &Fixture, folder: &Path) -> String {
    let name = fixture.path.file_name().unwrap().to_str().unwrap().to_owned();
    let target = folder.join(&name);
    if fixture.path.is_dir() {
        fs::create_dir(&target).unwrap();
        for file in fs::read_dir(&fixture.path).unwrap().map(|entry| entry.unwrap()) {
            fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    } else {
        fs::copy(&fixture.path, target).unwrap();
    }
    name
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// Layouts that hold a model, as `layouts` says.
fn that_hold(folder: &Path, model: &str) -> Vec<String> {
    let (document, _) = json(folder, &["layouts", model]);
    let layouts = document["layouts"].as_array().unwrap();
    let held = layouts.iter().filter(|layout| layout["holds"] == true);
    held.map(|layout| layout["name"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with a model written in a layout, if anything; `golden` are the outputs of the source's framework.
fn complaint(folder: &Path, model: &str, layout: &str, golden: Option<&Path>) -> Option<String> {
    let out = format!("{layout}/");
    let (document, status) = json(folder, &["convert", model, &out, "--layout", layout]);
    if (status, document["verification"]["verdict"].as_str()) != (0, Some("same")) {
        return Some(format!("exit {status}: {}", document["verification"]));
    }
    let dropped: Vec<&Value> = document["dropped"].as_array().unwrap().iter().map(|tensor| &tensor["from"]).collect();
    let used = document["tensors"].as_array().unwrap().iter().find(|tensor| dropped.contains(&&tensor["from"]));
    if let Some(tensor) = used {
        return Some(format!("{tensor} is written and left out"));
    }
    // Keras's networks take NHWC and end in a softmax.
    let golden = golden.filter(|_| !layout.starts_with("keras"))?;
    let done = residua(folder, &["check", &out, "--golden", golden.to_str().unwrap()]);
    (done.status.code() != Some(0)).then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn every_checkpoint_is_written_in_every_layout_that_holds_it_and_computes_what_its_framework_did() {
    let mut written = 0;
    let mut complaints = Vec::new();
    for fixture in torch().iter().filter(|fixture| fixture.set != "containers") {
        let folder = tempfile::tempdir().unwrap();
        let model = copied(fixture, folder.path());
        for layout in that_hold(folder.path(), &model) {
            written += 1;
            let wrong = complaint(folder.path(), &model, &layout, fixture.golden.as_deref());
            complaints.extend(wrong.map(|wrong| format!("{} in {layout}: {wrong}", fixture.label())));
        }
    }
    assert!(complaints.is_empty(), "{} of {written}:\n{}", complaints.len(), complaints.join("\n"));
    assert!(written > 120, "only {written} files were written");
}

#[test]
fn pytorch_keeps_its_names_and_its_bytes_without_a_trace_of_wrappers() {
    let plain: Vec<&Fixture> = torch().iter().filter(|fixture| fixture.set == "containers").collect();
    for fixture in plain {
        let folder = tempfile::tempdir().unwrap();
        let model = copied(fixture, folder.path());
        let (document, status) = json(folder.path(), &["convert", &model, "out.safetensors"]);
        assert_eq!(status, 0, "{}: {document}", fixture.label());
        assert_eq!(document["exactness"]["kind"], "identical", "{}", fixture.label());
        for tensor in document["tensors"].as_array().unwrap() {
            let (from, to) = (tensor["from"].as_str().unwrap(), tensor["to"].as_str().unwrap());
            assert!(from.replace("_orig_mod.", "").ends_with(to), "{}: {tensor}", fixture.label());
            assert_eq!(tensor["transforms"].as_array().unwrap().len(), 0, "{}: {tensor}", fixture.label());
            assert!(to == "conv1.weight" || !to.ends_with(".conv1.weight") || to.starts_with("layer"), "{to}");
        }
        let bytes = fs::read(folder.path().join("out.safetensors")).unwrap();
        let header = String::from_utf8_lossy(&bytes[8..512]).into_owned();
        assert!(header.contains(r#""format":"pt""#) && !header.contains("residua.graph"), "{header}");
    }
}

#[test]
fn what_a_layout_cannot_hold_is_refused_with_every_reason() {
    // A network of each kind, and a layout that cannot hold it.
    let refused = [
        ("v1", "huggingface/resnet26v1", "folder", "torchvision"),
        ("thin", "torchvision/resnet50", "pth", "candle"),
        ("bit", "timm/resnetv2_14_bit", "pth", "torchvision"),
        ("gates", "timm/seresnet18", "safetensors", "torchvision"),
        ("option_a", "zoo/resnet20_a", "th", "huggingface"),
        ("wide", "torchvision/wide_resnet50", "pth", "huggingface"),
        ("groups", "torchvision/resnext50", "pth", "keras"),
    ];
    for (kind, file, encoding, layout) in refused {
        let (folder, model) = alone(&format!("{file}.{encoding}"));
        let said = transcript(folder.path(), &["convert", &model, "out/", "--layout", layout, "--quiet"]);
        assert_snapshot!(format!("refused_{kind}"), said);
        assert_eq!(names(folder.path()), [model], "{kind}: nothing is left");
    }
    for (kind, label, layout) in
        [("keras_v2", "thin/thin50v2.k3.keras", "timm"), ("scaling", "digits/digits.k3.keras", "akamaster")]
    {
        let folder = tempfile::tempdir().unwrap();
        let model = copied(residua_tests::fixture(label), folder.path());
        let said = transcript(folder.path(), &["convert", &model, "out.safetensors", "--layout", layout]);
        assert_snapshot!(format!("refused_{kind}"), said);
    }
}

#[test]
fn a_layout_that_is_not_there_gets_a_suggestion() {
    let (folder, model) = alone("torchvision/resnet18.pth");
    let args = ["convert", model.as_str(), "out.safetensors", "--layout", "torchvison"];
    let done = residua(folder.path(), &args);
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("'torchvision'"));
    let folding = residua(folder.path(), &["convert", &model, "out.safetensors", "--layout", "timm", "--fold-bn"]);
    assert_eq!(folding.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&folding.stderr).contains("--fold-bn"));
}

#[test]
fn hugging_face_gets_its_configuration_beside_the_weights_and_no_other_is_replaced() {
    let (folder, model) = alone("torchvision/resnet50.pth");
    let here = folder.path();
    let convert = |args: &[&str]| residua(here, &[&["convert", &model], args].concat()).status.code();
    assert_eq!(convert(&["new/", "--layout", "huggingface"]), Some(0));
    assert_eq!(names(&here.join("new")), ["config.json", "model.safetensors"]);
    let config: Value = serde_json::from_slice(&fs::read(here.join("new/config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "ResNetForImageClassification");
    assert_eq!((&config["layer_type"], &config["downsample_in_bottleneck"]), (&"bottleneck".into(), &false.into()));
    assert_eq!(config["id2label"].as_object().unwrap().len(), config["label2id"].as_object().unwrap().len());
    // Once more over the same is fine; over another's configuration it is not.
    assert_eq!(convert(&["new/", "--layout", "huggingface"]), Some(0));
    fs::create_dir(here.join("other")).unwrap();
    fs::write(here.join("other/config.json"), r#"{"model_type": "bert"}"#).unwrap();
    assert_eq!(convert(&["other/", "--layout", "huggingface"]), Some(2));
    assert_eq!(names(&here.join("other")), ["config.json"]);
    assert_eq!(fs::read_to_string(here.join("other/config.json")).unwrap(), r#"{"model_type": "bert"}"#);
}

#[test]
fn timm_gets_its_configuration_beside_weights_that_it_looks_for() {
    let (folder, model) = alone("timm/resnet26d.pth");
    let here = folder.path();
    let convert = |to: &str| {
        let done = residua(here, &["convert", &model, to, "--layout", "timm"]);
        assert_eq!(done.status.code(), Some(0), "{to}: {}", String::from_utf8_lossy(&done.stderr));
    };
    convert("new/");
    assert_eq!(names(&here.join("new")), ["config.json", "model.safetensors"]);
    let config: Value = serde_json::from_slice(&fs::read(here.join("new/config.json")).unwrap()).unwrap();
    let args = serde_json::json!({
        "layers": [2, 2, 2, 2], "channels": [2, 4, 8, 16], "stem_type": "deep", "stem_width": 2, "avg_down": true,
    });
    assert_eq!((&config["architecture"], &config["model_args"]), (&"resnet50".into(), &args));
    assert_eq!(config["num_classes"], 7);
    // Nothing is stated of images, and nothing is made up.
    let pretrained = serde_json::json!({ "first_conv": "conv1.0", "classifier": "fc" });
    assert_eq!(config["pretrained_cfg"], pretrained);
    // Under another name timm would not find the weights.
    fs::create_dir(here.join("other")).unwrap();
    convert("other/mine.safetensors");
    assert_eq!(names(&here.join("other")), ["mine.safetensors"]);
}

#[test]
fn what_timm_s_code_cannot_be_told_to_build_has_no_configuration_and_a_note() {
    let (folder, model) = alone("torchvision/resnet18.pth");
    let done = residua(folder.path(), &["convert", &model, "new/", "--layout", "timm"]);
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(names(&folder.path().join("new")), ["model.safetensors"]);
    assert!(
        said.contains("config.json is not written") && said.contains("channels behind its stem and not 64"),
        "{said}"
    );
}

#[test]
fn a_v1_network_is_v1_in_hugging_faces_configuration() {
    let (folder, model) = alone("zoo/d2_resnet50.pth");
    let args = ["convert", &model, "out/", "--layout", "huggingface", "--no-verify"];
    assert_snapshot!("huggingface_v1", transcript(folder.path(), &args));
    let config = fs::read_to_string(folder.path().join("out/config.json")).unwrap();
    assert!(config.contains(r#""downsample_in_bottleneck": true"#), "{config}");
}

/// Gives the f32 elements of a safetensors file all their digits; those of the fixtures have few.
fn with_all_digits(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let start = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    for element in bytes[start..].chunks_exact_mut(4) {
        element[0] |= 0x35;
        element[1] |= 0x12;
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn weights_are_rounded_in_any_layout_and_proved_as_the_rounded_source() {
    let bit = tempfile::tempdir().unwrap();
    let bit_model = copied(checkpoint("huggingface/bit14.folder"), bit.path());
    with_all_digits(&bit.path().join(&bit_model).join("model.safetensors"));
    let (v1, v1_model) = alone("zoo/d2_resnet50.pth");
    let v2 = tempfile::tempdir().unwrap();
    let v2_model = copied(residua_tests::fixture("thin/thin50v2.k3.keras"), v2.path());
    // Kernels that are standardised when they are read; variances that are computed; neither.
    for (folder, model, layout) in [
        (bit.path(), bit_model, "huggingface"),
        (v1.path(), v1_model, "keras"),
        (v2.path(), v2_model, "keras-applications"),
    ] {
        let (document, status) = json(folder, &["convert", &model, "out/", "--layout", layout, "--dtype", "bf16"]);
        assert_eq!((status, document["verification"]["verdict"].as_str()), (0, Some("same")), "{model}: {document}");
        // The fixture of v1 has weights of so few digits that rounding costs it nothing.
        let cost = document["verification"]["rounding"]["max_abs"].as_f64().unwrap();
        assert_eq!(cost > 0.0, layout != "keras", "{model}: {cost}");
        let mut tensors = document["tensors"].as_array().unwrap().iter();
        assert!(tensors.all(|tensor| tensor["dtype"] == "bf16"), "{model}");
    }
}

#[test]
fn what_names_leave_open_can_be_said_and_means_nothing_where_the_file_says_it() {
    let (folder, model) = alone("torchvision/resnet50.pth");
    let here = folder.path();
    let (document, _) = json(here, &["inspect", &model, "--variant", "v1", "--epsilon", "0.001"]);
    let strided = document["blocks"].as_array().unwrap().iter().filter(|block| block["stride"] == 2);
    assert!(strided.into_iter().all(|block| block["stride_on"] == 1 || block["stride_on"] == "conv1"), "{document}");
    assert_eq!(residua(here, &["convert", &model, "model.onnx", "--variant", "v1"]).status.code(), Some(0));
    assert_eq!(residua(here, &["compare", &model, "model.onnx", "--variant", "v1"]).status.code(), Some(0));
    assert_eq!(residua(here, &["compare", &model, "model.onnx"]).status.code(), Some(1));
    assert_snapshot!("option_without_effect", transcript(here, &["inspect", "model.onnx", "--variant", "v1"]));
}

#[test]
fn a_softmax_on_one_side_only_is_a_difference_unless_it_is_left_out_of_account() {
    let (folder, model) = alone("zoo/d2_resnet50.pth");
    let here = folder.path();
    assert_eq!(residua(here, &["convert", &model, "keras/", "--layout", "keras"]).status.code(), Some(0));
    let (document, status) = json(here, &["compare", &model, "keras/model.safetensors"]);
    assert_eq!(status, 1);
    assert!(document["reason"].as_str().unwrap().contains("--before-softmax"), "{document}");
    let (document, status) = json(here, &["compare", &model, "keras/model.safetensors", "--before-softmax"]);
    assert_eq!(status, 0, "{document}");
}

#[test]
fn what_a_pickle_would_have_called_is_named_and_not_called() {
    let (folder, model) = alone("containers/net.malice.pth");
    let (document, status) = json(folder.path(), &["inspect", &model]);
    assert_eq!(status, 0);
    assert!(!document["dangers"].as_array().unwrap().is_empty());
    let said = transcript(folder.path(), &["inspect", &model]);
    let security: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("security")).take(1).collect();
    assert_eq!(security.len(), 1, "{said}");
    let done = residua(folder.path(), &["convert", &model, "out.onnx"]);
    assert!(String::from_utf8_lossy(&done.stderr).contains("warning:"));
    assert_eq!(names(folder.path()), [model.as_str(), "out.onnx"]);
}

#[test]
fn layouts_are_listed_with_what_each_can_hold_and_how_or_why_not() {
    let (folder, model) = alone("torchvision/resnet18_gray.pth");
    assert_snapshot!("layouts_of_gray", transcript(folder.path(), &["layouts", &model]));
    let (document, status) = json(folder.path(), &["layouts", &model]);
    assert_eq!((status, document["schema"].as_str()), (0, Some("residua.layouts/1")));
    let named =
        |name: &str| document["layouts"].as_array().unwrap().iter().find(|layout| layout["name"] == name).unwrap();
    assert_eq!(named("timm")["settings"][1], "create it with in_chans=1");
    let reasons = named("burn")["reasons"].as_array().unwrap();
    assert!(
        reasons.iter().any(|reason| reason == "its images have 1 channel, the layout's code takes 3"),
        "{reasons:?}"
    );
}

#[test]
fn a_configuration_that_lies_elsewhere_says_what_weights_leave_open() {
    let (folder, model) = alone("huggingface/resnet14_strided.folder");
    let here = folder.path();
    fs::rename(here.join(&model).join("model.safetensors"), here.join("weights.safetensors")).unwrap();
    fs::rename(here.join(&model).join("config.json"), here.join("its.json")).unwrap();
    let golden = checkpoint("huggingface/resnet14_strided.folder").golden.as_ref().unwrap().to_str().unwrap();
    let check = |more: &[&str]| residua(here, &[&["check", "weights.safetensors", "--golden", golden], more].concat());
    let alone = check(&[]);
    assert_eq!(alone.status.code(), Some(1));
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(said.contains("strides 1, 2, 2, 2 in the stages") && said.contains("--hf-config)"), "{said}");
    assert_eq!(check(&["--hf-config", "its.json"]).status.code(), Some(0));
    assert_eq!(check(&["--hf-config", "none.json"]).status.code(), Some(2));
}

#[test]
fn code_that_no_file_holds_is_named_and_what_stands_for_it_too() {
    for (label, parts) in [
        (
            "modules/wrapped.pt",
            ["stripped from the names of tensors: `backbone.`", "`__main__.Wrapped` joins its modules"],
        ),
        ("modules/window.pt", ["the mean over all pixels for `avgpool`, which takes 2x2", "layout of torchvision"]),
        ("modules/silu.pt", ["7 classes", "layout of timm (timm's ResNet)"]),
    ] {
        let (folder, model) = alone(label);
        let said = String::from_utf8_lossy(&residua(folder.path(), &["check", &model]).stderr).into_owned();
        assert!(parts.iter().all(|part| said.contains(part)), "{label}: {said}");
    }
}
