//! What is read: the same network in every container and every encoding that HDF5 has for it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeMap;

use common::{fixture_bytes, keras, keras_tensors, open_bytes, tensors, zipped};
use residua_formats::keras::{KerasFile, KerasKind, KerasWeights};
use residua_formats::{Container, NamedTensor, open};
use residua_ir::DType;

fn read(name: &str) -> KerasFile {
    let (folder, name) = name.split_once('/').unwrap();
    keras(open_bytes(&fixture_bytes(folder, name)).unwrap())
}

/// Values by the place of the tensor in the file.
fn values(tensors: &[NamedTensor]) -> BTreeMap<String, Vec<f64>> {
    tensors.iter().map(|named| (named.location.clone(), named.tensor.to_f64().unwrap())).collect()
}

#[test]
fn every_encoding_of_a_file_gives_the_same_tensors() {
    let plain = values(&keras_tensors(&read("storage/resnet8.k3.h5")));
    let mut compared = 0;
    for (name, bytes) in zipped("storage/storage.zip") {
        // The others hold the weights in another layout, or rounded, or in what is not read.
        if !name.starts_with("resnet8.k3-")
            || !name.ends_with(".h5")
            || name.contains("weights")
            || name.contains("lzf")
        {
            continue;
        }
        let file = keras(open_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!(file.kind, KerasKind::WholeH5, "{name}");
        assert!(values(&keras_tensors(&file)) == plain, "{name} differs from the plain file");
        assert!(file.unused.is_empty() && file.config.is_some(), "{name}");
        compared += 1;
    }
    assert!(compared >= 12, "{compared} files");
}

/// 700 links of long names to three datasets, and as many names in attributes: more than the first table of a heap holds.
#[test]
fn links_and_attributes_in_tables_within_the_table_of_a_heap_are_read() {
    let [(_, bytes)] = &zipped("storage/heap.zip")[..] else { panic!("one file") };
    let tensors = keras_tensors(&keras(open_bytes(bytes).unwrap()));
    assert_eq!(tensors.len(), 703);
    for named in tensors {
        let name = named.location.rsplit('/').next().unwrap().to_owned();
        let expected = match name.strip_prefix("kept") {
            Some(number) => number.parse::<u32>().unwrap(),
            None => name.split('-').next().unwrap().parse::<u32>().unwrap() % 3,
        };
        assert_eq!(named.tensor.to_f64().unwrap(), [f64::from(expected); 2], "{name}");
    }
}

#[test]
fn halves_are_told_from_each_other_and_weights_are_views_of_the_file() {
    let half = zipped("storage/storage.zip").into_iter().find(|(name, _)| name.contains("float16.h5")).unwrap();
    let half = keras_tensors(&keras(open_bytes(&half.1).unwrap()));
    assert!(half.iter().any(|named| named.tensor.dtype() == DType::F16));
    for named in keras_tensors(&read("storage/resnet8.k3.weights.h5")) {
        assert!(named.tensor.as_le_bytes().is_some(), "{} was copied or packed", named.location);
    }
    for named in keras_tensors(&read("faults/sound.keras")) {
        assert!(named.tensor.as_le_bytes().is_some(), "{} was copied or packed", named.location);
    }
}

#[test]
fn zipped_and_unzipped_models_hold_the_same() {
    let all = zipped("storage/storage.zip");
    let of = |end: &str| &all.iter().find(|(name, _)| name.ends_with(end)).unwrap_or_else(|| panic!("no {end}")).1;
    let stored = keras(open_bytes(of("k3.keras")).unwrap());
    let deflated = keras(open_bytes(of("deflated.keras")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "metadata.json", "model.weights.h5"] {
        std::fs::write(folder.path().join(name), of(&format!("k3-directory/{name}"))).unwrap();
    }
    let unzipped = keras(open(folder.path()).unwrap());
    assert_eq!([stored.kind, unzipped.kind], [KerasKind::Zip, KerasKind::Folder]);
    for other in [&deflated, &unzipped] {
        assert_eq!(values(&keras_tensors(&stored)), values(&keras_tensors(other)));
        assert_eq!((&stored.config, &stored.version), (&other.config, &other.version));
    }
}

#[test]
fn an_index_leads_to_the_shards_of_keras() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in zipped("storage/storage.zip").iter().filter(|(name, _)| name.contains("sharded")) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let sharded = keras(open(folder.path().join("resnet8.k3-sharded.weights.json")).unwrap());
    let whole = read("storage/resnet8.k3.weights.h5");
    assert_eq!(values(&keras_tensors(&sharded)), values(&keras_tensors(&whole)));
}

#[test]
fn layers_come_in_the_order_of_the_model_and_variables_by_number() {
    let KerasWeights::Layers(layers) = read("thin/thin50v2.k3.h5").weights else { panic!() };
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names[..4], ["input_layer", "conv1_pad", "conv1_conv", "pool1_pad"]);
    let norm = layers.iter().find(|layer| layer.name == "post_bn").unwrap();
    let order: Vec<&str> = norm.tensors.iter().map(|t| t.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(order, ["gamma", "beta", "moving_mean", "moving_variance"]);

    let KerasWeights::Paths(groups) = read("thin/thin50v2.k3.weights.h5").weights else { panic!() };
    let convs: Vec<&str> =
        groups.iter().map(|group| group.path.as_str()).filter(|path| path.starts_with("layers/conv2d")).collect();
    assert_eq!(convs[..3], ["layers/conv2d", "layers/conv2d_1", "layers/conv2d_2"]);
    assert_eq!(convs[10], "layers/conv2d_10");
    let first = groups.iter().find(|group| group.path == "layers/conv2d").unwrap();
    assert_eq!(first.name.as_deref(), Some("conv1_conv"));
}

#[test]
fn optimizer_state_is_listed_as_unused() {
    for name in ["transfer/transfer_functional.k3-compiled.h5", "transfer/transfer_functional.k3-compiled.weights.h5"] {
        let file = read(name);
        assert!(!file.unused.is_empty(), "{name}");
        assert!(file.unused.iter().all(|unused| unused.reason == "optimizer state"), "{name}: {:?}", file.unused);
    }
}

#[test]
fn tensors_without_elements_come_in_the_order_of_their_names() {
    // All lie at one place, so that only their names tell them apart; a JSON object has no order.
    let empty = |name: &str| format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[4,4]}}");
    let one = "\"z\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}".to_owned();
    let names: Vec<String> = (0..40).map(|nth| format!("e{:02}", nth * 17 % 40)).collect();
    let header = [names.iter().map(|name| empty(name)).collect(), vec![one]].concat().join(",");
    let header = format!("{{{header}}}");
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    let expected: Vec<String> =
        std::iter::once("z".to_owned()).chain((0..40).map(|nth| format!("e{nth:02}"))).collect();
    for _ in 0..4 {
        let found = tensors(&open_bytes(&file).unwrap());
        assert_eq!(found.iter().map(|tensor| tensor.name.to_string()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn safetensors_come_in_the_order_of_their_bytes_alone_or_in_shards() {
    let tensor = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (a, b) = (tensor(&[1.0, 2.0]), tensor(&[3.0]));
    let write = |tensors: &[(&str, &Vec<u8>)], metadata: &str| {
        let views = tensors.iter().map(|(name, bytes)| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![bytes.len() / 4], bytes);
            (*name, view.unwrap())
        });
        let metadata = [("format".to_owned(), metadata.to_owned())].into();
        safetensors::serialize(views, Some(metadata)).unwrap()
    };
    let whole = open_bytes(&write(&[("a", &a), ("b", &b)], "pt")).unwrap();
    let Container::Safetensors(file) = &whole else { panic!() };
    assert_eq!(file.metadata["format"], "pt");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one"), write(&[("a", &a)], "pt")).unwrap();
    std::fs::write(folder.path().join("two"), write(&[("b", &b)], "pt")).unwrap();
    let index = r#"{"metadata": {"total_size": 12}, "weight_map": {"a": "one", "b": "two"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let sharded = open(folder.path()).unwrap();
    assert_eq!(values(&tensors(&whole)), values(&tensors(&sharded)));
    assert_eq!(tensors(&whole)[1].tensor.to_f32().unwrap(), [3.0]);
}
