//! Strict binding: a recipe's layers to a file's groups, one to one, and nothing left over.

use std::collections::BTreeMap;

use residua_ir::{Activation, Graph, Hint, Source, Tensor, TensorError, Unused};
use residua_resnet::layouts::{fields, snake_case};
use residua_resnet::recipe::{Bound, KerasModelClass, Layer, LayerKind, Recipe, Wanted};
use residua_resnet::{Component, Field, Position};

use super::describe_group;
use super::group::{Group, Groups, Kind};
use crate::error::{Error, Result};

/// Layers without weights that do nothing when run, as Keras writes their classes into names.
const IDENTITIES: [&str; 12] = [
    "dropout",
    "spatial_dropout2d",
    "gaussian_noise",
    "gaussian_dropout",
    "alpha_dropout",
    "activity_regularization",
    "random_flip",
    "random_rotation",
    "random_zoom",
    "random_translation",
    "random_contrast",
    "random_brightness",
];

/// For each layer of a recipe its group; none for most of those without weights.
pub(super) struct Matched<'g, 'a> {
    pub(super) groups: Vec<Option<&'g Group<'a>>>,
    pub(super) notes: Vec<String>,
}

/// Matches all layers, with weights and without.
///
/// # Errors
/// The first thing that does not fit, in words.
pub(super) fn match_layers<'g, 'a>(
    model_class: KerasModelClass,
    layers: &[Layer],
    groups: &'g Groups<'a>,
    by_name: bool,
) -> Result<Matched<'g, 'a>, String> {
    let (weighted, empty): (Vec<&Group>, Vec<&Group>) = groups.layers.iter().partition(|g| !g.tensors.is_empty());
    let mut matched = vec![None; layers.len()];
    let mut pool = Pool::new(weighted);
    for (layer, slot) in layers.iter().zip(&mut matched) {
        if layer.tensors().is_empty() {
            continue;
        }
        // A dense layer of another name is still the only one.
        let named = by_name && layer.class != "Dense";
        let fits =
            |group: &Group| if named { group.name.as_deref() == Some(&layer.name) } else { class_fits(layer, group) };
        let Some(group) = pool.take(fits) else {
            return Err(format!("the file has nothing for its {} `{}` ({})", layer.class, layer.name, layer.position));
        };
        check_shapes(layer, group)?;
        *slot = Some(group);
    }
    if let Some(first) = pool.left().next() {
        let count = pool.left().count();
        return Err(format!("{count} layers of the file are not in it, the first is {}", describe_group(first)));
    }
    let notes = match_weightless(model_class, layers, groups, Pool::new(empty), by_name, &mut matched)?;
    Ok(Matched { groups: matched, notes })
}

/// Groups that are taken one by one.
struct Pool<'g, 'a> {
    groups: Vec<(&'g Group<'a>, bool)>,
}

impl<'g, 'a> Pool<'g, 'a> {
    fn new(groups: Vec<&'g Group<'a>>) -> Self {
        Self { groups: groups.into_iter().map(|group| (group, false)).collect() }
    }

    /// The first group that fits and was not taken.
    fn take(&mut self, fits: impl Fn(&Group) -> bool) -> Option<&'g Group<'a>> {
        let (group, taken) = self.groups.iter_mut().find(|(group, taken)| !taken && fits(group))?;
        *taken = true;
        Some(group)
    }

    fn left(&self) -> impl Iterator<Item = &'g Group<'a>> + '_ {
        self.groups.iter().filter(|(_, taken)| !taken).map(|(group, _)| *group)
    }
}

fn class_fits(layer: &Layer, group: &Group) -> bool {
    match group.kind() {
        Kind::Conv { .. } => matches!(layer.kind, LayerKind::Conv { .. }),
        Kind::Norm(_) => matches!(layer.kind, LayerKind::BatchNorm { .. }),
        Kind::Dense(_) => matches!(layer.kind, LayerKind::Dense { .. }),
        Kind::Empty | Kind::Other => false,
    }
}

/// Keras's shape of a tensor that has this shape here.
fn keras_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [o, i, h, w] => vec![h, w, i, o],
        [o, i] => vec![i, o],
        _ => shape.to_vec(),
    }
}

fn check_shapes(layer: &Layer, group: &Group) -> Result<(), String> {
    let expected: Vec<Vec<usize>> = layer.tensors().iter().map(|(_, shape)| keras_shape(shape)).collect();
    let found: Vec<Vec<usize>> = group.tensors.iter().map(|named| named.tensor.shape().to_vec()).collect();
    if expected == found {
        return Ok(());
    }
    let text = |shapes: &[Vec<usize>]| shapes.iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>().join(" ");
    let (name, expected, found) = (&layer.name, text(&expected), text(&found));
    Err(format!(
        "its {} `{name}` ({}) has tensors {expected}, `{}` has {found}",
        layer.class,
        layer.position,
        group.label()
    ))
}

