//! Wrappers, choices and refusals, over networks made of nothing but names and shapes.

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{DType, Tensor};
use residua_resnet::recognise::Given;

use super::choose;
use super::network::Asked;

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
    assert!(read(&dicts, None).unwrap_err().contains("give which "));
    assert_eq!(read(&dicts, Some("student")).unwrap().0, None);
    let both = [dict("state_dict", vec![resnet18("encoder_q."), resnet18("encoder_k.")])];
    let error = read(&both, None).unwrap_err();
    assert!(error.contains("which encoder_"), "{error}");
    let (_, notes, unused) = read(&both, Some("encoder_q")).unwrap();
    assert!(notes.contains("`encoder_q`"), "{notes}");
    assert_eq!(unused, resnet18("").len());
}

#[test]
fn tensors_outside_of_the_network_are_not_dropped_in_silence() {
    let extra = vec![tensor("rpn.conv.weight", vec![8, 32, 3, 3]), tensor("rpn.conv.bias", vec![8])];
    let dicts = [dict("", vec![resnet18("backbone.body."), extra])];
    let error = read(&dicts, None).unwrap_err();
    assert!(error.contains("`rpn.conv.weight`") && error.contains("which backbone.body"), "{error}");
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

/// Axes of what a network gives, and the notes.
fn gives(tensors: Vec<Vec<NamedTensor>>, which: Option<&str>) -> (usize, String) {
    let checkpoint = super::Checkpoint {
        state_dicts: vec![dict("", tensors)],
        source: residua_ir::Source::default(),
        unused: Vec::new(),
        config: None,
    };
    let options = crate::LoadOptions { which: which.map(str::to_owned), ..crate::LoadOptions::default() };
    let graph = super::network(checkpoint, "network", &options).unwrap();
    let notes = graph.source().notes.join("\n");
    let checked = residua_ir::validate(graph).unwrap();
    let output = checked.graph().outputs()[0];
    (checked.shape_of(output).unwrap().dims().len(), notes)
}

#[test]
fn what_is_read_of_a_network_tells_map_or_mean_whatever_its_module_is_called() {
    for name in ["backbone", "base", "encoder", "body.trunk", "module.backbone", "module.net"] {
        let network = || resnet18(&format!("{name}."));
        let above = name.rsplit_once('.').map_or(String::new(), |(above, _)| format!("{above}."));
        let matrix = |path: &str, o: usize, i: usize| vec![tensor(&format!("{path}.weight"), vec![o, i])];
        let neck: Vec<NamedTensor> = ["weight", "bias", "running_mean", "running_var"]
            .map(|field| tensor(&format!("{above}neck.{field}"), vec![32]))
            .into();
        let (rank, notes) = gives(vec![network(), neck, matrix(&format!("{above}fc"), 7, 32)], None);
        assert_eq!(rank, 2, "{name}: {notes}");
        assert!(notes.contains("neck` takes (pooling)"), "{name}: {notes}");
        // In the network's own module.
        let inside = [matrix(&format!("{name}.fc.0"), 16, 32), matrix(&format!("{name}.fc.2"), 8, 16)].concat();
        let (rank, notes) = gives(vec![network(), inside], None);
        assert_eq!(rank, 2, "{name}: {notes}");
        // Convolutions on the last map alone.
        let decoder = vec![tensor(&format!("{above}decode.0.weight"), vec![8, 32, 3, 3])];
        let (rank, notes) = gives(vec![network(), decoder], Some(name));
        assert_eq!(rank, 4, "{name}: {notes}");
        assert!(notes.contains("decode` reads (pooling)"), "{name}: {notes}");
    }
}

#[test]
fn matrices_and_pyramids_do_not_tell_map_from_mean() {
    let pyramid: Vec<NamedTensor> =
        (0..4usize).map(|stage| tensor(&format!("fpn.inner.{stage}.weight"), vec![8, 4 << stage, 1, 1])).collect();
    let (rank, notes) = gives(vec![resnet18("body."), pyramid], Some("body"));
    assert_eq!(rank, 2, "{notes}");
    assert!(notes.contains("the network gives the mean of the last map (pooling)"), "{notes}");
    let matrix = vec![tensor("head.weight", vec![8, 32]), tensor("head.2.weight", vec![4, 8])];
    let (_, notes) = gives(vec![resnet18("body."), matrix], None);
    assert!(notes.contains("the network gives the mean of the last map (pooling)"), "{notes}");
}

/// Names and shapes of a thin ResNet-14 of bottlenecks, one a stage.
fn bottlenecks(prefix: &str) -> Vec<NamedTensor> {
    let mut all = Vec::new();
    let mut conv = |name: &str, norm: &str, shape: [usize; 4]| {
        all.push(tensor(&format!("{prefix}{name}.weight"), shape.to_vec()));
        for field in ["weight", "bias", "running_mean", "running_var"] {
            all.push(tensor(&format!("{prefix}{norm}.{field}"), vec![shape[0]]));
        }
    };
    conv("conv1", "bn1", [4, 3, 7, 7]);
    let mut takes = 4;
    for stage in 0..4usize {
        let (width, at) = (4 << stage, format!("layer{}.0", stage + 1));
        conv(&format!("{at}.conv1"), &format!("{at}.bn1"), [width, takes, 1, 1]);
        conv(&format!("{at}.conv2"), &format!("{at}.bn2"), [width, width, 3, 3]);
        conv(&format!("{at}.conv3"), &format!("{at}.bn3"), [4 * width, width, 1, 1]);
        conv(&format!("{at}.downsample.0"), &format!("{at}.downsample.1"), [4 * width, takes, 1, 1]);
        takes = 4 * width;
    }
    all
}

#[test]
fn names_of_segmentation_networks_tell_that_their_bodies_are_dilated() {
    let head = |name: &str| {
        let first = tensor(&format!("classifier.0.{name}"), vec![8, 128, 3, 3]);
        vec![first, tensor("classifier.4.weight", vec![5, 8, 1, 1])]
    };
    for (name, which) in [("convs.0.0.weight", "DeepLab"), ("weight", "FCN")] {
        let (rank, notes) = gives(vec![bottlenecks("backbone."), head(name)], Some("backbone"));
        assert_eq!(rank, 4, "{notes}");
        let said = format!("stride 1 and dilation in stages 3 and 4, as torchvision's {which} always has them");
        assert!(notes.contains(&said) && notes.contains("output_stride"), "{which}: {notes}");
    }
    // A name that neither of them has.
    let other = vec![
        tensor("classifier.0.project.weight", vec![8, 128, 3, 3]),
        tensor("classifier.4.weight", vec![5, 8, 1, 1]),
    ];
    let (_, notes) = gives(vec![bottlenecks("backbone."), other], Some("backbone"));
    assert!(notes.contains("strides 1, 2, 2, 2 in the stages, without dilation"), "{notes}");
}
