//! The layout of `.weights.h5` files: a group for each object of the model, its variables numbered in `vars`.

use std::collections::BTreeMap;

use residua_ir::Unused;

use super::VariableGroup;
use crate::error::Result;
use crate::hdf5::Group;
use crate::{FormatError, NamedTensor};

const VARIABLES: &str = "vars";
/// What the first part of a path was called in Keras 2.12 and 2.13.
const OLD_LAYERS: &str = "_layer_checkpoint_dependencies";

/// Whether every dataset is where this layout has them, and there is one, or a place for one.
fn is_paths(root: &Group) -> bool {
    let datasets = root.all_datasets();
    let fits = |path: &str| path.rsplit('/').nth(1) == Some(VARIABLES);
    let layers = root.groups.contains_key("layers") || root.groups.contains_key(OLD_LAYERS);
    datasets.iter().all(|dataset| fits(&dataset.path)) && (layers || !datasets.is_empty())
}

/// The variables of a model that may be spread over several files.
#[derive(Default)]
pub(super) struct Variables {
    /// By the parts of their paths, and by the path, since `a_1` and `a_01` have the same parts.
    groups: BTreeMap<(Vec<Part>, String), VariableGroup>,
    pub(super) unused: Vec<Unused>,
}

/// One part of a path, ordered so that `conv2d_2` comes before `conv2d_10` and behind `conv2d`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Part(String, u64);

impl Part {
    fn new(name: &str) -> Self {
        let numbered = name.rsplit_once('_').and_then(|(stem, number)| Some((stem, number.parse().ok()?)));
        let (stem, number) = numbered.unwrap_or((name, 0));
        Self(stem.to_owned(), number)
    }
}

impl Variables {
    /// Adds what one file holds.
    pub(super) fn add_file(&mut self, root: &Group) -> Result<()> {
        if is_paths(root) {
            return self.add(root);
        }
        let names: Vec<String> =
            root.groups.keys().chain(root.datasets.keys()).take(5).map(|name| format!("`{name}`")).collect();
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let what = format!("an HDF5 file that Keras did not write (at its root: {there})");
        Err(FormatError::unsupported("", what, "whole models and weights that Keras 2 or 3 saved are read"))
    }

    fn add(&mut self, group: &Group) -> Result<()> {
        if let Some((path, variables)) = variables(group) {
            if let Some(reason) = by_product(&path) {
                self.leave(variables, reason);
            } else {
                self.add_variables(path, variables)?;
            }
        }
        for (name, below) in &group.groups {
            if name != VARIABLES {
                self.add(below)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, variables: &Group, reason: &str) {
        let all = variables.all_datasets().into_iter();
        self.unused.extend(all.map(|d| Unused { location: d.path.clone().into(), reason: reason.to_owned() }));
    }

    fn add_variables(&mut self, path: String, variables: &Group) -> Result<()> {
        let key = (path.split('/').map(Part::new).collect(), path.clone());
        let name = variables.string("name")?;
        let group = self.groups.entry(key).or_insert(VariableGroup { path, name: None, tensors: Vec::new() });
        group.name = group.name.take().or(name);
        for (name, dataset) in &variables.datasets {
            if group.tensors.iter().any(|tensor| tensor.name == *name) {
                return Err(FormatError::malformed(&*dataset.path, "each variable once", "one of two shards"));
            }
            let tensor = dataset.tensor()?;
            group.tensors.push(NamedTensor { name: name.clone(), location: dataset.path.clone(), tensor });
        }
        group.tensors.sort_by_cached_key(|tensor| (tensor.name.parse::<u64>().ok(), tensor.name.clone()));
        if let Some(below) = variables.groups.values().find(|below| !below.all_datasets().is_empty()) {
            return Err(FormatError::malformed(&*below.path, "variables of an object", "a group of more"));
        }
        Ok(())
    }

    pub(super) fn into_groups(self) -> Vec<VariableGroup> {
        self.groups.into_values().collect()
    }
}

/// The group of a model's object and its variables.
fn variables(group: &Group) -> Option<(String, &Group)> {
    let variables = group.groups.get(VARIABLES)?;
    let path = match group.path.strip_prefix(OLD_LAYERS) {
        Some(rest) => format!("layers{rest}"),
        None => group.path.clone(),
    };
    Some((path, variables))
}

/// Why these variables are no weights, where they are none.
fn by_product(path: &str) -> Option<&'static str> {
    let (first, last) = (path.split('/').next()?, path.rsplit('/').next()?);
    match (first, last) {
        ("optimizer" | "_optimizer", _) => Some("optimizer state"),
        ("metrics" | "compile_metrics" | "_compile_metrics" | "compiled_metrics", _) => Some("metric state"),
        (_, "seed_generator") => Some("state of a random number generator"),
        _ => None,
    }
}
