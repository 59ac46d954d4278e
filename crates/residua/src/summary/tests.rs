//! Totals of the standard networks at full size against what other tools count of them (`fixtures/counts`).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use residua_ir::{Checked, DType, Endian, GraphError, LazyBytes, NodeId, Source, Tensor, TensorError, validate};
use residua_resnet::layouts::ModelLibrary;
use residua_resnet::recipe::{Bound, Classifier, Head, HeadPool, Input, KerasModelClass, Norms, Sizes};
use residua_resnet::{Form, Recipe, analyse};
use serde_json::Value;

use super::{Field, Summary};
use crate::options::Count;

/// Elements that nothing here looks at: that none is read is part of what is tested.
struct Nothing;

impl LazyBytes for Nothing {
    fn load(&self) -> Result<Bytes, TensorError> {
        Err(TensorError::Source("these tensors have no elements".into()))
    }
}

const IMAGE: Input = Input { channels: 3, size: Some([224, 224]) };

fn counts(part: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(residua_tests::folder().join("counts/counts.json")).unwrap();
    let counts: Value = serde_json::from_str(&text).unwrap();
    counts[part].as_object().unwrap().clone()
}

fn built(recipe: &Recipe, framework: &str) -> Checked {
    let source = Source { framework: framework.into(), ..Source::default() };
    let graph = recipe
        .build::<GraphError>(source, Vec::new(), &mut |wanted| {
            let shape = wanted.shape.to_vec();
            let tensor = Tensor::from_lazy(DType::F32, Endian::Little, shape, Arc::new(Nothing)).unwrap();
            Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
        })
        .unwrap();
    validate(graph).unwrap()
}

/// A network of torchvision or, with `timm/` before its name, timm.
fn torch(name: &str) -> Checked {
    let (library, name) = match name.strip_prefix("timm/") {
        Some(name) => ("timm", name),
        None => ("torchvision", name),
    };
    let form = Form::named(name).remove(0);
    let model_classes = ModelLibrary::named(library).unwrap().model_classes;
    let class = model_classes.iter().find(|class| class.settings(&form, 1).is_ok()).unwrap();
    let norms = if form.group_norm { Norms::Group(32) } else { class.conventions.norms };
    let gates = form.stages.iter().map(|stage| (stage.outputs / 16).max(8)).collect();
    let classifier = Classifier { as_conv: class.classifier_as_conv, ..Classifier::dense(1000, false) };
    let recipe = Recipe {
        name: name.to_owned(),
        sizes: Sizes { deep_stem: [form.stem_width / 2; 2], gates },
        form,
        input: IMAGE,
        head: Some(Head::new(HeadPool::Global, Some(classifier))),
        conventions: residua_resnet::recipe::Conventions { norms, ..class.conventions.clone() },
        names: Vec::new(),
        pace: Default::default(),
        own: Default::default(),
    };
    built(&recipe, "pytorch")
}

fn with_summary<T>(model: &Checked, count: Count, look: impl FnOnce(&Summary) -> T) -> T {
    let anatomy = analyse(model);
    look(&Summary::of(Path::new("model"), model, model, &anatomy, count))
}

/// Total, trainable, MACs, as this tool counts.
fn totals(model: &Checked, count: Count) -> [u64; 3] {
    with_summary(model, count, |summary| {
        let of_rows: [u64; 3] = [
            summary.layers.iter().map(|row| row.parameters).sum(),
            summary.layers.iter().map(|row| row.trainable).sum(),
            summary.layers.iter().map(|row| row.macs.unwrap()).sum(),
        ];
        let totals = [summary.parameters.total, summary.parameters.trainable, summary.macs.unwrap()];
        assert_eq!(of_rows, totals, "rows add up to the totals");
        totals
    })
}

/// Learned numbers of norms.
fn of_norms(model: &Checked) -> u64 {
    let is_norm = |op: &str| op.contains("Norm");
    with_summary(model, Count::Torchinfo, |summary| {
        summary.layers.iter().filter(|row| is_norm(row.op)).map(|row| row.parameters).sum()
    })
}

/// Elements that the gates of squeeze-and-excite take the mean of: as many as they multiply.
fn pooled_by_gates(model: &Checked) -> u64 {
    let anatomy = analyse(model);
    let gates = anatomy.blocks.iter().filter_map(|block| block.squeeze_excite.as_ref());
    let elements = |gate: NodeId| {
        let shape = model.shape_of(model.graph().node(gate).output()).unwrap();
        shape.dims()[1..].iter().map(|dim| dim.fixed().unwrap() as u64).product::<u64>()
    };
    gates.map(|gate| elements(gate.gate)).sum()
}

