//! The containers that Keras writes: whole models and weights alone, Keras 2 and 3.
//!
//! The model's configuration is parsed as JSON and handed on; nothing in it is looked up, imported or run. Order is
//! taken from the attributes that state it and from the numbers in names, never from the order of links in the file.
//!
//! Invariant: each dataset of the file is in [`KerasFile::weights`] or in [`KerasFile::unused`].

pub(crate) mod archive;
pub(crate) mod beside;
mod legacy;
mod paths;
mod task;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::{Format, Unused};

use crate::error::Result;
use crate::folder::Folder;
use crate::{FormatError, NamedTensor, hdf5};
use paths::Variables;
pub use task::snake_case;

/// What a Keras file holds.
#[derive(Debug, Clone)]
pub struct KerasFile {
    /// Which of the containers it is.
    pub kind: KerasKind,
    /// Version of Keras that wrote it, where it says so.
    pub version: Option<String>,
    /// Backend that it was written with, where it says so.
    pub backend: Option<String>,
    /// The model: an object with `class_name` and `config`. None where the file holds weights only.
    pub config: Option<serde_json::Value>,
    /// The weights.
    pub weights: KerasWeights,
    /// Datasets that are no weights of the model.
    pub unused: Vec<Unused>,
    /// The file beside the weights that the configuration was read from, where it is in none with them.
    pub beside: Option<String>,
}

/// Which container of Keras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KerasKind {
    /// `model.save("m.h5")`: configuration and weights in one HDF5 file.
    WholeH5,
    /// Keras 2's `save_weights("w.h5")`, and the Keras Applications downloads.
    LegacyWeightsH5,
    /// Keras 3's `save_weights("w.weights.h5")`.
    WeightsH5,
    /// `model.save("m.keras")`.
    Zip,
    /// The same, not zipped.
    Folder,
}

impl KerasKind {
    /// The same among all containers.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            KerasKind::WholeH5 => Format::KerasH5,
            KerasKind::LegacyWeightsH5 => Format::KerasLegacyWeightsH5,
            KerasKind::WeightsH5 => Format::KerasWeightsH5,
            KerasKind::Zip => Format::KerasZip,
            KerasKind::Folder => Format::KerasFolder,
        }
    }
}

/// How a file names its weights.
#[derive(Debug, Clone)]
pub enum KerasWeights {
    /// By layer, as the legacy HDF5 format does: in the order of `layer_names`.
    Layers(Vec<LayerWeights>),
    /// By the path of objects in the model, as Keras 3 does: numbers in names in their numeric order.
    Paths(Vec<VariableGroup>),
}

/// The weights of one layer; none for most layers.
#[derive(Debug, Clone)]
pub struct LayerWeights {
    /// Name of the layer.
    pub name: String,
    /// Its weights, in the order of `weight_names`.
    pub tensors: Vec<NamedTensor>,
}

/// The variables of one object of a model; none for a layer without weights.
#[derive(Debug, Clone)]
pub struct VariableGroup {
    /// Path of the object: `layers/functional/layers/conv2d_3`; empty for the model itself. Files of the time when
    /// the first part was called `_layer_checkpoint_dependencies` are given as `layers` too.
    pub path: String,
    /// Name of the layer, which Keras 3.6 and later note beside its variables.
    pub name: Option<String>,
    /// Its variables, by index.
    pub tensors: Vec<NamedTensor>,
}

/// Reads any of the HDF5 files of Keras.
pub(crate) fn read_h5(bytes: Bytes) -> Result<KerasFile> {
    let root = hdf5::open(bytes)?;
    if legacy::is_legacy(&root) {
        return legacy::read(&root);
    }
    let mut variables = Variables::default();
    variables.add_file(&root)?;
    let version = root.string("keras_version")?;
    let backend = root.string("backend")?;
    Ok(weights_file(variables, version, backend))
}

/// Reads the files that an index of Keras names.
pub(crate) fn read_shards(folder: &Folder, names: &BTreeMap<String, Vec<String>>) -> Result<KerasFile> {
    let files: BTreeSet<&String> = names.values().flatten().collect();
    FormatError::check("weight_map", Limit::Shards, files.len() as u64)?;
    let mut variables = Variables::default();
    for file in files {
        let root = hdf5::open(folder.map("weight_map", file)?).map_err(|error| error.within(file))?;
        variables.add_file(&root).map_err(|error| error.within(file))?;
    }
    Ok(weights_file(variables, None, None))
}

fn weights_file(mut variables: Variables, version: Option<String>, backend: Option<String>) -> KerasFile {
    let unused = std::mem::take(&mut variables.unused);
    let weights = KerasWeights::Paths(variables.into_groups());
    KerasFile { kind: KerasKind::WeightsH5, version, backend, config: None, weights, unused, beside: None }
}
