//! Other weights: in the first layer that differs, or in all that do.

use crate::error::Result;

use super::super::fused_layer::Weights;
use super::{Case, Change, Trial, with_weights};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut changes = Vec::new();
    for (_, a, b) in case.marks() {
        let (Some(wanted), Some(has)) = (Weights::of(case.a(), a), Weights::of(case.b(), b)) else { continue };
        let Some(words) = wanted.differences(&has).and_then(|found| found.words(has.bias.len())) else { continue };
        if let Some(expr) = with_weights(case.b(), b, &wanted) {
            changes.push((has.end, expr, format!("{}: {words}", case.place(a))));
        }
    }
    let mut found = Vec::new();
    for count in [1, changes.len()] {
        let some = &changes[..count.min(changes.len())];
        let graph = case.edited(|edits| some.iter().for_each(|(node, expr, _)| edits.replace(*node, expr.clone())));
        let what = match some {
            [(_, _, only)] => format!("other weights in one layer: {only}"),
            [(_, _, first), ..] => format!("other weights in {} layers, from {first}", some.len()),
            [] => continue,
        };
        found.extend(graph.map(|graph| Trial { kind: "weights", what, change: Change::B(graph) }));
    }
    Ok(found)
}
