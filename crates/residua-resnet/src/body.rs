//! Networks beside tensors that are none of theirs: heads that training puts behind an encoder.
//!
//! Projectors, predictors, prototypes and necks stand where a layout has its classifier, or beside the stem and the stages. What stands within
//! these is the network's own, and a network that lacks a name for it is not the one.

use std::collections::BTreeSet;

use crate::layouts::{MODEL_LIBRARIES, ModelClass, NamingLayout};
use crate::recognise::{Entry, Found, Given, Recognised, assign, attempt, last_outputs};
use crate::slot::{Field, Position, Slot};

/// A network, and what lies beside it.
#[derive(Debug)]
pub struct Body {
    /// The network.
    pub recognised: Recognised,
    /// Which of the entries are none of its tensors, in order.
    pub left: Vec<usize>,
}

/// Tells a network from some of these tensors, the others being heads.
///
/// What is left over lies outside of stem and blocks, and `heads` says, of the entries that are left and the channels that the last block
/// gives, whether they can be heads. With `headless`, the network's own classifier is left over too.
#[must_use]
pub fn recognise_body(
    entries: &[Entry],
    given: &Given,
    headless: bool,
    heads: &dyn Fn(&[usize], usize) -> bool,
) -> Option<Body> {
    let libraries =
        MODEL_LIBRARIES.into_iter().filter(|library| given.library.is_none_or(|wanted| wanted.name == library.name));
    let mut model_classes =
        libraries.flat_map(|library| library.model_classes.iter().map(move |&class| (library, class)));
    model_classes.find_map(|(library, class)| {
        let (mut found, mut left) = assign(class, entries);
        // Where a norm alone stands in the place of the classifier, it is none.
        let head = Slot { position: Position::Dense(0), field: Field::Weight };
        if headless || found.get(&head).is_some_and(|(_, shape)| shape.len() == 1) {
            let classifier: Vec<Slot> =
                found.keys().filter(|slot| matches!(slot.position, Position::Dense(_))).copied().collect();
            left.extend(classifier.iter().filter_map(|slot| found.remove(slot)).map(|(index, _)| index));
            left.sort_unstable();
        }
        let features = last_outputs(&found)?;
        if !outside(class, entries, &found, &left) || !heads(&left, features) {
            return None;
        }
        let recognised = attempt(library, class, entries, &found, &[], given).ok()?;
        Some(Body { recognised, left })
    })
}

/// Whether none of the entries that are left lies in the stem, in a block, or where the layout has one of their functions.
fn outside(class: &ModelClass, entries: &[Entry], found: &Found, left: &[usize]) -> bool {
    let first = |index: usize| entries[index].name.split('.').next().unwrap_or_default();
    let of_body = |slot: &Slot| !matches!(slot.position, Position::Dense(_));
    let body: BTreeSet<&str> =
        found.iter().filter(|(slot, _)| of_body(slot)).map(|(_, (index, _))| first(*index)).collect();
    left.iter().all(|&index| {
        let is_classifier = class.layout().slot(&entries[index].name).is_some_and(|slot| !of_body(&slot));
        is_classifier || !body.contains(first(index)) && !is_layer(class.layout(), first(index))
    })
}

/// Whether a module is one that the layout has for a layer before the classifier, such as its pools.
fn is_layer(layout: &NamingLayout, module: &str) -> bool {
    layout.position(module).is_some_and(|position| !matches!(position, Position::Dense(_)))
}
