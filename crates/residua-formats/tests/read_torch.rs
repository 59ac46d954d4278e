//! What is read of PyTorch's files: one network in every container, tensors of every form, and what lies beside them.
//!
//! Each file is held against the tensors that torch itself gave for it, written as safetensors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::BTreeMap;
use std::io::Read;

use common::{fixture_bytes, open_bytes, tensors, zipped};
use residua_formats::torch::{Attribute, StateDict, TorchFile, TorchKind};
use residua_formats::{Container, NamedTensor, open, open_zip};

fn read(name: &str) -> TorchFile {
    match open_bytes(&fixture_bytes("containers", name)).unwrap_or_else(|error| panic!("{name}: {error}")) {
        Container::Torch(file) => file,
        other @ (Container::Keras(_) | Container::Onnx(_) | Container::Safetensors(_)) => panic!("{name}: {other:?}"),
    }
}

/// Type, shape and bytes of each tensor, by name.
fn contents(tensors: &[NamedTensor]) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let content = |named: &NamedTensor| {
        let mut bytes = Vec::new();
        named.tensor.append_le_bytes(&mut bytes).unwrap();
        (named.name.clone(), (named.tensor.dtype().to_string(), named.tensor.shape().to_vec(), bytes))
    };
    let contents: BTreeMap<_, _> = tensors.iter().map(content).collect();
    assert_eq!(contents.len(), tensors.len(), "a name twice");
    contents
}

fn expected(name: &str) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    contents(&tensors(&open_bytes(&fixture_bytes("containers", name)).unwrap()))
}

fn dict<'a>(file: &'a TorchFile, path: &str) -> &'a StateDict {
    file.state_dicts.iter().find(|dict| dict.path == path).unwrap_or_else(|| panic!("no state dict at `{path}`"))
}

#[test]
fn every_container_gives_the_same_tensors() {
    use TorchKind::{Exported, Legacy, Pickle, Script, Tar, Zip};
    let cases = [
        ("zip.pth", Zip, ""),
        ("zip-protocol4.pth", Zip, ""),
        ("zip-protocol5.pth", Zip, ""),
        ("zip-deflated.pth", Zip, ""),
        ("zip-old-records.pth", Zip, ""),
        ("zip-big-endian.pth", Zip, ""),
        ("zip-no-checksums.pth", Zip, ""),
        ("legacy.pth", Legacy, ""),
        ("legacy-protocol4.pth", Legacy, ""),
        ("tar.pth", Tar, ""),
        ("module.pt", Zip, ""),
        ("module-legacy.pt", Legacy, ""),
        ("scripted.pt", Script, ""),
        ("traced.pt", Script, ""),
        ("exported.pt2", Exported, ""),
        ("exported-before-2.8.pt2", Exported, ""),
        ("pickled.pkl", Pickle, ""),
        ("numpy-protocol0.pkl", Pickle, "model"),
        ("numpy-protocol1.pkl", Pickle, "model"),
        ("numpy-protocol2.pkl", Pickle, "model"),
        ("numpy-protocol3.pkl", Pickle, "model"),
        ("numpy-protocol4.pkl", Pickle, "model"),
        ("numpy-protocol5.pkl", Pickle, "model"),
        ("numpy-fortran.pkl", Pickle, "model"),
        ("numpy-big-endian.pkl", Pickle, "model"),
    ];
    let weights = expected("weights.safetensors");
    assert_eq!(weights.len(), 10);
    for (name, kind, path) in cases {
        let file = read(name);
        assert_eq!(file.kind, kind, "{name}");
        let mut found = contents(&dict(&file, path).tensors);
        // A program does not say which of its buffers a state dict leaves out.
        if kind == Script {
            found.remove("passing");
        }
        assert!(found == weights, "{name}: {:?}", found.keys());
        assert!(file.dangers.is_empty(), "{name}: {:?}", file.dangers);
        assert_eq!(file.state_dicts.len(), 1, "{name}");
    }
}

