//! The tensors of a file, found by the layer that they belong to, and the account of which were used.
//!
//! The two schemes of Keras are told apart here and nowhere else. The legacy one names tensors after layers: one group
//! a layer of the outermost model, in which the tensors of nested models stand side by side, told apart by the end of
//! their names. The newer one numbers objects of a class in the order of the model's list, and variables by position.
//!
//! Invariant: a tensor that nobody took is an error at the end, unless it is a known by-product.

use std::collections::HashMap;

use residua_formats::NamedTensor;
use residua_formats::keras::{KerasWeights, LayerWeights, VariableGroup, snake_case};
use residua_ir::Unused;

use super::config::{Body, Layer, Model};
use crate::error::{Error, Result};

/// Parts of a tensor's name that are tried: models within models, and what wrappers add.
const MAX_PARTS: usize = 32;

/// All tensors of a file.
#[derive(Debug)]
pub(super) struct Store {
    tensors: Vec<Stored>,
    layers: HashMap<String, Owned>,
    /// Whether position, not name, says which of a layer's tensors is which.
    positional: bool,
    /// What layers keep for training.
    training: Vec<Unused>,
}

#[derive(Debug)]
struct Stored {
    named: NamedTensor,
    /// Last part of the name: `kernel`.
    tail: String,
    used: bool,
}

/// Tensors of one layer.
#[derive(Debug, Default)]
struct Owned {
    own: Vec<usize>,
    /// Those of objects within it: a layer that is its activation, the layer in a wrapper, a random generator.
    below: Vec<usize>,
}

/// What to look for.
pub(super) struct Wanted<'a> {
    /// Names that it may have, the usual one first.
    pub(super) names: &'a [&'static str],
    /// Shape that it must have; `None` is any size.
    pub(super) shape: &'a [Option<usize>],
}

impl Store {
    /// # Errors
    /// [`Error::Layer`] where names in the file contradict the configuration.
    pub(super) fn new(weights: KerasWeights, model: &Model<'_>) -> Result<Self> {
        let mut store = Self { tensors: Vec::new(), layers: HashMap::new(), positional: false, training: Vec::new() };
        match weights {
            KerasWeights::Layers(layers) => store.add_layers(layers, model),
            KerasWeights::Paths(groups) => {
                store.positional = true;
                store.add_groups(groups, model)?;
            }
        }
        Ok(store)
    }

    fn push(&mut self, named: NamedTensor) -> usize {
        // TensorFlow numbers what a variable gives (`kernel:0`); colons before its own name are of the layers.
        let own = named.name.rsplit('/').next().unwrap_or_default();
        let tail = own.split(':').next().unwrap_or_default().to_owned();
        self.tensors.push(Stored { named, tail, used: false });
        self.tensors.len() - 1
    }

    fn add_layers(&mut self, groups: Vec<LayerWeights>, model: &Model<'_>) {
        // Every end of the path of every layer in a nested model, by the group it is stored in.
        let mut ends: HashMap<(String, String), String> = HashMap::new();
        let mut nested: HashMap<&str, bool> = HashMap::new();
        // Of a layer within a layer, whose tensors may be named after either.
        let mut wrapped: HashMap<&str, String> = HashMap::new();
        for layer in &model.layers {
            let is_nested = matches!(layer.body, Body::Model(_) | Body::Wrapper(_));
            nested.insert(layer.name, is_nested);
            if let Body::Wrapper(inner) = &layer.body {
                wrapped.insert(layer.name, format!("{}/{}", layer.name, inner.name));
            }
            layer.walk_below(layer.name, &mut |path, leaf| {
                if matches!(leaf.body, Body::Model(_)) {
                    return;
                }
                let full = format!("{}/{path}", model.name);
                let leaf_start = full.len() - leaf.name.len();
                let starts = full.match_indices('/').map(|(at, _)| at + 1).filter(|&at| at < leaf_start);
                for start in starts.chain([0, leaf_start]) {
                    ends.entry((layer.name.to_owned(), full[start..].to_owned())).or_insert_with(|| path.to_owned());
                }
            });
        }
        for group in groups {
            let is_nested = nested.get(group.name.as_str()).copied();
            for named in group.tensors {
                let prefix = named.name.rsplit_once('/').map_or("", |(prefix, _)| prefix).to_owned();
                let index = self.push(named);
                match is_nested {
                    None => {}
                    Some(false) => self.layers.entry(group.name.clone()).or_default().own.push(index),
                    Some(true) => {
                        let found = self.add_nested(&group.name, &prefix, index, &ends);
                        if let (false, Some(path)) = (found, wrapped.get(group.name.as_str())) {
                            self.layers.entry(path.clone()).or_default().own.push(index);
                        }
                    }
                }
            }
        }
    }

