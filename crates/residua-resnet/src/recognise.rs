//! Networks told from the names and shapes of their tensors.
//!
//! Each model class whose layout has a place for every name is tried strictly: the form is read off the shapes, the
//! class says whether it can build it, and every tensor of the recipe must be there with its shape, none left over.
//! What names and shapes leave open is taken from the class, unless it is [`Given`], and returned as a [`Choice`].

mod open;
mod widths;

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::{Activation, Hint};

use crate::anatomy::BlockKind;
use crate::form::{Form, StageForm, StemForm, StrideIn};
use crate::layouts::{Headless, MODEL_LIBRARIES, ModelClass, ModelLibrary};
use crate::recipe::{Biases, Classifier, Framework, Head, HeadPool, Input, Norms, Own, Projections, Recipe, Sizes};
use crate::slot::{Component, Field, Position, Slot};

pub use open::{GivenDilation, GivenStem, Impossible, STRIDES, StemPool};

/// A tensor by its name and its shape as stored.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, without prefixes of wrappers.
    pub name: String,
    /// Its shape as stored.
    pub shape: Vec<usize>,
}

/// What is known of a network besides names and shapes.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The layout.
    pub library: Option<&'static ModelLibrary>,
    /// Number of the convolution of a bottleneck that carries the stride.
    pub stride_on: Option<usize>,
    /// Stride of the first stage.
    pub first_stride: Option<usize>,
    /// Strides of all stages.
    pub strides: Option<Vec<usize>>,
    /// Dilations of all stages.
    pub dilations: Option<Vec<GivenDilation>>,
    /// Stride of the whole network up to its last map, where dilations replace what would make it more.
    pub output_stride: Option<usize>,
    /// The stem.
    pub stem: GivenStem,
    /// Epsilon of all norms.
    pub epsilon: Option<f64>,
    /// What single layers are said to have.
    pub own: BTreeMap<Position, Own>,
    /// Groups of group norms.
    pub norm_groups: Option<usize>,
    /// Activation of stem and blocks.
    pub activation: Option<Activation>,
    /// What a network without a classifier gives.
    pub headless: Option<Headless>,
    /// How pixels become features.
    pub head_pool: Option<HeadPool>,
}

/// Something that names and shapes leave open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What was taken, in words.
    pub taken: String,
    /// What says otherwise, where something can.
    pub hints: Vec<Hint>,
}

/// A network that was told from its tensors.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recognised {
    /// Whose layout it is.
    pub library: &'static ModelLibrary,
    /// Its model class.
    pub class: &'static ModelClass,
    /// The network.
    pub recipe: Recipe,
    /// Which of the entries each tensor is, counters among them.
    pub slots: BTreeMap<Slot, usize>,
    /// What was left open.
    pub choices: Vec<Choice>,
    /// What of what was given cannot be.
    pub impossible: Option<Impossible>,
    /// Whether all tensors have the names of the layout, the classifier's too.
    pub exact: bool,
}

impl Recognised {
    /// The place of a layer by its name; [`None`] for a name that is not of the layout.
    #[must_use]
    pub fn position(&self, layer: &str) -> Option<Position> {
        position_of(self.class, self.recipe.form.stem, layer)
    }
}

fn position_of(class: &ModelClass, stem: StemForm, layer: &str) -> Option<Position> {
    let layout = class.layout();
    let position = layout.position(layer).or_else(|| layout.position(&format!("{}{layer}", layout.optional)))?;
    Some(if stem == StemForm::Deep { behind_deep_stem(position) } else { position })
}

/// Why a model class is not the one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The class.
    pub class: &'static str,
    /// Why not.
    pub reason: String,
    /// How many of the tensors have a name of its layout.
    pub named: usize,
}

/// Where a tensor is among the entries, and its shape in this project's order.
pub(crate) type Found = BTreeMap<Slot, (usize, Vec<usize>)>;

