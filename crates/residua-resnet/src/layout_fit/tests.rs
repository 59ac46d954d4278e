//! Networks of every library, in the layouts of all others.

use residua_ir::{Checked, DType, Graph, GraphError, Tensor, validate};

use super::*;
use crate::form::StageForm;
use crate::layouts::MODEL_LIBRARIES;
use crate::recipe::PoolEdge;
use crate::recognise::{Entry, Given, recognise};

/// The form of a name with its widths divided.
fn thin(name: &str, by: usize) -> Form {
    let form = Form::named(name).remove(0);
    let stage = |stage: &StageForm| StageForm { width: stage.width / by, outputs: stage.outputs / by, ..*stage };
    Form { stem_width: form.stem_width / by, stages: form.stages.iter().map(stage).collect(), ..form }
}

fn value(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / f64::from(1 << 24)
}

/// The network of a form as a class of a library builds it, its tensors filled.
fn network(library: &str, form: &Form) -> Checked {
    let library = ModelLibrary::named(library).unwrap();
    let class = library.model_classes.iter().find(|class| class.settings(form, 1).is_ok());
    let class = class.unwrap_or_else(|| panic!("no class of {} builds {form:?}", library.name));
    network_of(class, form, class.conventions.clone())
}

fn network_of(class: &ModelClass, form: &Form, conventions: Conventions) -> Checked {
    let classifier =
        Some(Classifier { classes: 5, softmax: class.softmax, bias: true, as_conv: class.classifier_as_conv });
    let norms = if form.group_norm { Norms::Group(32) } else { conventions.norms };
    let recipe = Recipe {
        name: "net".to_owned(),
        form: form.clone(),
        sizes: Sizes {
            deep_stem: [form.stem_width / 2; 2],
            gates: if form.squeeze_excite { vec![2; form.stages.len()] } else { Vec::new() },
        },
        input: Input { channels: 3, size: None },
        head: Some(Head::new(HeadPool::Global, classifier)),
        conventions: Conventions { norms, ..conventions },
        names: Vec::new(),
        pace: Default::default(),
        own: BTreeMap::new(),
    };
    let mut count = 0;
    let graph: Graph = recipe
        .build::<GraphError>(Default::default(), Vec::new(), &mut |wanted| {
            count += 1;
            let len: usize = wanted.shape.iter().product();
            let shift = if wanted.slot.field == Field::Variance { 0.5 } else { -0.25 };
            let values: Vec<f32> = (0..len as u64).map(|i| (value(count * 7919 + i) + shift) as f32).collect();
            let name = wanted.slot.to_string();
            Ok(Bound {
                tensor: Tensor::from_f32(wanted.shape.to_vec(), &values).unwrap(),
                location: name.clone(),
                name,
            })
        })
        .unwrap();
    validate(graph).unwrap()
}

fn fitted(model: &Checked, library: &str) -> Result<Fitted, Vec<String>> {
    fit_layout(model, &analyse(model), ModelLibrary::named(library).unwrap())
}

/// Every network here, and the libraries that it fits.
const NETWORKS: [(&str, &str, usize, &[&str]); 14] = [
    ("torchvision", "resnet18", 16, &["torchvision", "timm", "huggingface", "mmpretrain", "detectron2", "sequential"]),
    ("torchvision", "resnet50", 16, &["torchvision", "timm", "huggingface", "mmpretrain", "detectron2", "sequential"]),
    ("torchvision", "resnext50_32x4d", 2, &["torchvision", "timm", "mmpretrain", "detectron2", "sequential"]),
    ("timm", "wide_resnet50_2", 16, &["torchvision", "timm", "mmpretrain", "detectron2", "sequential"]),
    ("timm", "resnet50d", 16, &["timm", "mmpretrain"]),
    ("timm", "seresnet50", 16, &["timm"]),
    ("timm", "resnet50_gn", 2, &["timm"]),
    ("timm", "resnetv2_50", 16, &["timm"]),
    ("detectron2", "resnet50v1", 16, &["huggingface", "keras-applications", "mmpretrain", "detectron2"]),
    ("keras-applications", "resnet50v1", 16, &["huggingface", "keras-applications", "mmpretrain", "detectron2"]),
    ("keras-applications", "resnet50v2", 16, &["keras-applications"]),
    ("akamaster", "resnet20_cifar", 4, &["akamaster"]),
    (
        "torchvision",
        "resnet18",
        1,
        &["torchvision", "timm", "huggingface", "mmpretrain", "detectron2", "candle", "burn", "sequential"],
    ),
    ("mmpretrain", "resnet34", 16, &["torchvision", "timm", "huggingface", "mmpretrain", "detectron2", "sequential"]),
];

