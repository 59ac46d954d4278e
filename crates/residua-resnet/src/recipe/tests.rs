//! Recipes against the figures that Keras prints, and against the anatomy of what they build.

use std::sync::Arc;

use bytes::Bytes;
use residua_ir::{Checked, DType, Endian, GraphError, LazyBytes, Source, Tensor, TensorError, validate};

use super::*;
use crate::anatomy::{Anatomy, Reads, ShortcutKind};
use crate::architecture::analyse;
use crate::form::Family;

/// Elements that no test needs.
struct Nothing;

impl LazyBytes for Nothing {
    fn load(&self) -> Result<Bytes, TensorError> {
        Err(TensorError::Source("these tensors have no elements".into()))
    }
}

fn recipe(name: &str, channels: usize, size: Option<[usize; 2]>, classes: Option<usize>) -> Recipe {
    KerasModelClass::named(name, Input { channels, size }, classes).unwrap()
}

pub(super) fn built(recipe: &Recipe) -> Checked {
    let graph = recipe
        .build::<GraphError>(Source::default(), Vec::new(), &mut |wanted| {
            let tensor =
                Tensor::from_lazy(DType::F32, Endian::Little, wanted.shape.to_vec(), Arc::new(Nothing)).unwrap();
            Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
        })
        .unwrap();
    validate(graph).unwrap()
}