    /// Finds the layer whose path ends as `prefix` does, or as what remains of it without its last parts; whether there is one.
    fn add_nested(
        &mut self,
        group: &str,
        prefix: &str,
        index: usize,
        ends: &HashMap<(String, String), String>,
    ) -> bool {
        let mut end = prefix;
        for _ in 0..MAX_PARTS {
            if let Some(path) = ends.get(&(group.to_owned(), end.to_owned())) {
                let owned = self.layers.entry(path.clone()).or_default();
                let list = if end == prefix { &mut owned.own } else { &mut owned.below };
                list.push(index);
                return true;
            }
            match end.rsplit_once('/') {
                Some((shorter, _)) => end = shorter,
                None => return false,
            }
        }
        false
    }

    fn add_groups(&mut self, groups: Vec<VariableGroup>, model: &Model<'_>) -> Result<()> {
        let mut keys = HashMap::new();
        number(model, "layers", "", &mut keys);
        for group in groups {
            let mut key = group.path.as_str();
            let owner = loop {
                if let Some(owner) = keys.get(key) {
                    break Some(owner);
                }
                match key.rsplit_once('/') {
                    Some((shorter, _)) => key = shorter,
                    None => break None,
                }
            };
            let exact = key.len() == group.path.len();
            if let (Some(owner), true, Some(name)) = (owner, exact, &group.name)
                && *name != owner.name
                && !group.tensors.is_empty()
            {
                return Err(Error::Layer {
                    layer: owner.path.clone().into(),
                    kind: owner.class.clone().into(),
                    problem: format!(
                        "its variables should be at {}, but the file says those are `{name}`'s",
                        group.path
                    )
                    .into(),
                });
            }
            for named in group.tensors {
                let index = self.push(named);
                if let Some(owner) = owner {
                    let owned = self.layers.entry(owner.path.clone()).or_default();
                    if exact { owned.own.push(index) } else { owned.below.push(index) }
                }
            }
        }
        Ok(())
    }