/// Tells a network from its tensors.
///
/// # Errors
/// Why it is none that is known: for each class whose layout names at least one tensor, the nearest first.
pub fn recognise(entries: &[Entry], given: &Given) -> Result<Recognised, Vec<Mismatch>> {
    let mut mismatches = Vec::new();
    let mut nearly = None;
    let libraries =
        MODEL_LIBRARIES.into_iter().filter(|library| given.library.is_none_or(|wanted| wanted.name == library.name));
    for library in libraries {
        for &class in library.model_classes {
            let (found, left) = assign(class, entries);
            match attempt(library, class, entries, &found, &left, given) {
                Ok(recognised) if recognised.exact => return Ok(recognised),
                Ok(recognised) => nearly = nearly.or(Some(recognised)),
                Err(reason) if !found.is_empty() => {
                    mismatches.push(Mismatch { class: class.describe, reason, named: found.len() });
                }
                Err(_) => {}
            }
        }
    }
    mismatches.sort_by_key(|mismatch| std::cmp::Reverse(mismatch.named));
    nearly.ok_or(mismatches)
}

/// The tensors that a class's layout names, and those that it does not.
pub(crate) fn assign(class: &ModelClass, entries: &[Entry]) -> (Found, Vec<usize>) {
    let layout = class.layout();
    let bare = !layout.optional.is_empty() && !entries.iter().any(|entry| entry.name.starts_with(layout.optional));
    let mut found = Found::new();
    let mut left = Vec::new();
    // Of several tables of one layout, single and triple stems share names: the norm behind `conv1.6` is `bn1` too.
    let deep = entries.iter().any(|entry| {
        matches!(layout.slot(&entry.name), Some(Slot { position: Position::Stem(Component::Conv(1..)), .. }))
    });
    for (index, entry) in entries.iter().enumerate() {
        let slot = layout.slot(&entry.name);
        let slot = slot.or_else(|| bare.then(|| layout.slot(&format!("{}{}", layout.optional, entry.name)))?);
        match slot {
            Some(slot) => {
                let slot = if deep { Slot { position: behind_deep_stem(slot.position), ..slot } } else { slot };
                let shape = layout.shape(slot, &entry.shape);
                if found.insert(slot, (index, shape)).is_some() {
                    left.push(index);
                }
            }
            None => left.push(index),
        }
    }
    (found, left)
}

/// Layouts name what follows the stem alike, be it one convolution or three.
fn behind_deep_stem(position: Position) -> Position {
    match position {
        Position::Stem(Component::Norm(0)) => Position::Stem(Component::Norm(3)),
        Position::Stem(Component::Activation(0)) => Position::Stem(Component::Activation(3)),
        other => other,
    }
}

pub(crate) fn attempt(
    library: &'static ModelLibrary,
    class: &'static ModelClass,
    entries: &[Entry],
    found: &Found,
    left: &[usize],
    given: &Given,
) -> Result<Recognised, String> {
    let mut found = found.clone();
    let mut choices = Vec::new();
    let renamed = classifier_of_another_name(class, entries, &mut found, left);
    let exact = renamed.is_none();
    if let Some(name) = renamed {
        choices.push(Choice { taken: format!("`{name}` as the classifier"), hints: Vec::new() });
    } else if let Some(&first) = left.first() {
        let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
        return Err(format!("the layout has no tensor `{}`{more}", entries[first].name));
    }
    let given = &complete(class, entries, &found, given);
    let mut recipe = deduce(class, &found, given)?;
    // Weights may be another network's under the names of this class: where the stride is, is taken as it was said, and sizes as
    // they are.
    let own_stride = match given.stride_on {
        Some(_) => class.can.stride_on[0].0,
        None => recipe.form.stride_on,
    };
    let form = Form { stride_on: own_stride, ..recipe.form.clone() };
    class.reads(library, &form)?;
    if given.says_strides() || !given.own.is_empty() {
        let has = |position: Position| found.contains_key(&Slot { position, field: Field::Weight });
        recipe.pace.projecting = Some(open::projecting(&recipe, has));
    }
    bind(class, &recipe, entries, &found)?;
    let impossible = open::settle(&mut recipe, given).err();
    choices.extend(open::choices(class.can.configured, &recipe, given));
    let slots = found.into_iter().map(|(slot, (index, _))| (slot, index)).collect();
    Ok(Recognised { library, class, recipe: recipe.simplified(), slots, choices, impossible, exact })
}

