//! Kernels that are the same with biases that are not: one that was dropped, or was never written.

use crate::error::Result;

use super::super::fused_layer::Weights;
use super::{Case, Change, Trial, and_more, with_weights};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut places = Vec::new();
    let graph = case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let (Some(wanted), Some(has)) = (Weights::of(case.a(), a), Weights::of(case.b(), b)) else { continue };
            let Some(found) = wanted.differences(&has) else { continue };
            if found.biases.is_empty() || !found.filters.is_empty() || !found.scaled.is_empty() {
                continue;
            }
            let missing = has.bias.iter().all(|value| *value == 0.0);
            let words = if missing { "B has none".to_owned() } else { found.words(has.bias.len()).unwrap_or_default() };
            if let Some(expr) = with_weights(case.b(), b, &Weights { bias: wanted.bias, ..has.clone() }) {
                edits.replace(has.end, expr);
                places.push(format!("{}: {words}", case.place(a)));
            }
        }
    });
    let what = format!("biases are missing or others: {}", and_more(&places));
    Ok(graph.into_iter().map(|graph| Trial { kind: "biases", what: what.clone(), change: Change::B(graph) }).collect())
}