#[test]
fn what_a_zoo_holds_is_told_from_its_names_and_shapes_as_the_same_network() {
    for (from, name, by, expected) in NETWORKS {
        let model = network(from, &thin(name, by));
        let form = Form::observed(&analyse(&model)).unwrap();
        let mut holds = Vec::new();
        for library in MODEL_LIBRARIES {
            let Ok(fitted) = fitted(&model, library.name) else { continue };
            holds.push(library.name);
            let entry =
                |placed: &FittedTensor| Entry { name: placed.name.clone(), shape: placed.tensor.shape().to_vec() };
            let entries: Vec<Entry> = fitted.tensors.iter().map(entry).collect();
            let stride_on =
                fitted.hints().iter().find(|(key, _)| *key == "residua.stride_on").map(|(_, n)| n.parse().unwrap());
            // Where the stride is stands in config.json.
            let stride_on = if library.name == "huggingface" { Some(form.stride_on) } else { stride_on };
            let given = Given { library: Some(library), stride_on: stride_on.filter(|n| *n > 0), ..Given::default() };
            let again =
                recognise(&entries, &given).unwrap_or_else(|e| panic!("{from} {name} in {}: {e:?}", library.name));
            assert_eq!(again.recipe.form, form, "{from} {name} in {}", library.name);
            assert_eq!(again.slots.len(), entries.len());
        }
        for library in expected {
            assert!(
                holds.contains(library),
                "{library} does not hold {from}'s {name}: {:?}",
                fitted(&model, library).unwrap_err()
            );
        }
        assert_eq!(holds.len(), expected.len(), "{from}'s {name} is held by {holds:?}");
    }
}

#[test]
fn what_a_zoo_cannot_hold_is_refused_with_the_reason() {
    for (from, name, by, to, reason) in [
        ("detectron2", "resnet50v1", 16, "torchvision", "stride on the first 1x1"),
        ("torchvision", "resnet50", 16, "keras-applications", "stride on the 3x3"),
        ("keras-applications", "resnet50v2", 16, "torchvision", "pre-activated"),
        ("keras-applications", "resnet50v2", 16, "timm", "last block of a stage"),
        ("timm", "resnetv2_50", 16, "keras-applications", "first block of a stage"),
        ("torchvision", "resnet18", 16, "keras-applications", "basic"),
        ("torchvision", "resnet18", 16, "candle", "standard sizes"),
        ("torchvision", "resnext50_32x4d", 2, "huggingface", "32 groups"),
        ("timm", "resnet50d", 16, "torchvision", "three 3x3"),
        ("timm", "seresnet50", 16, "torchvision", "squeeze-and-excite"),
        ("timm", "resnet50_gn", 2, "torchvision", "group norms"),
        ("akamaster", "resnet20_cifar", 4, "torchvision", "option A"),
    ] {
        let model = network(from, &thin(name, by));
        let reasons = fitted(&model, to).unwrap_err();
        assert!(reasons.iter().any(|text| text.contains(reason)), "{name} to {to}: {reasons:?}");
    }
}

fn placed<'h>(fitted: &'h Fitted, name: &str) -> &'h FittedTensor {
    fitted.tensors.iter().find(|placed| placed.name == name).unwrap()
}

