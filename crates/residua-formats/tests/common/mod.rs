//! Fixtures as bytes, and everything that a container holds read to its last element.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use residua_formats::keras::{KerasFile, KerasWeights};
use residua_formats::onnx::schema::{GraphProto, ModelProto, NodeProto, TensorProto};
use residua_formats::{Container, FormatError, NamedTensor, open};

/// A file of the repository's fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// A file of the fixtures in this folder, whether it lies there or in the folder's archive.
pub(crate) fn fixture_bytes(folder: &str, name: &str) -> Vec<u8> {
    if let Ok(bytes) = std::fs::read(fixture(folder).join(name)) {
        return bytes;
    }
    let files = std::fs::read_dir(fixture(folder)).unwrap().map(|entry| entry.unwrap().path());
    let archives = files.filter(|path| path.extension().is_some_and(|end| end == "zip"));
    let mut all = archives.flat_map(|path| zipped(path.to_str().unwrap()));
    all.find(|(found, _)| found == name).unwrap_or_else(|| panic!("no fixture {folder}/{name}")).1
}

/// All files of a fixture that is zipped, by name.
pub(crate) fn zipped(name: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

/// Opens these bytes as a file.
pub(crate) fn open_bytes(bytes: &[u8]) -> Result<Container, FormatError> {
    let folder = tempfile::tempdir().unwrap();
    // A name that says nothing: what a file is has to show in its bytes.
    let path = folder.path().join("model");
    std::fs::write(&path, bytes).unwrap();
    open(&path)
}

pub(crate) fn keras(container: Container) -> KerasFile {
    match container {
        Container::Keras(file) => file,
        other @ (Container::Onnx(_) | Container::Safetensors(_) | Container::Torch(_)) => {
            panic!("not Keras: {other:?}")
        }
    }
}

/// All tensors of a container, in its order.
pub(crate) fn tensors(container: &Container) -> Vec<NamedTensor> {
    match container {
        Container::Keras(file) => keras_tensors(file),
        Container::Safetensors(file) => file.tensors.clone(),
        Container::Torch(file) => file.state_dicts.iter().flat_map(|dict| dict.tensors.clone()).collect(),
        Container::Onnx(file) => {
            let tensor = |proto: &TensorProto| {
                let (name, location) = (proto.name.clone(), proto.name.clone());
                Some(NamedTensor { name, location, tensor: file.tensor(proto).ok()? })
            };
            file.model.graph.iter().flat_map(|graph| &graph.initializer).filter_map(tensor).collect()
        }
    }
}

pub(crate) fn keras_tensors(file: &KerasFile) -> Vec<NamedTensor> {
    match &file.weights {
        KerasWeights::Layers(layers) => layers.iter().flat_map(|layer| layer.tensors.clone()).collect(),
        KerasWeights::Paths(groups) => groups.iter().flat_map(|group| group.tensors.clone()).collect(),
    }
}

/// The bytes of a model of these nodes and tensors.
pub(crate) fn onnx_bytes(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
    let graph = GraphProto { node, initializer, name: "g".to_owned(), ..GraphProto::default() };
    prost::Message::encode_to_vec(&ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() })
}
