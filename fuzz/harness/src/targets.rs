//! The targets: each a function of bytes that must come to an end without a panic.

use std::path::Path;

use bytes::Bytes;
use residua::emit::onnx::OnnxOptions;
use residua::emit::safetensors::{SafetensorsOptions, TensorLayout};
use residua::emit::{EmitError, Staged};
use residua::formats::{Container, open_bytes};
use residua::import::{LoadOptions, from_container, load};
use residua::ir::{Checked, Graph, Tensor, in_full, validate};
use residua::proof::{self, Settings};
use residua::resnet::analyse;
use residua::verify::{OnnxText, Subject, check, check_text};

use crate::lower_limits;

/// A pickle as a file and as `data.pkl` of an archive of PyTorch's, with the walk from its objects to tensors and modules; or any other
/// file of PyTorch's.
pub fn torch(data: &[u8]) {
    lower_limits();
    read(data);
    if !data.starts_with(b"PK") {
        let storage = [0x3f; 256];
        let members: [(&str, &[u8]); 3] = [("data.pkl", data), ("version", b"3\n"), ("data/0", &storage)];
        if let Some(archive) = crate::mutate::archive::stored("archive", &members) {
            read(&archive);
        }
    }
}

/// HDF5: groups, attributes, all elements of all datasets, and the network that they are weights of.
pub fn hdf5(data: &[u8]) {
    lower_limits();
    read(data);
}

/// Keras: HDF5 files and `.keras` archives with the configuration of a network.
pub fn keras(data: &[u8]) {
    lower_limits();
    read(data);
}

/// ONNX: the text of the file, and its graph.
pub fn onnx(data: &[u8]) {
    lower_limits();
    if let Ok(Container::Onnx(file)) = open_bytes(Bytes::copy_from_slice(data)) {
        let findings = check_text(&OnnxText::of_file(file));
        assert!(findings.iter().all(|finding| !finding.message.is_empty()), "a finding that says nothing");
    }
    read(data);
}

/// Safetensors: weights, and graphs of this project.
pub fn safetensors(data: &[u8]) {
    lower_limits();
    read(data);
}

/// Any model, from its bytes through analysis, checks and both writers to the graph that is read back.
///
/// # Panics
/// Where a model that was written is refused when it is read.
pub fn pipeline(data: &[u8]) {
    lower_limits();
    let Some(graph) = read(data) else { return };
    let model = match validate(graph) {
        Ok(model) => model,
        Err(invalid) => {
            let anatomy = analyse(&invalid.typed);
            let _ = check(&Subject::of_invalid(&invalid, &anatomy, None));
            return;
        }
    };
    let anatomy = analyse(&model);
    let _ = check(&Subject::new(&model, &anatomy, None));
    let Ok(folder) = tempfile::tempdir() else { return };
    let at = |name: &str| folder.path().join(name);
    write_and_read(&model, "ONNX", |model| residua::emit::onnx::stage(model, &OnnxOptions::default(), &at("out.onnx")));
    write_and_read(&model, "safetensors", |model| {
        let options = SafetensorsOptions { layout: TensorLayout::Source, float: None };
        residua::emit::safetensors::stage(model, &options, &at("out.safetensors"))
    });
}

fn write_and_read(model: &Checked, format: &str, write: impl Fn(&Checked) -> Result<Staged, EmitError>) {
    let Ok(staged) = write(model) else { return };
    let path = staged.path();
    let again = match reread(&path) {
        Ok(again) => again,
        // Nothing is wrong with a file that a limit is met in.
        Err(error) if error.contains("is beyond the limit of") => return,
        Err(error) => panic!("written as {format}, and refused when it is read: {error}"),
    };
    let (before, after) = (model.graph(), again.graph());
    let ends = |graph: &Graph| (graph.inputs().len(), graph.outputs().len());
    assert_eq!(ends(before), ends(after), "written as {format} with other inputs or outputs");
    let settings = Settings { threads: Some(1), ..Settings::default() };
    // What it finds is no matter of robustness; that it comes to an end is.
    let _ = proof::compare(model, &again, &settings);
}

fn reread(path: &Path) -> Result<Checked, String> {
    let graph = load(path).map_err(|error| in_full(&error))?;
    validate(graph).map_err(|invalid| {
        invalid.findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>().join("; ")
    })
}

/// The network in a file, after all elements of all tensors were looked at.
fn read(data: &[u8]) -> Option<Graph> {
    let container = open_bytes(Bytes::copy_from_slice(data));
    let graph = container.map_err(|error| in_full(&error)).and_then(|container| {
        from_container(container, "fuzzed", &LoadOptions::default()).map_err(|error| in_full(&error))
    });
    match graph {
        Ok(graph) => {
            for parameter in graph.parameters() {
                touch(&parameter.tensor);
            }
            Some(graph)
        }
        Err(message) => {
            assert!(!message.is_empty(), "an error that says nothing");
            None
        }
    }
}

fn touch(tensor: &Tensor) {
    // A damaged chunk is an error here, and may be.
    let _ = tensor.statistics();
}
