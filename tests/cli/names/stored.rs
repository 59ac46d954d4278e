//! Names within containers: groups, datasets, links and attributes of HDF5, and members of archives.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use residua::formats::keras::KerasWeights;
use residua::formats::{Container, open};
use residua_tests::{Object, hdf5};
use serde_json::Value;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::files::{Refused, config};
use super::name;

/// A name that HDF5 and the slashes in it do not divide.
fn flat(index: usize) -> String {
    name(index).replace('/', "|")
}

fn renamed(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                text.clone_from(name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| renamed(item, names)),
        Value::Object(items) => items.values_mut().for_each(|item| renamed(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A model as Keras 2 saves it whole, its layers, groups and datasets named so, from this place of the list on.
pub(crate) fn whole(from: usize) -> Vec<u8> {
    let Container::Keras(sound) = open(residua_tests::folder().join("faults/sound.h5")).unwrap() else {
        panic!("not Keras")
    };
    let KerasWeights::Layers(layers) = sound.weights else { panic!("no layers") };
    let named = layers.iter().enumerate().map(|(index, layer)| (layer.name.to_string(), flat(from + index)));
    let names: BTreeMap<String, String> = named.collect();
    let mut document = config();
    renamed(&mut document, &names);
    let mut links = Vec::new();
    for layer in &layers {
        let name = &names[&layer.name.to_string()];
        let mut weights = Vec::new();
        let mut datasets = Vec::new();
        for tensor in &layer.tensors {
            let own = tensor.name.to_string().rsplit('/').next().unwrap().to_owned();
            weights.push(format!("{name}/{own}"));
            datasets.push((own, Object::Dataset(tensor.tensor.shape().iter().map(|&size| size as u64).collect())));
        }
        let inner = (name.clone(), Object::group(datasets));
        links.push((name.clone(), Object::Group(vec![inner], vec![("weight_names".to_owned(), weights)])));
    }
    let layer_names = links.iter().map(|(name, _)| name.clone()).collect();
    let weights = Object::Group(links, vec![("layer_names".to_owned(), layer_names)]);
    let attributes =
        [("model_config", document.to_string()), ("keras_version", name(from)), ("backend", name(from + 1))];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), vec![text])).to_vec();
    hdf5(&Object::Group(vec![("model_weights".to_owned(), weights)], attributes))
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar archive of one empty member.
fn tar(name: &str) -> Vec<u8> {
    let mut header = vec![0; 512];
    let name = &name.as_bytes()[..name.len().min(99)];
    header[..name.len()].copy_from_slice(name);
    header[124..135].fill(b'0');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.resize(2048, 0);
    header
}

/// Containers that are refused because of what is in them.
pub(crate) fn refused(hostile: &str) -> Vec<Refused> {
    let owned = hostile.to_owned();
    let dataset = || Object::Dataset(vec![2, 3]);
    let file = |links: Vec<(String, Object)>| hdf5(&Object::group(links));
    let with = |links: Vec<(String, Object)>, attributes: &[(&str, &str)]| {
        let attributes = attributes.iter().map(|&(name, text)| (name.to_owned(), vec![text.to_owned()])).collect();
        hdf5(&Object::Group(links, attributes))
    };
    let paths = |inner: Object| file(vec![("layers".to_owned(), inner)]);
    let legacy = |links: Vec<(String, Object)>| {
        let group = Object::Group(links, vec![("weight_names".to_owned(), vec![format!("{hostile}/kernel")])]);
        with(vec![(flat_of(hostile), group)], &[("layer_names", &flat_of(hostile))])
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a group of nobody", file(vec![(owned.clone(), Object::group([]))])),
        ("a dataset of nobody", file(vec![(owned.clone(), dataset())])),
        ("a name twice", file(vec![(owned.clone(), dataset()), (owned.clone(), Object::group([]))])),
        ("a link to nothing", file(vec![(owned.clone(), Object::Soft(owned.clone()))])),
        (
            "links around",
            file(vec![(owned.clone(), Object::Soft("b".into())), ("b".into(), Object::Soft(owned.clone()))]),
        ),
        ("a link to another file", file(vec![(owned.clone(), Object::External(owned.clone(), owned.clone()))])),
        ("weights of no network", paths(dataset().within(&[hostile, "vars", "0"]))),
        ("weights of no number", paths(dataset().within(&["dense", "vars", hostile]))),
        ("weights deep down", paths(dataset().within(&[hostile; 70]))),
        ("a layer without its weights", legacy(vec![])),
        ("a layer with others", legacy(vec![(owned.clone(), dataset()), ("kernel".to_owned(), dataset())])),
        (
            "a layer of no network",
            with(vec![(flat_of(hostile), legacy_layer(&owned))], &[("layer_names", &flat_of(hostile))]),
        ),
        ("a list of layers that are not there", with(Vec::new(), &[("layer_names", hostile)])),
        ("a configuration that is none", with(Vec::new(), &[("model_config", hostile)])),
        (
            "a configuration of nothing",
            with(Vec::new(), &[("model_config", &Value::String(owned.clone()).to_string())]),
        ),
        ("an archive of nobody", archive(&[(&format!("a{hostile}"), b"x")])),
        (
            "an archive of a pickle that is none",
            archive(&[(&format!("{hostile}/data.pkl"), b"x"), ("a/version", b"3")]),
        ),
        (
            "an archive with its pickle elsewhere",
            archive(&[("a/data.pkl", b"\x80\x02}."), (&format!("a/{hostile}"), b"")]),
        ),
        ("a tar archive of nobody", tar(hostile)),
    ];
    cases.into_iter().map(|(what, bytes)| (what.to_owned(), bytes)).collect()
}

fn flat_of(hostile: &str) -> String {
    hostile.replace('/', "|")
}

fn legacy_layer(hostile: &str) -> Object {
    let weights = vec![("weight_names".to_owned(), vec![format!("{}/x", flat_of(hostile))])];
    Object::Group(vec![(flat_of(hostile), Object::group([("x".to_owned(), Object::Dataset(vec![2]))]))], weights)
}

/// An array as numpy writes it, of zeros.
fn npy(shape: &str, count: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat((64 - (header.len() + 11) % 64) % 64));
    header.push('\n');
    let start = [&b"\x93NUMPY\x01\0"[..], &u16::try_from(header.len()).unwrap().to_le_bytes()].concat();
    [&start[..], header.as_bytes(), &vec![0; count * 4]].concat()
}

