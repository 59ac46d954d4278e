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

use self::parts::{Parts, Token};
use crate::form::Program;

/// The source of a network.
///
/// Residual blocks are those of its anatomy; elsewhere, what is repeated is found by its operators and edges alone. Takes
/// any graph: whether a runtime has its operators is not asked here.
#[must_use]
pub fn plan(model: &Checked, anatomy: &Anatomy) -> Program {
    build::build(&parts(model, anatomy), anatomy)
}

/// The parts of a network: blocks first, then what is repeated, what lies before and behind the blocks, and the rest.
fn parts<'m>(model: &'m Checked, anatomy: &Anatomy) -> Parts<'m> {
    let mut parts = Parts::new(model);
    let segments = parts.order.segments();
    let tokens = parts.blocks(&segments, anatomy);
    let has_blocks = tokens.iter().any(|token| matches!(token, Token::Item(_)));
    let tokens = repeats::find(&mut parts, tokens);
    let tokens = if has_blocks { parts.ends(tokens) } else { tokens };
    let tokens = parts.stretches(tokens);
    parts.root(tokens);
    parts
}
