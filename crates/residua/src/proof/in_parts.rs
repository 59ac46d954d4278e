//! What was compared of two models of which parts are made otherwise.

use residua_ir::rewrite::Applied;
use residua_ir::{Graph, Name, Pairing};
use serde::Serialize;

use super::identical::RESTS_ON;

/// What was compared of two models, and how.
#[derive(Debug, Clone, Serialize)]
pub struct InParts {
    /// Operators that were held against each other by what they are.
    pub operators: usize,
    /// Their operands.
    pub edges: usize,
    /// Tensors.
    pub tensors: usize,
    /// Bytes of these, each the same.
    pub bytes: u64,
    /// What passes did to both models first, each of which keeps every bit: to the first, and to the second.
    pub normalised: [Vec<Applied>; 2],
    /// What follows only if it is so.
    pub rests_on: &'static str,
    /// What is made otherwise, and was run.
    pub by_numbers: Vec<ByNumbers>,
}

/// A part of two models that is made otherwise, on what the first one gives to it.
#[derive(Debug, Clone, Serialize)]
pub struct ByNumbers {
    /// The layer of the first model that gives its result.
    pub a: Name,
    /// The layer of the second.
    pub b: Name,
    /// Operators of each.
    pub operators: [usize; 2],
    /// Largest absolute difference.
    pub max_abs: f64,
    /// The same, relative to the largest value.
    pub max_rel: f64,
    /// Largest difference in units of the last place of f32.
    pub max_ulp: u32,
    /// Cosine of the angle between both.
    pub cosine: f64,
    /// What `max_abs` may be.
    pub bound: f64,
    /// Where that comes from.
    pub bound_from: String,
}

impl InParts {
    pub(super) fn new(a: &Graph, pairing: &Pairing, normalised: [Vec<Applied>; 2], by_numbers: Vec<ByNumbers>) -> Self {
        Self {
            operators: pairing.operators,
            edges: pairing.edges,
            tensors: pairing.tensors.len(),
            bytes: pairing.tensors.iter().map(|&(p, _)| a.parameter(p).tensor.byte_len() as u64).sum(),
            normalised,
            rests_on: RESTS_ON,
            by_numbers,
        }
    }

    /// The part that comes nearest to its bound.
    pub(super) fn nearest(&self) -> Option<&ByNumbers> {
        let share = |part: &ByNumbers| if part.max_abs == 0.0 { 0.0 } else { part.max_abs / part.bound };
        self.by_numbers.iter().max_by(|x, y| share(x).total_cmp(&share(y)))
    }

    /// What was found, in words.
    pub(super) fn words(&self, names: [&str; 2], exactly: bool) -> String {
        let (parts, total) = (self.by_numbers.len(), self.operators);
        let (what, are) = if parts == 1 { ("part that is", "is") } else { ("parts that are", "are") };
        let how = if exactly { "the same bit for bit" } else { "within its own f32 rounding noise" };
        let [a, b] = names;
        if parts == 0 {
            return format!("{b} has the graph of {a} at the sizes that were tried, every bit of it");
        }
        format!(
            "{b} has {total} operators as {a} has them, every bit of them; {parts} {what} made otherwise {are} {how}, given what {a} gives to it"
        )
    }
}