    /// Takes the tensors of a layer, in the order that is asked for.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Shape`], naming layer and tensor.
    pub(super) fn take(&mut self, path: &str, wanted: &[Wanted<'_>]) -> Result<Vec<NamedTensor>> {
        let own = self.layers.get(path).map_or(&[][..], |owned| &owned.own);
        // Keras before 2.2 may have numbered parameters instead of naming them; layers of others may give them no name at all.
        let numbered = |tail: &str| {
            ["param_", "variable", "Variable"]
                .iter()
                .find_map(|start| tail.strip_prefix(start))
                .is_some_and(|rest| rest.trim_start_matches('_').bytes().all(|byte| byte.is_ascii_digit()))
        };
        let nameless = own.len() == wanted.len() && own.iter().all(|&i| numbered(&self.tensors[i].tail));
        let mut taken = Vec::with_capacity(wanted.len());
        for (position, want) in wanted.iter().enumerate() {
            let found = if self.positional || nameless {
                own.get(position).copied()
            } else {
                want.names.iter().find_map(|name| own.iter().copied().find(|&i| self.tensors[i].tail == *name))
            };
            let index = found.ok_or_else(|| self.missing(path, want, own))?;
            check_shape(path, want, &self.tensors[index].named)?;
            taken.push(index);
        }
        for &index in &taken {
            self.tensors[index].used = true;
        }
        Ok(taken.into_iter().map(|index| self.tensors[index].named.clone()).collect())
    }

    fn missing(&self, path: &str, want: &Wanted<'_>, own: &[usize]) -> Error {
        let found: Vec<String> = own
            .iter()
            .map(|&index| &self.tensors[index].named)
            .map(|named| format!("{} {:?}", named.name, named.tensor.shape()))
            .collect();
        Error::MissingTensor {
            layer: path.into(),
            tensor: want.names.first().copied().unwrap_or_default().into(),
            expected: shape_text(want.shape).into(),
            found: if found.is_empty() { "nothing".into() } else { found.join(", ").into() },
        }
    }

    /// How many tensors the file has of this layer itself.
    pub(super) fn count(&self, path: &str) -> usize {
        self.layers.get(path).map_or(0, |owned| owned.own.len())
    }

    /// Takes what is left of a layer and of everything within it.
    pub(super) fn take_rest(&mut self, path: &str) -> Vec<NamedTensor> {
        let Some(owned) = self.layers.get(path) else { return Vec::new() };
        let mut rest = Vec::new();
        for &index in owned.own.iter().chain(&owned.below) {
            let stored = &mut self.tensors[index];
            if !stored.used && !is_generator_state(&stored.named) {
                stored.used = true;
                rest.push(stored.named.clone());
            }
        }
        rest
    }

    /// Gives a layer the tensors of another one that lies within it.
    pub(super) fn adopt(&mut self, path: &str, inside: &str) {
        if let Some(Owned { own, below }) = self.layers.remove(inside) {
            self.layers.entry(path.to_owned()).or_default().below.extend(own.into_iter().chain(below));
        }
    }

    /// Takes what is left of a layer as what it needs in training only.
    pub(super) fn leave_to_training(&mut self, path: &str) {
        for named in self.take_rest(path) {
            self.training.push(Unused { location: named.location.into(), reason: "used in training only".to_owned() });
        }
    }

    /// What nothing took and nothing had to.
    ///
    /// # Errors
    /// [`Error::LeftOver`] where a tensor is no by-product.
    pub(super) fn finish(self) -> Result<Vec<Unused>> {
        let (by_products, left): (Vec<_>, Vec<_>) = self
            .tensors
            .into_iter()
            .filter(|stored| !stored.used)
            .partition(|stored| is_generator_state(&stored.named));
        if let Some(first) = left.first() {
            return Err(Error::LeftOver {
                count: left.len(),
                first: format!("{} {:?}", first.named.location, first.named.tensor.shape()).into(),
                why: "the configuration has no layer that takes it".into(),
            });
        }
        let unused = by_products.into_iter().map(|stored| Unused {
            location: stored.named.location.into(),
            reason: "state of a random generator, used in training only".to_owned(),
        });
        Ok(unused.chain(self.training).collect())
    }
}

/// The seeds that dropout and augmentation keep.
fn is_generator_state(named: &NamedTensor) -> bool {
    named.location.split('/').any(|part| part.contains("seed_generator") || part.contains("random_generator"))
        && !named.tensor.dtype().is_float()
}

fn check_shape(path: &str, want: &Wanted<'_>, named: &NamedTensor) -> Result<()> {
    let found = named.tensor.shape();
    let fits = found.len() == want.shape.len() && want.shape.iter().zip(found).all(|(w, f)| w.is_none_or(|w| w == *f));
    if fits {
        return Ok(());
    }
    Err(Error::Shape {
        layer: path.into(),
        tensor: want.names.first().copied().unwrap_or_default().into(),
        location: named.location.clone().into(),
        expected: shape_text(want.shape).into(),
        found: format!("{found:?}").into(),
    })
}

fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|dim| dim.map_or_else(|| "*".to_owned(), |d| d.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

struct Numbered {
    path: String,
    name: String,
    class: String,
}

/// The path that Keras gives each layer's variables: class names in snake case, numbered in the order of the list.
fn number(model: &Model<'_>, container: &str, prefix: &str, keys: &mut HashMap<String, Numbered>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for layer in &model.layers {
        if matches!(layer.body, Body::Operation) {
            continue;
        }
        let class = snake_case(layer.class);
        let count = counts.entry(class.clone()).or_insert(0);
        let key = if *count == 0 { format!("{container}/{class}") } else { format!("{container}/{class}_{count}") };
        *count += 1;
        let path = format!("{prefix}{}", layer.name);
        number_layer(layer, key, path, keys);
    }
}

fn number_layer(layer: &Layer<'_>, key: String, path: String, keys: &mut HashMap<String, Numbered>) {
    if let Body::Model(inner) = &layer.body {
        return number(inner, &format!("{key}/layers"), &format!("{path}/"), keys);
    }
    if let Body::Wrapper(inner) = &layer.body {
        number_layer(inner, format!("{key}/layer"), format!("{path}/{}", inner.name), keys);
    }
    keys.insert(key, Numbered { path, name: layer.name.to_owned(), class: layer.class.to_owned() });
}
