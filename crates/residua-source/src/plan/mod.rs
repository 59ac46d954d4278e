//! From a graph to the source of a network: which parts there are, and what differs between those of a kind.
//!
//! `order` puts nodes in an order in which parts lie together, `parts` and `repeats` find the parts, `build` makes one
//! module of parts that are alike but for numbers.

mod build;
mod fields;
mod item;
pub(crate) mod layer;
mod order;
mod parameters;
mod parts;
mod repeats;
mod rows;

use residua_ir::Checked;
use residua_resnet::Anatomy;

use crate::form::Program;

/// The source of a network.
///
/// Residual blocks are those of its anatomy; elsewhere, what is repeated is found by its operators and edges alone. Takes
/// any graph: whether a runtime has its operators is not asked here.
#[must_use]
pub fn plan(model: &Checked, anatomy: &Anatomy) -> Program {
    build::build(&parts::Parts::of(model, anatomy), anatomy)
}