pub(super) fn parameters(recipe: &Recipe) -> usize {
    recipe.layers().iter().flat_map(Layer::tensors).map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

fn anatomy(name: &str, size: usize, classes: Option<usize>) -> Anatomy {
    analyse(&built(&recipe(name, 3, Some([size; 2]), classes)))
}

#[test]
fn parameters_are_as_many_as_keras_counts() {
    for (name, top, notop, layers) in [
        ("resnet50v1", 25_636_712, 23_587_712, 177),
        ("resnet101v1", 44_707_176, 42_658_176, 347),
        ("resnet152v1", 60_419_944, 58_370_944, 517),
        ("resnet50v2", 25_613_800, 23_564_800, 192),
        ("resnet101v2", 44_675_560, 42_626_560, 379),
        ("resnet152v2", 60_380_648, 58_331_648, 566),
    ] {
        let full = recipe(name, 3, None, Some(1000));
        assert_eq!(parameters(&full), top, "{name}");
        assert_eq!(full.layers().len(), layers, "{name}");
        assert_eq!(parameters(&recipe(name, 3, None, None)), notop, "{name} without top");
    }
    for (name, expected) in [
        ("resnet20_cifar", 274_442),
        ("resnet32_cifar", 470_218),
        ("resnet44_cifar", 665_994),
        ("resnet56_cifar", 861_770),
        ("resnet110_cifar", 1_742_762),
        ("resnet20v2_cifar", 574_090),
        ("resnet29v2_cifar", 849_002),
        ("resnet56v2_cifar", 1_673_738),
        ("resnet110v2_cifar", 3_323_210),
    ] {
        assert_eq!(parameters(&recipe(name, 3, Some([32, 32]), Some(10))), expected, "{name}");
    }
}

#[test]
fn what_a_recipe_builds_is_recognised_as_it() {
    let names = [
        "resnet50v1",
        "resnet101v1",
        "resnet152v1",
        "resnet50v2",
        "resnet101v2",
        "resnet152v2",
        "resnet20_cifar",
        "resnet32_cifar",
        "resnet44_cifar",
        "resnet56_cifar",
        "resnet110_cifar",
        "resnet20v2_cifar",
        "resnet29v2_cifar",
        "resnet56v2_cifar",
        "resnet110v2_cifar",
    ];
    for name in names {
        let size = if name.ends_with("cifar") { 32 } else { 224 };
        for classes in [Some(7), None] {
            let found = anatomy(name, size, classes);
            let architecture = found.architecture.clone().unwrap();
            assert_eq!(found.standard_name(), Some(name), "{:?}", found.is(name));
            assert!(name.contains(&architecture.depth.to_string()), "{name}: {}", architecture.depth);
            assert_eq!(found.head.classes, classes, "{name}");
            let v2 = name.contains("v2");
            assert_eq!(architecture.family, if v2 { Family::V2 } else { Family::V1 }, "{name}");
            assert!(found.blocks.iter().all(|b| (b.activation == ActivationOrder::Pre) == v2), "{name}");
            assert!(found.loose.is_empty() && found.merges == 0 && found.elsewhere == 0, "{name}");
        }
    }
}

#[test]
fn keras_v2_strides_in_the_last_block_of_a_stage_over_a_pool() {
    let found = anatomy("resnet50v2", 224, Some(1000));
    let strided: Vec<(usize, usize)> =
        found.blocks.iter().filter(|b| b.stride > 1).map(|b| (b.stage, b.index)).collect();
    assert_eq!(strided, [(0, 2), (1, 3), (2, 5)]);
    for block in &found.blocks {
        let (kind, reads) = match (block.index, block.stride) {
            (0, _) => (ShortcutKind::Projection, Reads::Preactivated),
            (_, 2) => (ShortcutKind::Pool, Reads::Raw),
            _ => (ShortcutKind::Identity, Reads::Raw),
        };
        assert_eq!((block.shortcut, block.path.reads), (kind, reads), "{}", block.name);
        assert_eq!(block.stride_on.as_deref(), (block.stride > 1).then_some("conv2"), "{}", block.name);
        assert_eq!(block.hint, Some(format!("conv{}_block{}", block.stage + 2, block.index + 1)));
    }
}

#[test]
fn layers_are_numbered_as_keras_numbers_them() {
    let nth = |name: &str, class: &str, n: usize| {
        let layers = recipe(name, 3, None, None).layers();
        layers.iter().filter(|layer| layer.class == class).nth(n).map(|layer| layer.name.clone()).unwrap()
    };
    // Seen in files: the projection is listed just before the last convolution of its block.
    assert_eq!(nth("resnet50v1", "Conv2D", 3), "conv2_block1_0_conv");
    assert_eq!(nth("resnet50v1", "Conv2D", 4), "conv2_block1_3_conv");
    assert_eq!(nth("resnet50v1", "BatchNormalization", 3), "conv2_block1_0_bn");
    assert_eq!(nth("resnet50v1", "BatchNormalization", 4), "conv2_block1_3_bn");
    assert_eq!(nth("resnet50v2", "Conv2D", 3), "conv2_block1_0_conv");
    assert_eq!(nth("resnet50v2", "MaxPooling2D", 1), "max_pooling2d");
    assert_eq!(nth("resnet50v2", "MaxPooling2D", 3), "max_pooling2d_2");
}

#[test]
fn other_channels_classes_and_sizes_keep_the_name_and_other_widths_do_not() {
    let other = recipe("resnet50v2", 1, None, Some(2));
    assert_eq!(analyse(&built(&other)).standard_name(), Some("resnet50v2"));
    let mut thin = recipe("resnet50v2", 3, None, Some(2));
    for stage in &mut thin.form.stages {
        (stage.width, stage.outputs) = (stage.width / 32, stage.outputs / 32);
    }
    let found = analyse(&built(&thin));
    let architecture = found.architecture.clone().unwrap();
    assert_eq!((architecture.name.as_str(), architecture.standard), ("resnet50v2-custom", false));
    assert_eq!((architecture.depth, architecture.stages), (50, vec![3, 4, 6, 3]));
    let reasons = found.is("resnet50v2").unwrap_err();
    assert!(reasons.contains(&"stage 0: inner width: expected 64, found 2".to_owned()), "{reasons:?}");
}

#[test]
fn one_network_is_not_taken_for_another_of_the_same_shapes() {
    let found = anatomy("resnet50v1", 224, Some(1000));
    let reasons = found.is("resnet50").unwrap_err();
    assert!(reasons.iter().any(|r| r == "stages.1.blocks.0: stride on: expected conv2, found conv1"), "{reasons:?}");
    assert!(found.is("resnet101v1").unwrap_err().contains(&"depth: expected 101, found 50".to_owned()));
    assert!(found.is("ResNet50V1").is_ok());
    assert!(found.is("lenet").unwrap_err().iter().any(|r| r.contains("no architecture that is known")));
}