/// Matches the layers without weights that a file lists: they tell apart networks whose weights are alike.
fn match_weightless<'g, 'a>(
    model_class: KerasModelClass,
    layers: &[Layer],
    groups: &Groups,
    mut empty: Pool<'g, 'a>,
    by_name: bool,
    matched: &mut [Option<&'g Group<'a>>],
) -> Result<Vec<String>, String> {
    // What the old package's releases list besides weights differs.
    let complete = groups.lists_weightless && model_class != KerasModelClass::Old;
    for exact in [true, false] {
        for (layer, slot) in layers.iter().zip(matched.iter_mut()) {
            if slot.is_none() && layer.tensors().is_empty() && (!exact || by_name) {
                *slot =
                    empty.take(|g| if exact { g.name.as_deref() == Some(&layer.name) } else { same_class(layer, g) });
            }
        }
    }
    let first = empty.groups.first().map(|(group, _)| *group);
    for (layer, slot) in layers.iter().zip(matched.iter_mut()).filter(|(_, slot)| slot.is_none()) {
        if layer.position == Position::Input {
            // It may have any name, and a sequential model lists none.
            *slot = empty.take(|group| first.is_some_and(|first| std::ptr::eq(first, group)));
        } else if complete {
            let (class, name, position) = (layer.class, &layer.name, layer.position);
            return Err(format!("the file lists no layer that is its {class} `{name}` ({position}){}", says(position)));
        }
    }
    let mut notes = Vec::new();
    for group in empty.left() {
        notes.extend(extra(group)?);
    }
    Ok(notes)
}

/// The option that says that a layer without weights is not there.
fn says(position: Position) -> String {
    match position {
        Position::Pool | Position::PoolPad => format!("; `{} nopool` says that it has none", Hint::Stem),
        Position::Block { component: Component::ShortcutPool, .. } => {
            format!("; `{}` says which stages have a stride", Hint::Strides)
        }
        Position::Input
        | Position::Stem(_)
        | Position::Block { .. }
        | Position::FinalNorm
        | Position::FinalActivation
        | Position::HeadPool
        | Position::OneHeadPool(_)
        | Position::Flatten
        | Position::Dense(_)
        | Position::Head(_) => String::new(),
    }
}

fn same_class(layer: &Layer, group: &Group) -> bool {
    let class = snake_case(layer.class);
    group.class == class
        || match layer.kind {
            LayerKind::Activation(Activation::Relu { negative_slope, .. }) if negative_slope > 0.0 => {
                group.class == "leaky_re_lu" || group.class == "re_lu"
            }
            LayerKind::Activation(Activation::Elu { .. }) => group.class == "elu",
            LayerKind::Activation(_) => group.class == "re_lu",
            _ => false,
        }
}

/// What a layer of the file means that the recipe does not have.
fn extra(group: &Group) -> Result<Option<String>, String> {
    let class = group.class.as_str();
    if matches!(class, "input" | "input_layer" | "flatten") {
        // Inputs of nested models; flattening of what a global pool gives.
        return Ok(None);
    }
    if IDENTITIES.contains(&class) {
        return Ok(Some(format!("`{}` does nothing when run, and is left out", group.label())));
    }
    if class == "rescaling" {
        return Ok(Some(format!(
            "the factor of `{}` is not in the file: the network begins behind it and takes images that are rescaled already",
            group.label()
        )));
    }
    Err(format!("the file lists `{}`, which it does not have", group.label()))
}

/// The graph of a recipe with the tensors of its groups.
///
/// # Errors
/// [`Error::Tensor`] for a tensor that cannot be viewed as it must; matched shapes leave none.
pub(super) fn build(
    recipe: &Recipe,
    groups: &BTreeMap<Position, &Group>,
    source: Source,
    unused: Vec<Unused>,
) -> Result<Graph> {
    recipe.build(source, unused, &mut |wanted: &Wanted| {
        let named = groups.get(&wanted.slot.position).and_then(|group| group.tensors.get(wanted.index));
        let Some(named) = named else {
            return Err(Error::MissingTensor {
                layer: wanted.layer.name.clone().into(),
                tensor: wanted.slot.field.to_string().into(),
                expected: format!("{:?}", wanted.shape).into(),
                found: "nothing".into(),
            });
        };
        let tensor = view(&named.tensor, wanted)
            .map_err(|source| Error::Tensor { tensor: named.location.clone().into(), source })?;
        let name = format!("{}/{}", wanted.layer.name, keras_name(wanted.layer.class, wanted.slot.field));
        Ok(Bound { tensor, name, location: named.location.clone() })
    })
}

fn keras_name(class: &str, field: Field) -> String {
    let known = fields(class).iter().find(|(f, _)| *f == field);
    known.map_or_else(|| field.to_string(), |(_, name)| (*name).to_owned())
}

/// Keras's axes to ours: HWIO to OIHW, `[in, out]` to `[out, in]`, and the rows of a dense layer behind flattened
/// pixels from HWC to CHW.
fn view(tensor: &Tensor, wanted: &Wanted) -> Result<Tensor, TensorError> {
    match (tensor.shape().len(), wanted.flattened) {
        (4, _) => tensor.permute(&[3, 2, 0, 1]),
        (2, Some([channels, height, width])) if height * width > 1 => {
            let out = tensor.shape()[1];
            tensor
                .reshape(&[height, width, channels, out])?
                .permute(&[2, 0, 1, 3])?
                .reshape(&[channels * height * width, out])?
                .permute(&[1, 0])
        }
        (2, _) => tensor.permute(&[1, 0]),
        _ => Ok(tensor.clone()),
    }
}