/// Files of arrays whose names are hostile, and what reads them.
pub(crate) fn arrays(folder: &Path, hostile: &str) -> Vec<(&'static str, Vec<String>)> {
    let sound = npy("(1, 3, 8, 8)", 192);
    let member = format!("{hostile}.npy");
    let write = |file: &str, members: &[(&str, &[u8])]| fs::write(folder.join(file), archive(members)).unwrap();
    write("one.npz", &[(&member, &sound)]);
    write("two.npz", &[(&member, &sound), (&format!("input/{member}"), &sound)]);
    write("golden.npz", &[(&format!("input/{member}"), &sound), (&format!("output/{member}"), &npy("(1, 5)", 5))]);
    write("shape.npz", &[(&member, &npy("(7, 7)", 49))]);
    write("none.npz", &[(&member, b"no array")]);
    write("cut.npz", &[(&member, &sound[..200])]);
    write("type.npz", &[(&member, &String::from_utf8_lossy(&sound).replace("<f4", "<x9").into_bytes())]);
    write("huge.npz", &[(&member, &npy("(4000000000, 4000000000)", 1))]);
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
    let mut all = Vec::new();
    for file in ["one", "two", "golden", "shape", "none", "cut", "type", "huge"] {
        let file = format!("{file}.npz");
        all.push(("an array for run", words(&["run", "plain.onnx", "--input", &file])));
        all.push(("a golden for check", words(&["check", "plain.onnx", "--golden", &file])));
    }
    all.push(("a golden for check", words(&["check", "plain.onnx", "--golden", "golden.npz", "--format", "json"])));
    all.push(("a golden for compare", words(&["compare", "plain.onnx", "other.onnx", "--golden", "none.npz"])));
    all.push(("a golden for convert", words(&["convert", "plain.onnx", "again.onnx", "--golden", "two.npz"])));
    all
}
