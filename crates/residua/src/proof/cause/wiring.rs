//! Sums of one model that the other does not have, products in their places, and operands that come from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use residua_ir::rewrite::Expr;
use residua_ir::{Elementwise, Graph, NodeId, Op, ValueId};

use super::super::examined::Examined;
use super::super::landmarks::Landmark;
use super::{Case, Change, Trial, and_more, edited, operands};

/// More sums than this are not tried one by one.
const MOST: usize = 8;

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let (paired_a, paired_b): (BTreeSet<usize>, BTreeSet<usize>) =
        case.layers.pairs.iter().map(|pair| (pair.a, pair.b)).unzip();
    let mut found: Vec<Trial> = rewired(case).into_iter().collect();
    let (of_a, of_b) = (unpaired(case.a(), &paired_a), unpaired(case.b(), &paired_b));
    for (mark, other) in of_a.iter().zip(&of_b).take(MOST) {
        found.extend(other_operator(case, mark, other));
    }
    for mark in of_a.iter().take(MOST) {
        let what = format!("the sum at {} is not in B", case.place(mark));
        found.extend(without(case.a(), mark, &what, Change::A));
    }
    for mark in of_b.iter().take(MOST) {
        let what = format!("the sum at {} is not in A", case.b().layer(mark.anchor));
        found.extend(without(case.b(), mark, &what, Change::B));
    }
    Ok(found)
}

/// Places where two values meet, that the other model does not have.
fn unpaired<'s>(examined: &'s Examined, paired: &BTreeSet<usize>) -> Vec<&'s Landmark> {
    let marks = examined.marks.iter().enumerate().filter(|(at, _)| !paired.contains(at)).map(|(_, mark)| mark);
    marks.filter(|mark| joins(examined, mark.anchor).is_some()).collect()
}

fn joins(examined: &Examined, node: NodeId) -> Option<Elementwise> {
    let node = examined.model.graph().node(node);
    match node.op {
        Op::Elementwise(op) if node.inputs.len() == 2 => Some(op),
        _ => None,
    }
}

/// The second model with the operator of the first where two values meet.
fn other_operator(case: &Case<'_>, a: &Landmark, b: &Landmark) -> Option<Trial> {
    let (wanted, has) = (joins(case.a(), a.anchor)?, joins(case.b(), b.anchor)?);
    let graph = case.b().model.graph();
    let changed = case.edited(|edits| {
        if wanted != has {
            edits.replace(b.anchor, Expr::made(Op::Elementwise(wanted), operands(graph, b.anchor)));
        }
    })?;
    let what = format!("{}: {} in A, {} in B", case.place(a), wanted.name(), has.name());
    Some(Trial { kind: "wiring", what, change: Change::B(changed) })
}

/// A model without a sum: with one of its operands alone.
fn without(examined: &Examined, mark: &Landmark, what: &str, change: fn(Graph) -> Change) -> Vec<Trial> {
    let inputs = &examined.model.graph().node(mark.anchor).inputs;
    let only = |&input: &ValueId| {
        let graph = edited(examined, |edits| edits.replace(mark.anchor, input.into()))?;
        Some(Trial { kind: "wiring", what: what.to_owned(), change: change(graph) })
    };
    inputs.iter().filter_map(only).collect()
}

/// The second model with each sum reading what that of the first reads.
fn rewired(case: &Case<'_>) -> Option<Trial> {
    let at = |examined: &Examined| -> BTreeMap<ValueId, usize> {
        examined.marks.iter().enumerate().map(|(at, mark)| (mark.value, at)).collect()
    };
    let (of_a, of_b) = (at(case.a()), at(case.b()));
    let partner: BTreeMap<usize, usize> = case.layers.pairs.iter().map(|pair| (pair.a, pair.b)).collect();
    let mut places = Vec::new();
    let graph = case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let (Some(_), Some(_)) = (joins(case.a(), a.anchor), joins(case.b(), b.anchor)) else { continue };
            let inputs = |examined: &Examined, mark: &Landmark| examined.model.graph().node(mark.anchor).inputs.clone();
            // What stands in B for each operand of A.
            let wanted: Option<Vec<ValueId>> = inputs(case.a(), a)
                .iter()
                .map(|input| Some(case.b().marks[*partner.get(of_a.get(input)?)?].value))
                .collect();
            let (Some(wanted), has) = (wanted, inputs(case.b(), b)) else { continue };
            let same = wanted == has || wanted.iter().rev().eq(&has);
            if !same
                && has.iter().all(|input| of_b.contains_key(input) || case.b().model.graph().producer(*input).is_some())
            {
                let operands = wanted.iter().map(|&value| value.into()).collect();
                edits.replace(b.anchor, Expr::made(case.b_op(b).clone(), operands));
                places.push(case.place(a));
            }
        }
    })?;
    let what = format!("operands come from elsewhere in B: {}", and_more(&places));
    Some(Trial { kind: "wiring", what, change: Change::B(graph) })
}