#[test]
fn biases_go_into_means_and_epsilons_into_variances() {
    let model = network("keras-applications", &thin("resnet50v1", 16));
    let graph = model.graph();
    let values = |name: &str| {
        let parameter = graph.parameters().iter().find(|parameter| parameter.name == name).unwrap();
        parameter.tensor.to_f64().unwrap()
    };
    let fitted = fitted(&model, "huggingface").unwrap();
    assert!(fitted.is_computed());
    let prefix = "resnet.encoder.stages.1.layers.0.layer.1.normalization";
    let mean = placed(&fitted, &format!("{prefix}.running_mean"));
    let (own, bias) = (values("stages.1.blocks.0.norm2.mean"), values("stages.1.blocks.0.conv2.bias"));
    for ((moved, own), bias) in mean.tensor.to_f64().unwrap().iter().zip(own).zip(bias) {
        assert!((moved - (own - bias)).abs() < 1e-7);
    }
    assert_eq!(mean.from.len(), 2);
    let variance = placed(&fitted, &format!("{prefix}.running_var"));
    for (moved, own) in variance.tensor.to_f64().unwrap().iter().zip(values("stages.1.blocks.0.norm2.variance")) {
        assert!((moved - (own + 1.001e-5 - 1e-5)).abs() < 1e-7, "{moved} {own}");
    }
    let kernel = placed(&fitted, "resnet.encoder.stages.1.layers.0.layer.1.convolution.weight");
    assert!(kernel.moves.is_empty());
    // And back: biases that the source does not have are 0.
    let model = network("detectron2", &thin("resnet50v1", 16));
    let fitted = fit_layout(&model, &analyse(&model), ModelLibrary::named("keras-applications").unwrap()).unwrap();
    let bias = placed(&fitted, "conv2_block1_1_conv/bias");
    assert_eq!(bias.tensor.to_f64().unwrap(), vec![0.0; 4]);
    assert_eq!(placed(&fitted, "conv2_block1_2_conv/kernel").tensor.shape(), [3, 3, 4, 4]);
    assert_eq!(placed(&fitted, "predictions/kernel").tensor.shape(), [128, 5]);
}

#[test]
fn a_variance_that_would_become_negative_gives_the_difference_to_the_factor() {
    // From a small epsilon to a large one, over variances near 0.
    let class = ModelLibrary::named("detectron2").unwrap().model_classes[0];
    let form = thin("resnet50v1", 16);
    let conventions = Conventions { epsilon: 1e-9, ..class.conventions.clone() };
    let model = network_of(class, &form, conventions);
    let tiny = |parameter: &residua_ir::Parameter| {
        let is_variance = parameter.name.raw().ends_with(".variance");
        let tensor = &parameter.tensor;
        Ok::<_, TensorError>(if is_variance {
            Tensor::filled(DType::F32, tensor.shape().to_vec(), 1e-6)?
        } else {
            tensor.clone()
        })
    };
    let model = validate(model.into_graph().map_tensors(tiny).unwrap()).unwrap();
    let fitted = fitted(&model, "detectron2").unwrap();
    let own = |name: &str| {
        let parameter = model.graph().parameters().iter().find(|parameter| parameter.name == name).unwrap();
        parameter.tensor.to_f64().unwrap()
    };
    let scales = placed(&fitted, "res2.0.conv1.norm.weight").tensor.to_f64().unwrap();
    let variances = placed(&fitted, "res2.0.conv1.norm.running_var").tensor.to_f64().unwrap();
    for ((scale, variance), own) in scales.iter().zip(variances).zip(own("stages.0.blocks.0.norm1.scale")) {
        let (before, after) = (own / (1e-6f64 + 1e-9).sqrt(), scale / (variance + 1e-5).sqrt());
        assert!((before - after).abs() <= 1e-6 * before.abs(), "{before} {after}");
    }
}

#[test]
fn a_pool_over_signed_values_with_zeros_at_the_edge_is_no_other_pool() {
    let class = ModelLibrary::named("timm")
        .unwrap()
        .model_classes
        .iter()
        .find(|class| class.describe.contains("pre-activated"))
        .unwrap();
    let form = thin("resnetv2_50", 16);
    let zeros = Conventions { pool_edge: PoolEdge::Zeros, ..class.conventions.clone() };
    let reasons = fitted(&network_of(class, &form, zeros), "timm").unwrap_err();
    assert!(reasons.iter().any(|text| text.contains("they differ at the edges")), "{reasons:?}");
    // Behind a ReLU they are the same.
    let class = ModelLibrary::named("torchvision").unwrap().model_classes[0];
    let zeros = Conventions { pool_edge: PoolEdge::Zeros, ..class.conventions.clone() };
    assert!(fitted(&network_of(class, &thin("resnet18", 16), zeros), "torchvision").is_ok());
}
