//! All tensors of a file, as they are stored in it, whatever the container.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use residua_formats::keras::KerasWeights;
use residua_formats::onnx::OnnxFile;
use residua_formats::torch::StateDict;
use residua_formats::{Container, NamedTensor};
use residua_ir::budget::Limit;
use residua_ir::{Shown, Tensor, Unused};

/// What a file holds, by place in the file.
pub(super) struct Contents {
    /// Tensors.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// What they are called, where that is not their place.
    names: BTreeMap<String, String>,
    /// What is no tensor that is read, with the reason.
    pub(super) unread: BTreeMap<String, String>,
}

impl Contents {
    /// What the tensor in a place is called.
    pub(super) fn name<'a>(&'a self, location: &'a str) -> &'a str {
        self.names.get(location).map_or(location, String::as_str)
    }
}

/// Reads a file or folder.
pub(super) fn open(path: &Path) -> Result<Contents> {
    let container = residua_formats::open(path)?;
    let mut names = BTreeMap::new();
    let (named, unread): (Vec<NamedTensor>, Vec<Unused>) = match container {
        Container::Keras(file) => {
            let tensors = match file.weights {
                KerasWeights::Layers(layers) => layers.into_iter().flat_map(|layer| layer.tensors).collect(),
                KerasWeights::Paths(groups) => groups.into_iter().flat_map(|group| group.tensors).collect(),
            };
            (tensors, file.unused)
        }
        Container::Onnx(file) => (initializers(&file)?, Vec::new()),
        Container::Safetensors(file) => (file.tensors, file.unused),
        Container::Torch(file) => {
            let of_dict = |dict: StateDict| {
                let path = if dict.path.is_empty() { String::new() } else { format!("{}.", dict.path) };
                dict.tensors
                    .into_iter()
                    .map(move |named| NamedTensor { name: format!("{path}{}", named.name), ..named })
            };
            let tensors: Vec<NamedTensor> = file.state_dicts.into_iter().flat_map(of_dict).collect();
            // The first of several names of one tensor counts.
            let called = tensors.iter().rev().map(|named| (named.location.clone(), named.name.clone()));
            names = called.collect();
            (tensors, file.unused)
        }
    };
    // Two tensors of one location are one: a file may say a tensor twice.
    Ok(Contents {
        tensors: named.into_iter().map(|named| (named.location, named.tensor)).collect(),
        names,
        unread: unread.into_iter().map(|unused| (unused.location.into_raw(), unused.reason)).collect(),
    })
}

/// Initializers, and the tensors that nodes hold themselves under the name of their output.
fn initializers(file: &OnnxFile) -> Result<Vec<NamedTensor>> {
    let Some(graph) = &file.model.graph else { return Ok(Vec::new()) };
    let initializers = graph.initializer.iter().map(|tensor| (&tensor.name, tensor));
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let value = node.attribute.iter().find(|attribute| attribute.name == "value")?;
        Some((node.output.first()?, value.t.as_ref()?))
    });
    let read = |(name, tensor): (&String, _)| {
        let tensor = file.tensor(tensor)?;
        Ok(NamedTensor { name: name.clone(), location: name.clone(), tensor })
    };
    initializers.chain(constants).map(read).collect()
}

/// The files of a model: itself, or what is directly in its folder.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let named = || format!("cannot list {}", path.shown());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(named)? {
        let entry = entry.with_context(named)?;
        if entry.file_type().with_context(named)?.is_file() {
            files.push(entry.path());
        }
        Limit::FolderFiles.check_here(files.len()).with_context(named)?;
    }
    files.sort();
    Ok(files)
}
