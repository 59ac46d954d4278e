//! Tensors of batch norms that are not where they belong: in each other's places, or as a layer is created with them.

use anyhow::Result;
use residua_ir::rewrite::Expr;
use residua_ir::{Graph, NodeId, Op, Parameter};

use super::super::locate::norm_epsilons;
use super::super::side::Side;
use super::{Case, Change, Trial, and_more, edited, operands};

/// Names of the operands of a batch norm; the first is what is normalised.
const NAMES: [&str; 5] = ["", "scale", "offset", "mean", "variance"];

/// Pairs of operands that are mistaken for each other.
const SWAPS: [[usize; 2]; 4] = [[3, 4], [1, 2], [2, 3], [1, 4]];

/// Operands, and what a layer is created with.
const CREATED: [(&[(usize, f64)], &str); 3] = [
    (&[(3, 0.0), (4, 1.0)], "mean and variance are 0 and 1"),
    (&[(1, 1.0)], "the scale is 1"),
    (&[(2, 0.0)], "the offset is 0"),
];

/// Numbers that differ by less, relative to the larger, are the same.
const SAME: f64 = 1e-5;

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let seen = seen(case)?;
    Ok(if seen.is_empty() { where_one_has_none(case) } else { seen })
}

/// Where both have the same batch norms: what became of their tensors.
pub(super) fn seen(case: &Case<'_>) -> Result<Vec<Trial>> {
    let norms = norms(case);
    let swapped = SWAPS.into_iter().filter_map(|[p, q]| {
        let text = format!("{} and {} are in each other's places in B", NAMES[p], NAMES[q]);
        trial(case, &norms, &text, &|norm| norm.differs(p) && norm.is(p, q) && norm.is(q, p))
    });
    let created = CREATED.into_iter().filter_map(|(tensors, what)| {
        let text = format!("{what} in B, as a layer is created: not loaded");
        trial(case, &norms, &text, &|norm| {
            tensors.iter().any(|&(at, _)| norm.differs(at)) && tensors.iter().all(|&(at, value)| norm.is_all(at, value))
        })
    });
    Ok(swapped.chain(created).collect())
}

/// The same batch norm in both.
struct Norm {
    /// What A calls it.
    layer: String,
    node: NodeId,
    a: [Vec<f64>; 5],
    b: [Vec<f64>; 5],
    parameters: [Option<Parameter>; 5],
}

impl Norm {
    /// Whether a tensor of B is another than in A.
    fn differs(&self, at: usize) -> bool {
        !near(&self.a[at], &self.b[at])
    }

    /// Whether a tensor of B is that other one of A.
    fn is(&self, at: usize, other: usize) -> bool {
        near(&self.b[at], &self.a[other])
    }

    /// Whether all numbers of a tensor of B are this one.
    fn is_all(&self, at: usize, value: f64) -> bool {
        self.b[at].iter().all(|found| (found - value).abs() <= SAME)
    }
}

fn near(x: &[f64], y: &[f64]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| (x - y).abs() <= SAME * x.abs().max(y.abs()))
}

/// Batch norms at the same place in both, with their tensors.
fn norms(case: &Case<'_>) -> Vec<Norm> {
    let mut found = Vec::new();
    for (_, a, b) in case.marks() {
        for ((p, _), (q, _)) in norm_epsilons(case.a(), a).into_iter().zip(norm_epsilons(case.b(), b)) {
            let (Some(of_a), Some(of_b)) = (tensors(case.a(), p), tensors(case.b(), q)) else { continue };
            let parameters = [0, 1, 2, 3, 4].map(|at| {
                let graph = case.a().model.graph();
                graph.as_parameter(*graph.node(p).inputs.get(at)?).cloned()
            });
            found.push(Norm { layer: case.a().layer(p), node: q, a: of_a, b: of_b, parameters });
        }
    }
    found
}

fn tensors(side: &Side, node: NodeId) -> Option<[Vec<f64>; 5]> {
    let graph = side.model.graph();
    let of = |at: usize| graph.as_parameter(*graph.node(node).inputs.get(at)?)?.tensor.to_f64().ok();
    Some([Vec::new(), of(1)?, of(2)?, of(3)?, of(4)?])
}

/// The second model with the tensors of the first in some of its batch norms.
fn trial(case: &Case<'_>, norms: &[Norm], text: &str, slipped: &dyn Fn(&Norm) -> bool) -> Option<Trial> {
    let graph = case.b().model.graph();
    let some: Vec<&Norm> = norms.iter().filter(|norm| slipped(norm)).collect();
    let changed = case.edited(|edits| {
        for norm in &some {
            let mut operands = operands(graph, norm.node);
            let layer = graph.node(norm.node).layer;
            for (operand, parameter) in operands.iter_mut().zip(&norm.parameters).skip(1) {
                if let Some(parameter) = parameter {
                    let name = format!("{}/tried {}", graph.node(norm.node).name, parameter.name);
                    *operand = Parameter { name, layer, ..parameter.clone() }.into();
                }
            }
            edits.replace(norm.node, Expr::made(graph.node(norm.node).op.clone(), operands));
        }
    })?;
    let layers: Vec<String> = some.iter().map(|norm| norm.layer.clone()).collect();
    let what = format!("{text}: {}", and_more(&layers));
    Some(Trial { kind: "statistics", what, change: Change::B(changed) })
}

/// Where only one of both has batch norms: its tensors in each other's places.
fn where_one_has_none(case: &Case<'_>) -> Vec<Trial> {
    let has = |side: &Side| side.model.graph().nodes().iter().any(|node| matches!(node.op, Op::BatchNorm(_)));
    let (side, change, name): (&Side, fn(Graph) -> Change, &str) = match (has(case.a()), has(case.b())) {
        (true, false) => (case.a(), Change::A, "A"),
        (false, true) => (case.b(), Change::B, "B"),
        (true, true) | (false, false) => return Vec::new(),
    };
    let graph = side.model.graph();
    let trial = |[p, q]: [usize; 2]| {
        let swapped = edited(side, |edits| {
            for id in graph.node_ids().filter(|&id| matches!(graph.node(id).op, Op::BatchNorm(_))) {
                let mut operands = operands(graph, id);
                operands.swap(p, q);
                edits.replace(id, Expr::made(graph.node(id).op.clone(), operands));
            }
        })?;
        let what = format!("{} and {} of the batch norms are in each other's places in {name}", NAMES[p], NAMES[q]);
        Some(Trial { kind: "statistics", what, change: change(swapped) })
    };
    SWAPS.into_iter().filter_map(trial).collect()
}
