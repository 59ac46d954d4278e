//! Stages that are not those of the network that all the rest is of: their number of blocks, their channels.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use bytes::Bytes;
use residua_ir::{DType, Endian, GraphError, LazyBytes, Source, Tensor, TensorError, validate};
use residua_resnet::analyse;
use residua_resnet::form::StageForm;
use residua_resnet::recipe::{Bound, Input, KerasModelClass, Own, Recipe};
use residua_resnet::{Component, Position};
use residua_verify::Subject;

/// Elements that no rule about topology reads.
struct Nothing;

impl LazyBytes for Nothing {
    fn load(&self) -> Result<Bytes, TensorError> {
        Err(TensorError::Source("these tensors have no elements".into()))
    }
}

fn standard(name: &str) -> Recipe {
    KerasModelClass::named(name, Input { channels: 3, size: Some([224; 2]) }, None).unwrap()
}

/// Findings about the topology of a standard network whose stages were changed.
fn findings(name: &str, change: impl FnOnce(&mut [StageForm])) -> Vec<String> {
    let mut recipe = standard(name);
    change(&mut recipe.form.stages);
    findings_of(&recipe)
}

fn findings_of(recipe: &Recipe) -> Vec<String> {
    let graph = recipe.build::<GraphError>(Source::default(), Vec::new(), &mut |wanted| {
        let (shape, source) = (wanted.shape.to_vec(), Arc::new(Nothing));
        let tensor = Tensor::from_lazy(DType::F32, Endian::Little, shape, source).unwrap();
        Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
    });
    let model = validate(graph.unwrap()).unwrap();
    let found = residua_verify::check(&Subject::new(&model, &analyse(&model), None));
    found.iter().filter(|finding| finding.code.id.starts_with("R2")).map(ToString::to_string).collect()
}

#[test]
fn a_stage_with_a_block_less_or_more_is_told_with_its_last_block() {
    for (name, stages) in [("resnet50v1", 4), ("resnet50v2", 4), ("resnet110_cifar", 3)] {
        assert_eq!(findings(name, |_| ()), Vec::<String>::new(), "{name}");
        for at in 0..stages {
            for more in [false, true] {
                let found = findings(name, |stages| if more { stages[at].blocks += 1 } else { stages[at].blocks -= 1 });
                assert_eq!(found.len(), 1, "{name}, stage {at}: {found:?}");
                assert!(
                    found[0].starts_with("warning R212: ") && found[0].contains(&format!("stage {at} has ")),
                    "{found:?}"
                );
            }
        }
    }
    let found = findings("resnet50v2", |stages| stages[2].blocks = 5);
    let expected =
        "warning R212: conv4_block5_out: stage 2 has 5 blocks, and all else is as in ResNet-50 (3, 4, 6, 3 blocks)";
    assert_eq!(found, [expected]);
}

#[test]
fn a_stage_of_other_channels_is_told_with_the_layer_that_gives_them() {
    for (name, layer) in [
        ("resnet50v1", "conv4_block1_3_conv"),
        ("resnet101v1", "conv4_block1_3_conv"),
        ("resnet50v2", "conv4_block1_3_conv"),
    ] {
        let found = findings(name, |stages| stages[2].outputs += 256);
        let expected =
            format!("warning R212: {layer}: stage 2 has 1280 channels; all other stages double them, to 1024 here");
        assert_eq!(found, [expected], "{name}");
    }
}

/// RegNetY-8GF has 224, 448, 896 and 2016 channels: a factor of its own, rounded to whole groups, which is twice by chance
/// in two places.
#[test]
fn widths_are_judged_behind_the_stem_of_a_resnet_and_not_behind_that_of_a_regnet() {
    let mut recipe = standard("resnet50v1");
    for (stage, width) in recipe.form.stages.iter_mut().zip([224, 448, 896, 2016]) {
        (stage.width, stage.outputs) = (width, width);
    }
    let expected =
        "warning R212: conv5_block1_3_conv: stage 3 has 2016 channels; all other stages double them, to 1792 here";
    assert_eq!(findings_of(&recipe), [expected]);

    recipe.own.insert(Position::Stem(Component::Conv(0)), Own { kernel: Some(3), ..Own::default() });
    recipe.own.insert(Position::Pool, Own { pool: Some(None), ..Own::default() });
    assert_eq!(findings_of(&recipe), Vec::<String>::new());
}