/// What is given, with what some names and shapes tell beyond the form.
fn complete(class: &ModelClass, entries: &[Entry], found: &Found, given: &Given) -> Given {
    let mut given = given.clone();
    let shortcut = Slot {
        position: Position::Block { stage: 0, block: 0, component: Component::ShortcutConv },
        field: Field::Weight,
    };
    // A projection that changes no channels has a stride.
    let thins = matches!(found.get(&shortcut), Some((_, shape)) if shape.len() == 4 && shape[0] == shape[1]);
    let open = given.strides.is_none() && given.output_stride.is_none();
    let by_stride =
        open && class.conventions.projections == Projections::WhereChanged && class.can.first_stride.len() > 1;
    if thins && by_stride {
        given.first_stride = given.first_stride.or(Some(2));
    }
    // What wraps a network to classify gives features where it has no classifier, the network itself its map.
    let optional = class.layout().optional;
    if !optional.is_empty() && entries.iter().any(|entry| entry.name.starts_with(optional)) {
        given.headless = given.headless.or(Some(Headless::Features));
    }
    given
}

/// Where all that is left is one dense layer that takes the network's features, that layer, now placed.
fn classifier_of_another_name(
    class: &ModelClass,
    entries: &[Entry],
    found: &mut Found,
    left: &[usize],
) -> Option<String> {
    let head = Slot { position: Position::Dense(0), field: Field::Weight };
    if class.conventions.framework != Framework::Torch || found.contains_key(&head) {
        return None;
    }
    let (weight, bias) = match *left {
        [weight] => (weight, None),
        [a, b] if entries[a].name.ends_with(".weight") => (a, Some(b)),
        [b, a] => (a, Some(b)),
        _ => return None,
    };
    let layer = entries[weight].name.strip_suffix(".weight")?;
    let shape = class.layout().shape(head, &entries[weight].shape);
    let (&[classes, features] | &[classes, features, 1, 1]) = &shape[..] else { return None };
    let features_fit = last_outputs(found) == Some(features);
    let bias_fits = bias
        .is_none_or(|bias| entries[bias].name.strip_suffix(".bias") == Some(layer) && entries[bias].shape == [classes]);
    if !features_fit || !bias_fits {
        return None;
    }
    found.insert(head, (weight, shape));
    if let Some(bias) = bias {
        found.insert(Slot { field: Field::Bias, ..head }, (bias, entries[bias].shape.clone()));
    }
    Some(layer.to_owned())
}

/// Channels that the last block gives.
pub(crate) fn last_outputs(found: &Found) -> Option<usize> {
    let last = found.iter().filter_map(|(slot, (_, shape))| match slot {
        Slot { position: Position::Block { stage, block, component: Component::Conv(n) }, field: Field::Weight } => {
            Some(((*stage, *block, *n), shape.first().copied()?))
        }
        _ => None,
    });
    last.max().map(|(_, outputs)| outputs)
}