#[test]
fn torchinfo_counts_the_same_parameters_and_mult_adds() {
    let counts = counts("torch");
    assert_eq!(counts.len(), 15);
    for (name, expected) in counts {
        let model = torch(&name);
        let expected = &expected["torchinfo"];
        let number = |key: &str| expected[key].as_u64().unwrap();
        let [total, trainable, macs] = totals(&model, Count::Torchinfo);
        assert_eq!((total, trainable), (number("total_params"), number("trainable_params")), "{name}");
        // timm's norms of pre-activated networks hold their activation as a child, and torchinfo asks leaves alone.
        let unseen = if name == "timm/resnetv2_50" { of_norms(&model) } else { 0 };
        assert_eq!(macs - unseen, number("mult_adds"), "{name}");
    }
}

#[test]
fn fvcore_counts_the_same_flops_and_its_products_are_our_macs() {
    for (name, expected) in counts("torch") {
        let model = torch(&name);
        let number = |value: &Value| value.as_u64().unwrap();
        let by_operator = &expected["fvcore"]["by_operator"];
        let [total, _, flops] = totals(&model, Count::Fvcore);
        assert_eq!(total, number(&expected["torchinfo"]["total_params"]), "{name}");
        // The gates of timm call `mean`, which fvcore does not know.
        assert_eq!(flops - pooled_by_gates(&model), number(&expected["fvcore"]["flops"]), "{name}");
        let products = number(&by_operator["conv"]) + by_operator["linear"].as_u64().unwrap_or(0);
        assert_eq!(totals(&model, Count::Residua)[2], products, "{name}");
    }
}

#[test]
fn keras_counts_the_same_parameters() {
    let counts = counts("keras");
    assert_eq!(counts.len(), 6);
    for (name, expected) in counts {
        let ours = match name.strip_suffix("V2") {
            Some(name) => format!("{}v2", name.to_lowercase()),
            None => format!("{}v1", name.to_lowercase()),
        };
        let model = built(&KerasModelClass::named(&ours, IMAGE, Some(1000)).unwrap(), "keras");
        for count in [Count::Residua, Count::Keras] {
            let [total, trainable, _] = totals(&model, count);
            assert_eq!(total, expected["count_params"].as_u64().unwrap(), "{name}");
            assert_eq!(trainable, expected["trainable"].as_u64().unwrap(), "{name}");
        }
    }
}

#[test]
fn the_receptive_field_of_the_last_map_is_what_gradients_reach() {
    for (name, expected) in counts("torch").iter().filter(|(name, _)| !name.contains('/')) {
        let expected = &expected["receptive_field"];
        let (rows, step) = (expected["rows"].as_u64().unwrap(), expected["step"].as_u64().unwrap());
        with_summary(&torch(name), Count::Residua, |summary| {
            let map = summary.layers.iter().rfind(|row| row.step.is_some()).unwrap();
            assert_eq!((map.receptive_field, map.step), (Some(Field::Window([rows; 2])), Some([step; 2])), "{name}");
            assert_eq!(summary.layers.last().unwrap().receptive_field, Some(Field::Whole("all")), "{name}");
        });
    }
}

#[test]
fn every_layer_of_a_network_of_blocks_belongs_to_a_part() {
    let model = torch("timm/seresnet50");
    with_summary(&model, Count::Residua, |summary| {
        let part = |name: &str| summary.layers.iter().find(|row| row.name == name).unwrap().part;
        assert_eq!(part("conv1"), Some("stem"));
        assert_eq!(part("layer1.0.downsample.0"), Some("stages.0.blocks.0"));
        assert_eq!(part("layer3.5.se.fc2"), Some("stages.2.blocks.5"));
        assert_eq!(part("fc"), Some("head"));
        let loose: Vec<&str> =
            summary.layers.iter().skip(1).filter(|row| row.part.is_none()).map(|row| row.name).collect();
        assert!(loose.is_empty(), "{loose:?}");
        // Nothing of one block is taken for its neighbour's.
        for row in &summary.layers {
            let Some(rest) = row.name.strip_prefix("layer") else { continue };
            let (stage, block) = (rest[..1].parse::<usize>().unwrap() - 1, &rest[2..3]);
            assert_eq!(row.part, Some(&*format!("stages.{stage}.blocks.{block}")), "{}", row.name);
        }
    });
}
