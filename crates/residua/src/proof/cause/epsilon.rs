//! Batch norms with another epsilon; where one model has none left, those that frameworks use are tried in the other.

use crate::error::Result;
use residua_ir::rewrite::Expr;
use residua_ir::{BatchNorm, Graph, NodeId, Op};

use super::super::examined::Examined;
use super::super::locate::{are_other_epsilons, norm_epsilons};
use super::{Case, Change, Trial, edited, operands};

/// PyTorch's, Keras's, Keras Applications', TensorFlow Slim's and Caffe's.
const COMMON: [f64; 5] = [1e-5, 1e-3, 1.001e-5, 1e-4, 2e-5];

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let seen = seen(case)?;
    Ok(if seen.is_empty() { where_one_has_none(case) } else { seen })
}

/// Where both have the same batch norms: the epsilons of the first.
pub(super) fn seen(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut pairs: Vec<(NodeId, f64, f64)> = Vec::new();
    for (_, a, b) in case.marks() {
        let (wanted, has) = (norm_epsilons(case.a(), a), norm_epsilons(case.b(), b));
        for ((_, wanted), (node, has)) in wanted.into_iter().zip(has) {
            // What an exporter wrote out has none left.
            if are_other_epsilons(wanted, has) && wanted != 0.0 && has != 0.0 {
                pairs.push((node, wanted, has));
            }
        }
    }
    let Some(&(_, wanted, has)) = pairs.first() else { return Ok(Vec::new()) };
    let count = pairs.len();
    let graph = with_epsilons(case.b(), |node| pairs.iter().find(|pair| pair.0 == node).map(|pair| pair.1));
    let what = format!("the epsilon of {count} batch norms is {wanted:e} in A and {has:e} in B");
    Ok(graph.into_iter().map(|graph| Trial { kind: "epsilon", what: what.clone(), change: Change::B(graph) }).collect())
}

/// Where one has none left: the epsilons that frameworks use, in the other.
fn where_one_has_none(case: &Case<'_>) -> Vec<Trial> {
    let own = |examined: &Examined| epsilon(examined.model.graph());
    let (examined, name) = match (own(case.a()), own(case.b())) {
        (Some(_), None) => (case.a(), "A"),
        (None, Some(_)) => (case.b(), "B"),
        (Some(_), Some(_)) | (None, None) => return Vec::new(),
    };
    let has = own(examined).unwrap_or_default();
    let others = COMMON.into_iter().filter(|other| are_other_epsilons(*other, has));
    let trial = |other: f64| {
        let graph = with_epsilons(examined, |_| Some(other))?;
        let (folded, change) = if name == "A" { ("B", Change::A(graph)) } else { ("A", Change::B(graph)) };
        let what = format!("the batch norms that were folded into {folded} had epsilon {other:e}, {name} has {has:e}");
        Some(Trial { kind: "epsilon", what, change })
    };
    others.filter_map(trial).collect()
}

/// The epsilon of the first batch norm that has one.
fn epsilon(graph: &Graph) -> Option<f64> {
    graph.nodes().iter().find_map(|node| match node.op {
        Op::BatchNorm(norm) if norm.epsilon != 0.0 => Some(norm.epsilon),
        _ => None,
    })
}

fn with_epsilons(examined: &Examined, wanted: impl Fn(NodeId) -> Option<f64>) -> Option<Graph> {
    let graph = examined.model.graph();
    edited(examined, |edits| {
        for id in graph.node_ids() {
            if let (Op::BatchNorm(_), Some(epsilon)) = (&graph.node(id).op, wanted(id)) {
                edits.replace(id, Expr::made(Op::BatchNorm(BatchNorm { epsilon }), operands(graph, id)));
            }
        }
    })
}
