//! Blocks of one stage whose weights are in each other's places.

use std::collections::BTreeMap;

use crate::error::Result;
use residua_resnet::slot::{Component, Position};

use super::super::fused_layer::Weights;
use super::super::landmarks::Landmark;
use super::{Case, Change, Trial, with_weights};

/// Fused layers of a block by what they are there.
type Units<'c> = BTreeMap<Component, &'c Landmark>;

fn blocks(marks: &[Landmark]) -> BTreeMap<(usize, usize), Units<'_>> {
    let mut blocks: BTreeMap<(usize, usize), Units<'_>> = BTreeMap::new();
    for mark in marks {
        if let Some(Position::Block { stage, block, component }) = mark.place {
            blocks.entry((stage, block)).or_default().insert(component, mark);
        }
    }
    blocks
}

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let (of_a, of_b) = (blocks(&case.a().marks), blocks(&case.b().marks));
    // Blocks of A that are not where they should be in B.
    let same = |a: &Units<'_>, b: &Units<'_>| first_conv(case, a, b).is_some_and(|same| same);
    let moved: Vec<(usize, usize)> =
        of_a.iter().filter(|(at, a)| of_b.get(*at).is_some_and(|b| !same(a, b))).map(|(at, _)| *at).collect();
    let mut places = Vec::new();
    let mut from: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for &at in &moved {
        let twin = moved.iter().find(|other| other.0 == at.0 && **other != at && same(&of_a[&at], &of_b[*other]));
        if let Some(&twin) = twin {
            from.insert(at, twin);
            places.push(at);
        }
    }
    if from.is_empty() {
        return Ok(Vec::new());
    }
    let graph = case.edited(|edits| {
        for (at, twin) in &from {
            for (component, &mark) in &of_b[at] {
                let Some(weights) = of_b[twin].get(component).and_then(|twin| Weights::of(case.b(), twin)) else {
                    continue;
                };
                let (Some(own), Some(expr)) = (Weights::of(case.b(), mark), with_weights(case.b(), mark, &weights))
                else {
                    continue;
                };
                edits.replace(own.end, expr);
            }
        }
    });
    let names: Vec<String> = places.iter().map(|(stage, block)| format!("stages.{stage}.blocks.{block}")).collect();
    let what = format!("the weights of {} are in each other's places", names.join(" and "));
    Ok(graph.into_iter().map(|graph| Trial { kind: "blocks", what: what.clone(), change: Change::B(graph) }).collect())
}

/// Whether the first convolutions of two blocks are the same.
fn first_conv(case: &Case<'_>, a: &Units<'_>, b: &Units<'_>) -> Option<bool> {
    let component = Component::Conv(1);
    let (x, y) = (Weights::of(case.a(), a.get(&component)?)?, Weights::of(case.b(), b.get(&component)?)?);
    Some(x.differences(&y)?.is_none())
}
