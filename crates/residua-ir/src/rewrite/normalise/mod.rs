//! What exporters make of a network, turned back into what it was: one pass a file, each on its own.
//!
//! A pass looks for what one exporter or another writes in the place of an operator and puts the operator there. All are
//! exact over the reals; how numbers are rounded may change, and each [`Applied`] says whether it did. No pass
//! reads the elements of a weight: single numbers decide, tensors are seen otherwise.
//!
//! Passes are repeated until none finds anything, since one uncovers what another is for. Invariant: the result is
//! a fixed point, so that what was written from it is read back as it is.

mod activations;
mod affine;
mod biases;
mod channels_first;
mod heads;
mod matching;
mod no_ops;
mod norms;
mod pads;

use std::collections::BTreeMap;

use serde::Serialize;

use super::RewriteError;
use super::edit::{Edits, Origin};
use crate::validate::Typed;
use matching::Matcher;

/// What a pass did to the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The same operations on the same numbers in the same order: f64 results are bit-identical.
    Nothing,
    /// The same function over the reals, rounded elsewhere.
    Rounding,
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name.
    pub pass: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// What it did to the numbers.
    pub change: Change,
    /// Names of the nodes in whose place something else stands.
    pub nodes: Vec<String>,
}

/// A network as it was before it was exported.
#[derive(Debug, Clone)]
pub struct Normalised {
    /// The network; [`Typed::check`] gives it to whatever runs or writes it.
    pub model: Typed,
    /// Where its nodes and values are in the source.
    pub origin: Origin,
    /// Passes that found something, in their order.
    pub applied: Vec<Applied>,
}

impl Normalised {
    /// What became of the numbers.
    #[must_use]
    pub fn change(&self) -> Change {
        self.applied.iter().map(|applied| applied.change).max().unwrap_or(Change::Nothing)
    }
}

/// Something that is done to a graph.
struct Pass {
    name: &'static str,
    what: &'static str,
    /// Plans the changes.
    find: fn(&Matcher<'_>, &mut Edits<'_>) -> Result<Found, RewriteError>,
}

/// What a pass plans.
struct Found {
    /// Names of the nodes that it is about.
    nodes: Vec<String>,
    change: Change,
}

impl Default for Found {
    fn default() -> Self {
        Self { nodes: Vec::new(), change: Change::Nothing }
    }
}

impl Found {
    /// What is about to be found rounds elsewhere.
    fn rounding() -> Self {
        Self { change: Change::Rounding, ..Self::default() }
    }
}

/// In the order in which they are tried.
const PASSES: [Pass; 8] = [
    no_ops::PASS,
    activations::PASS,
    norms::PASS,
    channels_first::PASS,
    affine::PASS,
    biases::PASS,
    pads::PASS,
    heads::PASS,
];

/// Rounds of all passes: more than any network needs, a bound on those that are made to be slow.
const ROUNDS: usize = 8;

/// The network as it was before it was exported; `None` where it is that already.
///
/// # Errors
/// [`RewriteError`] where a tensor cannot be read.
pub fn normalise(model: &Typed) -> Result<Option<Normalised>, RewriteError> {
    let mut origin = Origin::identity(model.graph());
    let mut changed: Option<Typed> = None;
    let mut applied: BTreeMap<usize, Applied> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut again = false;
        for (at, pass) in PASSES.iter().enumerate() {
            let model = changed.as_ref().unwrap_or(model);
            let mut edits = Edits::new(model);
            let found = (pass.find)(&Matcher::new(model), &mut edits)?;
            if edits.is_empty() {
                continue;
            }
            let (graph, step) = edits.apply()?;
            if graph.reads_as(model.graph()) {
                continue;
            }
            origin = step.before(&origin);
            changed = Some(Typed::new(graph));
            again = true;
            let new = Applied { pass: pass.name, what: pass.what, change: found.change, nodes: Vec::new() };
            let entry = applied.entry(at).or_insert(new);
            entry.change = entry.change.max(found.change);
            entry.nodes.extend(found.nodes);
        }
        if !again {
            break;
        }
    }
    Ok(changed.map(|model| Normalised { model, origin, applied: applied.into_values().collect() }))
}
