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
mod operands;
mod pads;

use super::RewriteError;
use super::edit::{Edits, Origin};
use super::passes::{Applied, Change, Pass, Rewritten, Settled, settle};
use crate::validate::Typed;
use matching::Matcher;

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

/// A form that exporters leave, and what is put in its place.
struct Form {
    name: &'static str,
    what: &'static str,
    /// Plans the changes.
    find: fn(&Matcher<'_>, &mut Edits<'_>) -> Result<Found, RewriteError>,
}

impl Pass for Form {
    fn name(&self) -> &'static str {
        self.name
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
        let mut edits = Edits::new(model);
        let Found { nodes, change } = (self.find)(&Matcher::new(model), &mut edits)?;
        if edits.is_empty() {
            return Ok(None);
        }
        let (graph, origin) = edits.apply()?;
        Ok(Some(Rewritten { graph, origin, applied: Applied { pass: self.name, what: self.what, change, nodes } }))
    }
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
const PASSES: [&dyn Pass; 8] = [
    &no_ops::PASS,
    &activations::PASS,
    &norms::PASS,
    &channels_first::PASS,
    &affine::PASS,
    &biases::PASS,
    &pads::PASS,
    &heads::PASS,
];

/// A pass where it keeps all bits.
struct Exactly(&'static dyn Pass);

impl Pass for Exactly {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn what(&self) -> &'static str {
        self.0.what()
    }

    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
        Ok(self.0.run(model)?.filter(|rewritten| rewritten.applied.change == Change::Nothing))
    }
}

/// The network as it was before it was exported; `None` where it is that already.
///
/// # Errors
/// [`RewriteError`] where a tensor cannot be read, or passes find something in more rounds than there may be.
pub fn normalise(model: &Typed) -> Result<Option<Normalised>, RewriteError> {
    let settled = settle(model, &PASSES)?;
    Ok(settled.map(|Settled { model, origin, applied }| Normalised { model, origin, applied }))
}

/// As [`normalise()`], without passes that would round elsewhere: the same operations on the same numbers in the same order. It is
/// for comparing: what is the same has one form, whether a runtime would want it so or not.
///
/// # Errors
/// As [`normalise()`].
pub fn normalise_exactly(model: &Typed) -> Result<Option<Normalised>, RewriteError> {
    let exactly = PASSES.map(Exactly);
    let passes: Vec<&dyn Pass> =
        exactly.iter().map(|pass| pass as &dyn Pass).chain([&operands::PASS as &dyn Pass]).collect();
    let settled = settle(model, &passes)?;
    Ok(settled.map(|Settled { model, origin, applied }| Normalised { model, origin, applied }))
}