#[test]
fn stored_weights_are_views_of_the_file_in_the_order_of_the_model() {
    for name in ["zip.pth", "legacy.pth", "module.pt", "tar.pth"] {
        let file = read(name);
        for named in &file.state_dicts[0].tensors {
            assert!(named.tensor.as_le_bytes().is_some(), "{name}: {} was copied", named.name);
        }
        let names: Vec<&str> = file.state_dicts[0].tensors.iter().map(|named| named.name.as_str()).collect();
        let order = [
            "conv.weight",
            "bn.weight",
            "bn.bias",
            "bn.running_mean",
            "bn.running_var",
            "bn.num_batches_tracked",
            "blocks.0.weight",
            "blocks.0.bias",
            "fc.weight",
            "fc.bias",
        ];
        assert_eq!(names, order, "{name}");
    }
}

#[test]
fn tensors_of_every_form_are_read_and_those_of_no_type_here_are_listed() {
    let expected = expected("forms.safetensors");
    for name in ["forms.pth", "forms-legacy.pth"] {
        let file = read(name);
        let found = contents(&file.state_dicts[0].tensors);
        for (tensor, content) in &expected {
            assert_eq!(found.get(tensor), Some(content), "{name}: {tensor}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
        let place = |tensor: &str| {
            let found = file.state_dicts[0].tensors.iter().find(|named| named.name == tensor);
            found.unwrap().location.clone()
        };
        assert_eq!(place("tied"), place("tied_again"), "{name}");
        assert_ne!(place("tied"), place("slice"), "{name}");
    }
    let file = read("forms.pth");
    let reason = |tensor: &str| {
        let unused = file.unused.iter().find(|unused| unused.location == tensor);
        unused.unwrap_or_else(|| panic!("{tensor} is not listed: {:?}", file.unused)).reason.clone()
    };
    for (tensor, part) in [
        ("complex", "ComplexFloat"),
        ("float8", "float8_e4m3fn"),
        ("sparse", "sparse"),
        ("quantised", "quantised"),
        ("meta", "without elements"),
        ("conjugated", "conjugated"),
        ("negated", "negated"),
    ] {
        assert!(reason(tensor).contains(part), "{tensor}: {}", reason(tensor));
    }
}

#[test]
fn a_pickled_module_gives_its_tree_with_what_its_layers_were_made_with() {
    for (name, path, prefix) in
        [("module.pt", "", ""), ("module-legacy.pt", "", ""), ("module-parallel.pt", "model", "module.")]
    {
        let file = read(name);
        let tree = dict(&file, path);
        let module = |path: &str| {
            let path = format!("{prefix}{path}");
            tree.modules.iter().find(|module| module.path == path).unwrap_or_else(|| panic!("{name}: no {path}"))
        };
        let conv = module("conv");
        assert_eq!(conv.class, "torch.nn.modules.conv.Conv2d", "{name}");
        let pair = |value| Attribute::List(vec![Attribute::Int(value), Attribute::Int(value)]);
        assert_eq!(conv.attributes["stride"], pair(2), "{name}");
        assert_eq!(conv.attributes["padding"], pair(1), "{name}");
        assert_eq!(conv.attributes["padding_mode"], Attribute::Text("zeros".to_owned()), "{name}");
        assert_eq!(module("bn").attributes["eps"], Attribute::Float(1e-3), "{name}");
        assert_eq!(module("blocks.1").attributes["inplace"], Attribute::Bool(false), "{name}");
        let paths: Vec<&str> = tree.modules.iter().map(|module| module.path.as_str()).collect();
        assert_eq!(paths[0], "", "{name}");
        assert_eq!(tree.modules.len(), if prefix.is_empty() { 7 } else { 8 }, "{name}: {paths:?}");
        let passing = file.unused.iter().find(|unused| unused.location.raw().ends_with("passing"));
        assert!(passing.is_some_and(|unused| unused.reason.contains("leave out")), "{name}: {:?}", file.unused);
        assert!(tree.tensors[0].name == format!("{prefix}conv.weight"), "{name}");
    }
    assert_eq!(read("module.pt").state_dicts[0].modules[0].class, "models.net.Net");
}

#[test]
fn what_lies_beside_the_weights_of_a_training_is_told_from_them() {
    let file = read("training.pth.tar");
    assert_eq!(file.state_dicts.len(), 1, "{:?}", file.state_dicts);
    let stripped: BTreeMap<_, _> = contents(&dict(&file, "state_dict").tensors)
        .into_iter()
        .map(|(name, content)| (name.strip_prefix("module.").unwrap().to_owned(), content))
        .collect();
    assert!(stripped == expected("weights.safetensors"));
    let scalar = |path: &str| file.scalars.iter().find(|(found, _)| found == path).map(|(_, value)| value.clone());
    assert_eq!(scalar("epoch"), Some(Attribute::Int(3)));
    assert_eq!(scalar("arch"), Some(Attribute::Text("resnet18".to_owned())));
    assert_eq!(scalar("args.lr"), Some(Attribute::Float(0.1)));
    assert_eq!(scalar("args.layers"), Some(Attribute::List(vec![Attribute::Int(2), Attribute::Int(2)])));
    let reason = |path: &str| {
        let unused = file.unused.iter().find(|unused| unused.location == path);
        unused.unwrap_or_else(|| panic!("{path} is not listed: {:?}", file.unused)).reason.as_str()
    };
    assert_eq!(reason("optimizer"), "the state of an optimizer (7 tensors)");
    assert!(reason("best_acc1").contains("single number"));
    assert!(reason("rng_state").contains("random number generator"));
    assert!(reason("shadow.0").contains("without a name"));
    assert!(reason("by_number.0").contains("without a name"));
    assert!(file.dangers.is_empty(), "{:?}", file.dangers);
}

#[test]
fn programs_and_missing_checksums_are_noted() {
    let note = |name: &str| read(name).notes.join("; ");
    assert!(note("scripted.pt").contains("code is not"));
    assert!(note("exported.pt2").contains("the program is not"));
    assert!(note("exported-before-2.8.pt2").contains("the program is not"));
    assert!(note("zip-no-checksums.pth").contains("checksum"));
    assert_eq!(note("zip.pth"), "");
}

#[test]
fn a_folder_of_hugging_face_has_its_configuration_and_its_shards() {
    let config = |folder: &std::path::Path| match open(folder).unwrap() {
        Container::Torch(file) => (file.config, file.notes),
        Container::Safetensors(file) => (file.config, file.notes),
        other @ (Container::Keras(_) | Container::Onnx(_)) => panic!("{other:?}"),
    };
    for (model, fixture) in [("pytorch_model.bin", "zip.pth"), ("model.safetensors", "weights.safetensors")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(model), fixture_bytes("containers", fixture)).unwrap();
        assert_eq!(config(folder.path()).0, None);
        std::fs::write(folder.path().join("config.json"), r#"{"depths": [3, 4, 6, 3]}"#).unwrap();
        assert_eq!(config(folder.path()).0.unwrap()["depths"][2], 6);
        assert_eq!(config(&folder.path().join(model)).0.unwrap()["depths"][2], 6);
        std::fs::write(folder.path().join("config.json"), "{").unwrap();
        let (none, notes) = config(folder.path());
        assert!(none.is_none() && notes[0].contains("config.json"), "{notes:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    let weights = expected("weights.safetensors");
    let index: Vec<String> =
        weights.keys().map(|name| format!("\"{name}\": \"pytorch_model-00001-of-00001.bin\"")).collect();
    let index = format!("{{\"weight_map\": {{{}}}}}", index.join(", "));
    std::fs::write(folder.path().join("pytorch_model.bin.index.json"), &index).unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let shard = folder.path().join("pytorch_model-00001-of-00001.bin");
    std::fs::write(&shard, fixture_bytes("containers", "zip.pth")).unwrap();
    let Container::Torch(file) = open(folder.path()).unwrap() else { panic!() };
    assert!(contents(&file.state_dicts[0].tensors) == weights && file.config.is_some());
    let wrong = index.replace("\"fc.bias\"", "\"fc.bias2\"");
    std::fs::write(folder.path().join("pytorch_model.bin.index.json"), wrong).unwrap();
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("fc.bias") && error.contains("weight_map"), "{error}");
}

#[test]
fn real_networks_of_the_zoos_are_read_to_the_last_tensor() {
    let mut read = 0;
    for archive in ["torchvision", "timm", "huggingface", "zoo"] {
        for (name, bytes) in zipped(&format!("torch/{archive}.zip")) {
            let known = [".pth", ".pt", ".pt2", ".ckpt", ".tar", ".bin", ".safetensors", ".pkl"];
            if !known.iter().any(|end| name.ends_with(end)) {
                continue;
            }
            let container = open_bytes(&bytes).unwrap_or_else(|error| panic!("{archive} {name}: {error}"));
            let all = tensors(&container);
            assert!(!all.is_empty(), "{archive} {name}");
            for named in all {
                assert_eq!(named.tensor.to_f64().unwrap().len(), named.tensor.len(), "{name}: {}", named.name);
            }
            read += 1;
        }
    }
    assert!(read >= 10, "{read} files");
}

/// The archive as torch writes it with records under another name: each local header padded so that its bytes start at a
/// multiple of 64, sizes behind the bytes and in the directory, and records of 64-bit sizes behind that.
fn under_another_name(archive: &[u8], name: &str) -> Vec<u8> {
    let mut source = open_zip(&archive.to_vec().into()).unwrap();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let count = source.len() as u64;
    for index in 0..source.len() {
        let mut entry = source.by_index(index).unwrap();
        let (_, record) = entry.name().unwrap().split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let record = format!("{name}/{record}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let (length, size) = (record.len() as u16, content.len() as u32);
        let start = out.len() as u32;
        let padding = (64 - (out.len() + 30 + record.len() + 4) % 64) % 64;
        out.extend(b"PK\x03\x04\0\0\x08\x08");
        out.extend([0; 18]);
        out.extend(length.to_le_bytes());
        out.extend((4 + padding as u16).to_le_bytes());
        out.extend(record.as_bytes());
        out.extend(b"FB");
        out.extend((padding as u16).to_le_bytes());
        out.extend(std::iter::repeat_n(b'Z', padding));
        out.extend(&content);
        let facts: Vec<u8> = [entry.crc32(), size, size].iter().flat_map(|fact| fact.to_le_bytes()).collect();
        out.extend(b"PK\x07\x08");
        out.extend(&facts);
        directory.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0");
        directory.extend(&facts);
        directory.extend(length.to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(start.to_le_bytes());
        directory.extend(record.as_bytes());
    }
    let (at, size) = (out.len() as u64, directory.len() as u64);
    out.extend(directory);
    let end = out.len() as u64;
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend(b"\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
    out.extend([count, count, size, at].iter().flat_map(|number| number.to_le_bytes()));
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(end.to_le_bytes());
    out.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
    out.extend([count as u16; 2].iter().flat_map(|number| number.to_le_bytes()));
    out.extend([size as u32, at as u32].iter().flat_map(|number| number.to_le_bytes()));
    out.extend([0; 2]);
    out
}

#[test]
fn an_archive_is_read_whatever_the_length_of_its_name() {
    let named = fixture_bytes("checkpoints", "checkpoint_best_model.pth");
    // What torch writes is written again to the byte, so other names are as torch would have them.
    assert!(under_another_name(&named, "checkpoint_best_model") == named, "not what torch wrote");
    let read = |bytes: &[u8]| match open_bytes(bytes) {
        Ok(Container::Torch(file)) => contents(&dict(&file, "").tensors),
        other => panic!("{other:?}"),
    };
    let expected = read(&named);
    assert_eq!(expected.len(), 74);
    for length in 1..=80 {
        let name: String = "checkpoint_".chars().cycle().take(length).collect();
        assert_eq!(read(&under_another_name(&named, &name)), expected, "a name of {length} letters");
    }
}

#[test]
fn an_archive_behind_something_else_is_read_as_well() {
    let archive = fixture_bytes("containers", "zip-old-records.pth");
    let behind = [&b"PK\x03\x04 is how this starts, but it is no archive"[..], &archive].concat();
    assert_eq!(open_zip(&behind.into()).unwrap().len(), open_zip(&archive.into()).unwrap().len());
}