/// The network that these shapes are of.
pub(crate) fn deduce(class: &ModelClass, found: &Found, given: &Given) -> Result<Recipe, String> {
    let shape = |position: Position, field: Field| found.get(&Slot { position, field }).map(|(_, shape)| &shape[..]);
    let kernel = |position: Position| match shape(position, Field::Weight) {
        Some(&[o, i, h, w]) => Some([o, i, h, w]),
        Some(_) | None => None,
    };
    let (stem, [stem_width, channels], deep_stem) = stem(&kernel, given)?;
    let stages = stages(found, &kernel)?;
    let first = |component: Component| Position::Block { stage: 0, block: 0, component };
    let block = if kernel(first(Component::Conv(3))).is_some() { BlockKind::Bottleneck } else { BlockKind::Basic };
    let groups = match (block, kernel(first(Component::Conv(1))), kernel(first(Component::Conv(2)))) {
        (BlockKind::Bottleneck, Some([width, ..]), Some([_, per_group, ..])) => {
            width.checked_div(per_group).unwrap_or(1)
        }
        _ => 1,
    };
    let gates = (0..stages.len()).map_while(|stage| {
        kernel(Position::Block { stage, block: 0, component: Component::Gate(1) }).map(|[width, ..]| width)
    });
    let gates: Vec<usize> = gates.collect();
    let group_norm = !found.keys().any(|slot| slot.field == Field::Mean);
    let biased = found.keys().any(|slot| {
        slot.field == Field::Bias && matches!(slot.position, Position::Block { component: Component::Conv(_), .. })
    });

    let can = &class.can;
    let stride_on = match (block, can.stride_in) {
        (BlockKind::Bottleneck, StrideIn::First) => given.stride_on.unwrap_or(can.stride_on[0].0),
        (BlockKind::Bottleneck, StrideIn::Last) => 2,
        (BlockKind::Basic | BlockKind::Other, _) => 1,
    };
    let form = Form {
        block,
        order: can.order,
        stem,
        stem_width,
        stages,
        stride_on,
        stride_in: can.stride_in,
        groups,
        squeeze_excite: !gates.is_empty(),
        pooled_shortcut: can.pooled,
        blurred: false,
        group_norm,
    };
    let mut conventions = class.conventions.clone();
    conventions.first_stride = given.first_stride.unwrap_or(conventions.first_stride);
    conventions.epsilon = given.epsilon.unwrap_or(conventions.epsilon);
    conventions.activation = given.activation.unwrap_or(conventions.activation);
    if group_norm {
        let groups = can.norms.iter().find_map(|norms| match norms {
            Norms::Group(groups) => Some(*groups),
            Norms::Batch => None,
        });
        conventions.norms = Norms::Group(given.norm_groups.or(groups).unwrap_or(1));
    }
    let gate = |slot: &&Slot| matches!(slot.position, Position::Block { component: Component::Gate(_), .. });
    conventions.gate_biases = gates.is_empty() || found.keys().filter(gate).any(|slot| slot.field == Field::Bias);
    if biased && conventions.biases == Biases::None {
        conventions.biases = Biases::All;
    }
    let name = form.standard_name().unwrap_or_default();
    let input = Input { channels, size: None };
    let mut own = widths::own(&form, &gates, &kernel);
    for (&position, given) in &given.own {
        let merged = given.clone().or(own.remove(&position).unwrap_or_default());
        own.insert(position, merged);
    }
    if let (StemForm::Other, Some([.., rows, _])) = (form.stem, kernel(Position::Stem(Component::Conv(0)))) {
        own.entry(Position::Stem(Component::Conv(0))).or_default().kernel = Some(rows);
    }
    let head = head(class, shape(Position::Dense(0), Field::Weight), shape(Position::Dense(0), Field::Bias), given)?;
    Ok(Recipe {
        name,
        form,
        sizes: Sizes { deep_stem, gates },
        input,
        head,
        conventions,
        names: Vec::new(),
        pace: Default::default(),
        own,
    })
}

/// Form of the stem, channels that it gives and takes, widths within.
fn stem(
    kernel: &dyn Fn(Position) -> Option<[usize; 4]>,
    given: &Given,
) -> Result<(StemForm, [usize; 2], [usize; 2]), String> {
    let known = given.stem.stride.is_some() || given.own.contains_key(&Position::Stem(Component::Conv(0)));
    let stem = |n: usize| kernel(Position::Stem(Component::Conv(n)));
    match (stem(0), stem(1), stem(2), stem(3)) {
        (Some([out, channels, 7, 7]), None, None, None) => Ok((StemForm::Large, [out, channels], [0; 2])),
        (Some([out, channels, 3, 3]), None, None, None) => Ok((StemForm::Small, [out, channels], [0; 2])),
        (None, Some([a, channels, 3, 3]), Some([b, ..]), Some([out, ..])) => {
            Ok((StemForm::Deep, [out, channels], [a, b]))
        }
        (Some([out, channels, h, w]), None, None, None) if known && h == w => {
            Ok((StemForm::Other, [out, channels], [0; 2]))
        }
        (Some([.., h, w]), ..) => {
            let expected = "the layout's first convolution is 7x7 or 3x3";
            Err(format!("{expected}, the file's is {h}x{w} ({} says its stride)", Hint::Stem))
        }
        (None, ..) => Err("the layout's stem is not in the file, or of another shape there".to_owned()),
    }
}

