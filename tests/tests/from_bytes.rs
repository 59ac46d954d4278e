//! A model is the same whether it is read from its path or from its bytes in memory, whatever container it is in.
//!
//! Files that belong to it (external data, shards, configurations) come through `Companions` then, and never from the disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use residua_import::{Companions, LoadOptions, ModelSource, load, load_bytes, load_with};

/// The files of one folder.
#[derive(Debug)]
struct Beside(PathBuf);

impl Companions for Beside {
    fn open(&self, name: &str) -> io::Result<Option<Bytes>> {
        assert!(!name.contains("..") && !name.starts_with('/'), "`{name}` leads away");
        let path = self.0.join(name);
        if path.is_file() { fs::read(path).map(|bytes| Some(bytes.into())) } else { Ok(None) }
    }
}

fn in_memory(path: &Path) -> ModelSource {
    let folder = path.parent().unwrap().to_owned();
    ModelSource::bytes(path, fs::read(path).unwrap()).with_companions(Arc::new(Beside(folder)))
}

/// The graph as it prints, with what is said of its source; or the error.
fn told(source: impl Into<ModelSource>) -> String {
    match load(source) {
        Ok(graph) => format!("{graph}\n{:?}", graph.source()),
        Err(error) => error.to_string(),
    }
}

/// Every model file of the fixtures; of folders, the file that is read first.
fn files() -> Vec<PathBuf> {
    let fixtures = residua_tests::all().iter().chain(residua_tests::torch()).chain(residua_tests::onnx());
    let first = |folder: &Path| {
        let names = ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json"];
        let names = names.into_iter().chain(["pytorch_model.bin", "model.onnx"]);
        names.map(|name| folder.join(name)).find(|path| path.is_file())
    };
    fixtures
        .filter_map(|fixture| if fixture.path.is_dir() { first(&fixture.path) } else { Some(fixture.path.clone()) })
        .collect()
}

#[test]
fn every_fixture_is_the_same_from_its_bytes() {
    let files = files();
    assert!(files.len() > 300, "only {} files were found", files.len());
    let differ = |path: &&PathBuf| told(*path) != told(in_memory(path));
    let differing: Vec<&PathBuf> = files.iter().filter(differ).collect();
    assert!(differing.is_empty(), "{} of {} differ: {differing:#?}", differing.len(), files.len());
}

/// A fixture whose weights lie in a file beside it, and the name of that file.
fn with_external_data() -> (PathBuf, String) {
    let named = |path: &Path| {
        let data = format!("{}.data", path.file_name()?.to_str()?);
        path.with_file_name(&data).is_file().then_some(data)
    };
    let mut fixtures = residua_tests::onnx().iter();
    fixtures.find_map(|fixture| Some((fixture.path.clone(), named(&fixture.path)?))).unwrap()
}

#[test]
fn what_was_not_given_with_the_bytes_is_refused_by_name() {
    let (path, data) = with_external_data();
    let bytes = fs::read(&path).unwrap();
    let refused = load_bytes("upload.onnx", bytes.clone(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(refused.starts_with("upload.onnx: tensor `"), "{refused}");
    assert!(refused.ends_with(&format!("found `{data}`, which was not given with the model's bytes")), "{refused}");

    let mut given = BTreeMap::from([(data.clone(), Bytes::from(fs::read(path.with_file_name(&data)).unwrap()))]);
    let whole = ModelSource::bytes("upload.onnx", bytes.clone()).with_companions(Arc::new(given.clone()));
    assert_eq!(load_with(whole, &LoadOptions::default()).unwrap().to_string(), load(&path).unwrap().to_string());

    given.insert(data.clone(), Bytes::from_static(b"short"));
    let short = ModelSource::bytes("upload.onnx", bytes).with_companions(Arc::new(given));
    let refused = load(short).unwrap_err().to_string();
    assert!(refused.contains("expected data that lies in its file"), "{refused}");
}

#[test]
fn bytes_that_are_no_model_are_refused_under_the_name_that_they_were_given() {
    let refused = load_bytes("upload", "no model at all", &LoadOptions::default()).unwrap_err().to_string();
    assert!(refused.starts_with("upload: expected a model"), "{refused}");
}
