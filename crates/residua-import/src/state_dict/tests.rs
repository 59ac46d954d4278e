//! Wrappers, choices and refusals, over networks made of nothing but names and shapes.

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{DType, Tensor};
use residua_resnet::recognise::Given;

use super::choose;
use super::prefix::Asked;

/// Names and shapes of a thin ResNet-18 as torchvision has them.
fn resnet18(prefix: &str) -> Vec<NamedTensor> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let conv = |all: &mut Vec<_>, name: String, o: usize, i: usize, k: usize| {
        all.push((format!("{name}.weight"), vec![o, i, k, k]))
    };
    let norm = |all: &mut Vec<(String, Vec<usize>)>, name: String, c: usize| {
        for field in ["weight", "bias", "running_mean", "running_var"] {
            all.push((format!("{name}.{field}"), vec![c]));
        }
        all.push((format!("{name}.num_batches_tracked"), Vec::new()));
    };
    conv(&mut all, "conv1".to_owned(), 4, 3, 7);
    norm(&mut all, "bn1".to_owned(), 4);
    for stage in 0..4usize {
        for block in 0..2usize {
            let (width, at) = (4 << stage, format!("layer{}.{block}", stage + 1));
            let takes = if stage > 0 && block == 0 { width / 2 } else { width };
            conv(&mut all, format!("{at}.conv1"), width, takes, 3);
            norm(&mut all, format!("{at}.bn1"), width);
            conv(&mut all, format!("{at}.conv2"), width, width, 3);
            norm(&mut all, format!("{at}.bn2"), width);
            if takes != width {
                conv(&mut all, format!("{at}.downsample.0"), width, takes, 1);
                norm(&mut all, format!("{at}.downsample.1"), width);
            }
        }
    }
    all.into_iter().map(|(name, shape)| tensor(&format!("{prefix}{name}"), shape)).collect()
}

fn tensor(name: &str, shape: Vec<usize>) -> NamedTensor {
    let tensor = Tensor::filled(DType::F32, shape, 1.0).unwrap();
    NamedTensor { name: name.to_owned(), location: format!("at {name}"), tensor }
}

fn classifier(name: &str) -> Vec<NamedTensor> {
    vec![tensor(&format!("{name}.weight"), vec![7, 32]), tensor(&format!("{name}.bias"), vec![7])]
}

fn dict(path: &str, parts: Vec<Vec<NamedTensor>>) -> StateDict {
    StateDict { path: path.to_owned(), tensors: parts.into_iter().flatten().collect(), modules: Vec::new() }
}

/// Classes of the network, its notes and unused tensors; or the error.
fn read(dicts: &[StateDict], which: Option<&str>) -> Result<(Option<usize>, String, usize), String> {
    read_from(dicts, which, None)
}

/// As [`read`], where the head begins at a module.
fn read_from(
    dicts: &[StateDict],
    which: Option<&str>,
    head_from: Option<&str>,
) -> Result<(Option<usize>, String, usize), String> {
    let given = Given::default();
    let asked = Asked { given: &given, head_from, unused: &[], dangers: &[] };
    let network = choose::network(dicts, which, &asked).map_err(|error| error.to_string())?;
    let head = network.recognised.recipe.head.as_ref();
    let classes = head.and_then(|head| head.classifier.as_ref()).map(|classifier| classifier.classes);
    Ok((classes, network.notes.join("; "), network.unused.len()))
}

#[test]
fn wrappers_are_stripped_and_reported() {
    for (prefix, head) in [
        ("", "fc"),
        ("module.", "module.fc"),
        ("module.module.", "module.module.fc"),
        ("_orig_mod.", "_orig_mod.fc"),
        ("module._orig_mod.", "module._orig_mod.fc"),
        ("model.backbone.", "model.head"),
        ("backbone.", "fc"),
        ("net.encoder.", "net.classifier.1"),
        ("model.", "model.fc.1"),
    ] {
        let dicts = [dict("", vec![resnet18(prefix), classifier(head)])];
        let (classes, notes, _) = read(&dicts, None).unwrap_or_else(|e| panic!("{prefix}: {e}"));
        assert_eq!(classes, Some(7), "{prefix}");
        assert_eq!(notes.contains("stripped"), !prefix.is_empty(), "{prefix}: {notes}");
    }
}

#[test]
fn a_network_without_classifier_is_one_too() {
    assert_eq!(read(&[dict("", vec![resnet18("encoder.")])], None).unwrap().0, None);
}

#[test]
fn of_versions_of_a_network_the_averaged_one_is_taken_and_any_can_be_asked_for() {
    let version = |path: &str| dict(path, vec![resnet18(""), classifier("fc")]);
    let dicts = [version("state_dict"), version("state_dict_ema")];
    let (_, notes, unused) = read(&dicts, None).unwrap();
    assert!(notes.contains("taken: `state_dict_ema`") && notes.contains("`state_dict`"), "{notes}");
    assert_eq!(unused, dicts[0].tensors.len());
    let (_, notes, _) = read(&dicts, Some("state_dict")).unwrap();
    assert!(notes.contains("taken: `state_dict` "), "{notes}");
    assert!(read(&dicts, Some("elsewhere")).unwrap_err().contains("nothing in the file is called that"));
}

#[test]
fn networks_that_are_not_versions_of_each_other_have_to_be_asked_for() {
    let dicts = [dict("teacher", vec![resnet18(""), classifier("fc")]), dict("student", vec![resnet18("")])];
    assert!(read(&dicts, None).unwrap_err().contains("--which"));
    assert_eq!(read(&dicts, Some("student")).unwrap().0, None);
    let both = [dict("state_dict", vec![resnet18("encoder_q."), resnet18("encoder_k.")])];
    let error = read(&both, None).unwrap_err();
    assert!(error.contains("--which encoder_"), "{error}");
    let (_, notes, unused) = read(&both, Some("encoder_q")).unwrap();
    assert!(notes.contains("`encoder_q`"), "{notes}");
    assert_eq!(unused, resnet18("").len());
}

#[test]
fn tensors_outside_of_the_network_are_not_dropped_in_silence() {
    let extra = vec![tensor("rpn.conv.weight", vec![8, 32, 3, 3]), tensor("rpn.conv.bias", vec![8])];
    let dicts = [dict("", vec![resnet18("backbone.body."), extra])];
    let error = read(&dicts, None).unwrap_err();
    assert!(error.contains("`rpn.conv.weight`") && error.contains("--which backbone.body"), "{error}");
    assert_eq!(read(&dicts, Some("backbone.body")).unwrap().2, 2);
}

#[test]
fn what_is_no_residual_network_is_refused_with_what_was_tried() {
    let vgg = vec![tensor("features.0.weight", vec![64, 3, 3, 3]), tensor("classifier.0.weight", vec![10, 64])];
    let error = read(&[dict("", vec![vgg])], None).unwrap_err();
    assert!(error.contains("`features.0.weight`") && error.contains("no residual network"), "{error}");
    let mut broken = resnet18("");
    broken.retain(|tensor| tensor.name != "layer3.1.conv2.weight");
    let error = read(&[dict("", vec![broken])], None).unwrap_err();
    assert!(error.contains("`layer3.1.conv2.weight` is missing"), "{error}");
}