/// Blocks, inner widths and channels of the stages.
fn stages(found: &Found, kernel: &dyn Fn(Position) -> Option<[usize; 4]>) -> Result<Vec<StageForm>, String> {
    let blocks: BTreeSet<(usize, usize)> = found
        .keys()
        .filter_map(|slot| match slot.position {
            Position::Block { stage, block, .. } => Some((stage, block)),
            _ => None,
        })
        .collect();
    let Some(&(last, _)) = blocks.last() else {
        return Err("the layout has residual blocks, the file has none".to_owned());
    };
    let mut stages = Vec::new();
    for stage in 0..=last {
        let count = blocks.range((stage, 0)..(stage + 1, 0)).count();
        if count == 0 || !blocks.contains(&(stage, count - 1)) {
            return Err(format!("blocks of stage {stage} are not in the file"));
        }
        let first = |n: usize| kernel(Position::Block { stage, block: 0, component: Component::Conv(n) });
        let widths = match (first(1), first(2), first(3)) {
            (Some(_), Some([width, ..]), Some([outputs, ..])) => Some((width, outputs)),
            (Some([width, ..]), Some([outputs, ..]), None) => Some((width, outputs)),
            _ => None,
        };
        let Some((width, outputs)) = widths else {
            return Err(format!(
                "the file's convolutions of block 0 in stage {stage} are neither a basic block's nor a bottleneck's"
            ));
        };
        stages.push(StageForm { blocks: count, width, outputs });
    }
    Ok(stages)
}

fn head(
    class: &ModelClass,
    weight: Option<&[usize]>,
    bias: Option<&[usize]>,
    given: &Given,
) -> Result<Option<Head>, String> {
    let classifier = match weight {
        None => None,
        Some(&[classes, _] | &[classes, _, 1, 1]) => Some(Classifier {
            classes,
            softmax: class.softmax,
            bias: bias.is_some(),
            as_conv: weight.is_some_and(|shape| shape.len() == 4),
        }),
        Some(shape) => {
            return Err(format!("the layout's classifier is a matrix or a 1x1 kernel, the file's has shape {shape:?}"));
        }
    };
    let pools = classifier.is_some() || given.headless.unwrap_or(class.headless) == Headless::Features;
    Ok(pools.then_some(Head::new(given.head_pool.unwrap_or(HeadPool::Global), classifier)))
}

/// Holds each tensor of the recipe against what is there.
fn bind(class: &ModelClass, recipe: &Recipe, entries: &[Entry], found: &Found) -> Result<(), String> {
    let mut wanted = BTreeSet::new();
    for layer in recipe.layers() {
        for (slot, shape) in layer.tensors() {
            match found.get(&slot) {
                Some((_, there)) if *there == shape => {}
                Some((index, there)) => {
                    let name = &entries[*index].name;
                    return Err(format!("the layout's `{name}` has shape {shape:?}, the file's has {there:?}"));
                }
                None => {
                    let name = class.layout().tensor(slot).unwrap_or_else(|| slot.to_string());
                    return Err(format!("the layout's `{name}` is not in the file"));
                }
            }
            wanted.insert(slot);
        }
    }
    let extra = found.iter().find(|(slot, _)| slot.field != Field::Batches && !wanted.contains(slot));
    match extra {
        Some((_, (index, _))) => {
            Err(format!("the layout has no `{}` where the others have these shapes", entries[*index].name))
        }
        None => Ok(()),
    }
}
