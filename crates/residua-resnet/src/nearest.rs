//! The model class that tensors come nearest to, where they are a network of none: what is missing there, what is left over, what has another shape.
//!
//! The form is read off the shapes as ever, but for kernels that are not there: their sizes are those that the norms and kernels around them ask for.

use std::collections::{BTreeMap, BTreeSet};

use crate::anatomy::ActivationOrder;
use crate::layouts::{MODEL_LIBRARIES, ModelClass};
use crate::recognise::{Entry, Found, Given, assign, deduce};
use crate::slot::{Component, Field, Position, Slot};

/// A model class, and what keeps tensors from being a network of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nearest {
    /// The class.
    pub class: &'static str,
    /// How many of the tensors have a place in it.
    pub placed: usize,
    /// Names of tensors that it has and that are not there.
    pub missing: Vec<String>,
    /// Which of the entries have no place in it.
    pub left: Vec<usize>,
    /// Which of the entries have another shape, and the one that it has there (OIHW, `[out, in]`).
    pub misshapen: Vec<(usize, Vec<usize>)>,
    /// What keeps its code from building a network of such sizes.
    pub reasons: Vec<String>,
}

impl Nearest {
    fn faults(&self) -> usize {
        self.missing.len() + self.left.len() + self.misshapen.len() + self.reasons.len()
    }
}

/// The class of which least would have to change; [`None`] where no class has a place for half of the tensors.
#[must_use]
pub fn nearest(entries: &[Entry], given: &Given) -> Option<Nearest> {
    let libraries =
        MODEL_LIBRARIES.into_iter().filter(|library| given.library.is_none_or(|wanted| wanted.name == library.name));
    let all = libraries.flat_map(|library| library.model_classes).filter_map(|class| compare(class, entries, given));
    all.filter(|nearest| nearest.placed * 2 >= entries.len()).min_by_key(Nearest::faults)
}

/// What keeps these tensors from being a network of a class.
fn compare(class: &'static ModelClass, entries: &[Entry], given: &Given) -> Option<Nearest> {
    let (mut found, mut left) = assign(class, entries);
    let gap = behind_gap(&mut found, &mut left);
    let whole = completed(class, &found)?;
    let recipe = deduce(class, &whole, given).ok()?;
    let (mut missing, mut misshapen, mut wanted) = (Vec::new(), Vec::new(), BTreeSet::new());
    missing.extend(gap.and_then(|(stage, block)| {
        let position = Position::Block { stage, block, component: Component::Conv(1) };
        class.layout().tensor(Slot { position, field: Field::Weight })
    }));
    for (slot, shape) in recipe.layers().iter().flat_map(|layer| layer.tensors()) {
        match found.get(&slot) {
            Some((_, there)) if *there == shape => {}
            // The last stage that is read may not be the last that there is.
            Some(_) if gap.is_some() && matches!(slot.position, Position::Dense(_)) => {}
            Some((index, _)) => misshapen.push((*index, shape)),
            None => missing.push(class.layout().tensor(slot).unwrap_or_else(|| slot.to_string())),
        }
        wanted.insert(slot);
    }
    let extra = found.iter().filter(|(slot, _)| slot.field != Field::Batches && !wanted.contains(slot));
    let extra: Vec<usize> = extra.map(|(_, (index, _))| *index).collect();
    left.extend(extra);
    left.sort_unstable();
    let reasons = class.settings(&recipe.form, recipe.conventions.first_stride).err().unwrap_or_default();
    let placed = entries.len() - left.len();
    Some(Nearest { class: class.describe, placed, missing, left, misshapen, reasons })
}

/// Takes what is of a stage or block behind one that is not there to what is left over; gives the first that is not there.
fn behind_gap(found: &mut Found, left: &mut Vec<usize>) -> Option<(usize, usize)> {
    let blocks = blocks(found);
    let first_gap = |stage: usize, block: usize| {
        let stages = (0..=stage).map(|stage| (stage, 0));
        stages.chain((0..=block).map(|block| (stage, block))).find(|block| !blocks.contains(block))
    };
    let mut gap = None;
    found.retain(|slot, (index, _)| match slot.position {
        Position::Block { stage, block, .. } => match first_gap(stage, block) {
            Some(first) => {
                gap = gap.or(Some(first));
                left.push(*index);
                false
            }
            None => true,
        },
        _ => true,
    });
    gap
}

fn blocks(found: &Found) -> BTreeSet<(usize, usize)> {
    let block = |slot: &Slot| match slot.position {
        Position::Block { stage, block, .. } => Some((stage, block)),
        _ => None,
    };
    found.keys().filter_map(block).collect()
}

/// The tensors with the kernels that have to be there, in the first block of each stage and in the stem.
fn completed(class: &ModelClass, found: &Found) -> Option<Found> {
    let mut whole = found.clone();
    let blocks = blocks(found);
    let with_three = blocks.iter().filter(|&&(stage, block)| {
        [Component::Conv(3), Component::Norm(3)].into_iter().any(|component| {
            found.keys().any(|slot| {
                slot.position == Position::Block { stage, block, component } && slot.field != Field::Batches
            })
        })
    });
    let convolutions = if with_three.count() * 2 > blocks.len() { 3 } else { 2 };
    let stem = Slot { position: Position::Stem(Component::Conv(0)), field: Field::Weight };
    let deep = found.keys().any(|slot| matches!(slot.position, Position::Stem(Component::Conv(1..))));
    if !deep && !whole.contains_key(&stem) {
        let channels = channels(found, Position::Stem(Component::Norm(0)))?;
        whole.insert(stem, (usize::MAX, vec![channels, 3, 7, 7]));
    }
    let mut before = None;
    let stages: BTreeMap<usize, usize> = blocks.into_iter().collect();
    for &stage in stages.keys() {
        for n in 1..=convolutions {
            let position = Position::Block { stage, block: 0, component: Component::Conv(n) };
            let slot = Slot { position, field: Field::Weight };
            let there = whole.get(&slot).filter(|(_, shape)| shape.len() == 4).map(|(_, shape)| shape[0]);
            if let Some(outputs) = there {
                before = Some(outputs);
                continue;
            }
            let size = if convolutions == 3 && n != 2 { 1 } else { 3 };
            let shape = match of_next_block(found, stage, n) {
                Some(outputs) => vec![outputs, before.unwrap_or(outputs), size, size],
                None => {
                    let norm = if class.can.order == ActivationOrder::Pre { n + 1 } else { n };
                    let component = Component::Norm(norm);
                    let outputs = channels(found, Position::Block { stage, block: 0, component })?;
                    vec![outputs, before.unwrap_or(outputs), size, size]
                }
            };
            before = shape.first().copied();
            whole.insert(slot, (usize::MAX, shape));
        }
    }
    Some(whole)
}

/// Channels that the same convolution of the second block gives.
fn of_next_block(found: &Found, stage: usize, n: usize) -> Option<usize> {
    let position = Position::Block { stage, block: 1, component: Component::Conv(n) };
    let (_, shape) = found.get(&Slot { position, field: Field::Weight })?;
    shape.first().copied()
}

/// Channels of a norm, by whichever of its tensors there is.
fn channels(found: &Found, position: Position) -> Option<usize> {
    let fields = [Field::Scale, Field::Offset, Field::Mean, Field::Variance];
    fields.into_iter().find_map(|field| match found.get(&Slot { position, field })?.1[..] {
        [channels] => Some(channels),
        _ => None,
    })
}
