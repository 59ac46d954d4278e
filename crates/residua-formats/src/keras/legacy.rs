//! The layout of `.h5` files: a group for each layer, and lists of names that give the order.

use std::collections::BTreeSet;

use residua_ir::Unused;

use super::{KerasFile, KerasKind, KerasWeights, LayerWeights};
use crate::error::Result;
use crate::hdf5::{self, Group};
use crate::{FormatError, NamedTensor, json};

/// Whether the root has what either of the two legacy files has.
pub(super) fn is_legacy(root: &Group) -> bool {
    is_whole(root) || root.has("layer_names")
}

fn is_whole(root: &Group) -> bool {
    root.has("model_config") || (root.group("model_weights").is_some_and(|weights| weights.has("layer_names")))
}

/// Reads a whole model, or its weights alone.
pub(super) fn read(root: &Group) -> Result<KerasFile> {
    let whole = is_whole(root);
    let weights = if whole {
        root.group("model_weights").ok_or_else(|| {
            FormatError::malformed("", "a group `model_weights` beside the model's configuration", "none")
        })?
    } else {
        root
    };
    let config = match root.string("model_config")? {
        Some(text) => Some(json::parse("@model_config", text.as_bytes())?),
        None => None,
    };
    let either = |name| Ok(root.string(name)?.or(weights.string(name)?));
    let version = either("keras_version")?;
    let backend = either("backend")?;

    let mut used = BTreeSet::new();
    let layers = layers(weights, &mut used)?;
    let left = root.all_datasets().into_iter().filter(|dataset| !used.contains(&dataset.path));
    let unused = left.map(|dataset| by_product(&dataset.path)).collect::<Result<_>>()?;
    Ok(KerasFile {
        kind: if whole { KerasKind::WholeH5 } else { KerasKind::LegacyWeightsH5 },
        version,
        backend,
        config,
        weights: KerasWeights::Layers(layers),
        unused,
        beside: None,
    })
}

/// Why a dataset is no weight of a layer; an error where it ought to be one.
fn by_product(path: &str) -> Result<Unused> {
    let unused = |reason: &str| Ok(Unused { location: path.into(), reason: reason.to_owned() });
    match path.split('/').find(|part| *part != "model_weights") {
        Some("optimizer_weights") => unused("optimizer state"),
        Some("top_level_model_weights") => unused("a weight of the model itself, of none of its layers"),
        Some(_) | None => {
            let expected = "only datasets that the `weight_names` of a layer list";
            Err(FormatError::malformed(path, expected, "one that none lists"))
        }
    }
}

fn layers(weights: &Group, used: &mut BTreeSet<String>) -> Result<Vec<LayerWeights>> {
    let names = weights
        .list("layer_names")?
        .ok_or_else(|| FormatError::malformed(&*weights.path, "an attribute `layer_names`", "none"))?;
    let mut seen = BTreeSet::new();
    let mut layers = Vec::with_capacity(names.len());
    for name in names {
        let at = hdf5::join(&weights.path, &name);
        if !seen.insert(name.clone()) {
            return Err(FormatError::malformed(at, "each layer once in `layer_names`", "this one twice"));
        }
        let group = weights
            .group(&name)
            .ok_or_else(|| FormatError::malformed(&*at, "a group for each of `layer_names`", "none"))?;
        layers.push(LayerWeights { tensors: tensors(group, used)?, name });
    }
    Ok(layers)
}

fn tensors(layer: &Group, used: &mut BTreeSet<String>) -> Result<Vec<NamedTensor>> {
    let Some(names) = layer.list("weight_names")? else {
        return Err(FormatError::malformed(&*layer.path, "an attribute `weight_names`", "none"));
    };
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let at = hdf5::join(&layer.path, &name);
        let dataset = layer
            .dataset(&name)
            .ok_or_else(|| FormatError::malformed(&*at, "a dataset for each of `weight_names`", "none"))?;
        if !used.insert(dataset.path.clone()) {
            return Err(FormatError::malformed(at, "each dataset once in `weight_names`", "this one twice"));
        }
        tensors.push(NamedTensor { name, location: dataset.path.clone(), tensor: dataset.tensor()? });
    }
    Ok(tensors)
}
