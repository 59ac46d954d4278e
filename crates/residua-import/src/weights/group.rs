//! The weights of a file, a group a layer, whichever way the file lists them.

use residua_formats::NamedTensor;
use residua_formats::keras::{KerasWeights, LayerWeights, VariableGroup};

/// All layers of a file.
#[derive(Debug, Default)]
pub(super) struct Groups<'a> {
    /// The layers, those of one class in the model's order.
    pub(super) layers: Vec<Group<'a>>,
    /// Name of the nested model that the file holds, with layers of its own behind it.
    pub(super) model: Option<String>,
    /// Whether the file lists the layers without weights as well.
    pub(super) lists_weightless: bool,
}

/// The weights of one layer; none for most layers.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// Name of the layer, where the file has it.
    pub(super) name: Option<String>,
    /// What Keras makes names of: `batch_normalization`, where the key is such a name.
    pub(super) class: String,
    /// Path in the file.
    pub(super) path: String,
    /// In Keras's order.
    pub(super) tensors: Vec<&'a NamedTensor>,
    /// Whether it lies beside a nested model, not in it.
    pub(super) outer: bool,
}

/// What a layer is, by the shapes of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Kernel `[rows, columns, in, out]`, and whether there is a bias.
    Conv { kernel: [usize; 4], bias: bool },
    /// As many channels.
    Norm(usize),
    /// `[in, out]`.
    Dense([usize; 2]),
    /// No tensors.
    Empty,
    /// Anything else.
    Other,
}

impl Group<'_> {
    /// What it is called in messages.
    pub(super) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.path)
    }

    pub(super) fn kind(&self) -> Kind {
        let shapes: Vec<&[usize]> = self.tensors.iter().map(|named| named.tensor.shape()).collect();
        match shapes[..] {
            [] => Kind::Empty,
            [&[h, w, i, o]] => Kind::Conv { kernel: [h, w, i, o], bias: false },
            [&[h, w, i, o], &[bias]] if bias == o => Kind::Conv { kernel: [h, w, i, o], bias: true },
            [&[i, o], &[bias]] if bias == o => Kind::Dense([i, o]),
            [&[a], &[b], &[c], &[d]] if a == b && a == c && a == d => Kind::Norm(a),
            _ => Kind::Other,
        }
    }
}

/// The groups of a file.
pub(super) fn of(weights: &KerasWeights) -> Groups<'_> {
    let mut groups = match weights {
        KerasWeights::Layers(layers) => from_layers(layers),
        KerasWeights::Paths(paths) => from_paths(paths),
    };
    // The legacy format lists nothing of a nested model but its weights.
    let legacy_nested = groups.model.is_some() && matches!(weights, KerasWeights::Layers(_));
    groups.lists_weightless = !legacy_nested && groups.layers.iter().any(|group| group.tensors.is_empty());
    if groups.model.is_none() {
        groups.layers.iter_mut().for_each(|group| group.outer = false);
    }
    groups
}

fn from_layers(layers: &[LayerWeights]) -> Groups<'_> {
    let mut groups = Groups::default();
    for layer in layers {
        let inner = inner_layers(layer);
        let nested = inner.len() > 1;
        if nested {
            groups.model.get_or_insert_with(|| layer.name.clone());
        }
        for (name, tensors) in inner {
            let name = if nested { name.to_owned() } else { layer.name.clone() };
            let path = if nested { format!("{}/{name}", layer.name) } else { layer.name.clone() };
            groups.layers.push(Group { class: class_of(&name), name: Some(name), path, tensors, outer: !nested });
        }
    }
    groups
}

/// The tensors of a group by the layer that their names begin with: several for a nested model, whose tensors lie in one
/// flat group, the trained ones of all layers before the others.
fn inner_layers(layer: &LayerWeights) -> Vec<(&str, Vec<&NamedTensor>)> {
    let mut inner: Vec<(&str, Vec<&NamedTensor>)> = Vec::new();
    let mut at = std::collections::HashMap::new();
    for named in &layer.tensors {
        let prefix = named.name.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        let index = *at.entry(prefix).or_insert(inner.len());
        if index == inner.len() {
            inner.push((prefix, Vec::new()));
        }
        inner[index].1.push(named);
    }
    if inner.is_empty() {
        inner.push(("", Vec::new()));
    }
    inner
}

fn from_paths(paths: &[VariableGroup]) -> Groups<'_> {
    let mut groups = Groups::default();
    for group in paths.iter().filter(|group| !group.path.is_empty()) {
        let (parent, key) = group.path.rsplit_once('/').unwrap_or(("", &group.path));
        let outer = parent.matches("layers").count() < 2;
        // A nested model is listed as a layer without variables of its own.
        let is_model = group.tensors.is_empty() && paths.iter().any(|other| is_below(&other.path, &group.path));
        if is_model {
            groups.model = Some(group.name.clone().unwrap_or_else(|| key.to_owned()));
            continue;
        }
        if !outer {
            groups.model.get_or_insert_with(|| key.to_owned());
        }
        let tensors = group.tensors.iter().collect();
        let class = class_of(key);
        groups.layers.push(Group { name: group.name.clone(), class, path: group.path.clone(), tensors, outer });
    }
    groups
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

/// A name without the number that Keras puts behind names it makes up.
fn class_of(name: &str) -> String {
    let base = name.rsplit_once('_').filter(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    base.map_or(name, |(base, _)| base).to_owned()
}

#[cfg(test)]
mod tests {
    use super::class_of;

    #[test]
    fn only_a_number_at_the_end_is_taken_off() {
        for (name, class) in [
            ("conv2d", "conv2d"),
            ("conv2d_12", "conv2d"),
            ("global_average_pooling2d_1", "global_average_pooling2d"),
            ("re_lu", "re_lu"),
        ] {
            assert_eq!(class_of(name), class);
        }
    }
}
