//! Tensors of batch norms that are not where they belong: in each other's places, or as a layer is created with them.

use crate::error::Result;
use residua_ir::rewrite::Expr;
use residua_ir::{DType, Graph, NodeId, Op, Parameter, Tensor};

use super::super::examined::Examined;
use super::super::fused_layer::Weights;
use super::super::locate::norm_epsilons;
use super::{Case, Change, Trial, and_more, edited, operands, with_weights};

/// Names of the operands of a batch norm; the first is what is normalised.
const NAMES: [&str; 5] = ["", "scale", "offset", "mean", "variance"];

/// Pairs of operands that are mistaken for each other.
const SWAPS: [[usize; 2]; 4] = [[3, 4], [1, 2], [2, 3], [1, 4]];

/// Operands with what a layer is created with, and what is said of that.
type Created = (&'static [(usize, f64)], &'static str);

const CREATED: [Created; 3] = [
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
    node_of_a: NodeId,
    node: NodeId,
    a: [Vec<f64>; 5],
    b: [Vec<f64>; 5],
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
        is_all(&self.b[at], value)
    }
}

fn is_all(numbers: &[f64], value: f64) -> bool {
    numbers.iter().all(|found| (found - value).abs() <= SAME)
}

fn near(x: &[f64], y: &[f64]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| (x - y).abs() <= SAME * x.abs().max(y.abs()))
}

/// Batch norms at the same place in both, with their tensors.
fn norms(case: &Case<'_>) -> Vec<Norm> {
    let mut found = Vec::new();
    for (_, a, b) in case.marks() {
        for ((p, _), (q, _)) in norm_epsilons(case.a(), a).into_iter().zip(norm_epsilons(case.b(), b)) {
            let (Some(of_a), Some(of_b)) = (tensors_of(case.a(), p), tensors_of(case.b(), q)) else { continue };
            found.push(Norm { layer: case.a().layer(p), node_of_a: p, node: q, a: of_a, b: of_b });
        }
    }
    found
}

fn tensors_of(examined: &Examined, node: NodeId) -> Option<[Vec<f64>; 5]> {
    let graph = examined.model.graph();
    let of = |at: usize| graph.as_parameter(*graph.node(node).inputs.get(at)?)?.tensor.to_f64().ok();
    Some([Vec::new(), of(1)?, of(2)?, of(3)?, of(4)?])
}

/// A batch norm of the second model with the tensors of one of the first. Its epsilon it keeps, for another one would be a
/// cause of its own, unless the first has it in its tensors already.
fn as_in(case: &Case<'_>, norm: NodeId, node: NodeId) -> Expr {
    let (from, to) = (case.a().model.graph(), case.b().model.graph());
    let mut operands = operands(to, node);
    for (operand, &input) in operands.iter_mut().zip(&from.node(norm).inputs).skip(1) {
        if let Some(parameter) = from.as_parameter(input) {
            let name = format!("{}/tried {}", to.node(node).name.raw(), parameter.name.raw());
            *operand = Parameter { name: name.into(), layer: to.node(node).layer, ..parameter.clone() }.into();
        }
    }
    let written_out = matches!(from.node(norm).op, Op::BatchNorm(norm) if norm.epsilon == 0.0);
    let op = if written_out { from.node(norm).op.clone() } else { to.node(node).op.clone() };
    Expr::made(op, operands)
}

/// The second model with the tensors of the first in some of its batch norms.
fn trial(case: &Case<'_>, norms: &[Norm], text: &str, slipped: &dyn Fn(&Norm) -> bool) -> Option<Trial> {
    let some: Vec<&Norm> = norms.iter().filter(|norm| slipped(norm)).collect();
    let changed = case.edited(|edits| {
        for norm in &some {
            edits.replace(norm.node, as_in(case, norm.node_of_a, norm.node));
        }
    })?;
    let layers: Vec<String> = some.iter().map(|norm| norm.layer.clone()).collect();
    let what = format!("{text}: {}", and_more(&layers));
    Some(Trial { kind: "statistics", what, change: Change::B(changed) })
}

/// Where the batch norms of one were folded away, or written out: what may have become of them before.
fn where_one_has_none(case: &Case<'_>) -> Vec<Trial> {
    match (has_norms(case.a()), has_norms(case.b())) {
        (true, false) => {
            let swapped = SWAPS.into_iter().filter_map(|pair| all_swapped(case.a(), pair, "B", Change::A));
            let created = CREATED.into_iter().filter_map(|created| all_created(case.a(), created));
            swapped.chain(created).collect()
        }
        (false, true) => {
            let swapped = SWAPS.into_iter().filter_map(|pair| all_swapped(case.b(), pair, "B", Change::B));
            let created = CREATED.into_iter().filter_map(|created| not_loaded(case, created));
            swapped.chain(created).collect()
        }
        (true, true) | (false, false) => Vec::new(),
    }
}

/// Batch norms as they were trained; those that an exporter wrote out have no epsilon left.
fn norms_of(graph: &Graph) -> impl Iterator<Item = NodeId> + '_ {
    graph.node_ids().filter(|&id| matches!(graph.node(id).op, Op::BatchNorm(norm) if norm.epsilon != 0.0))
}

fn has_norms(examined: &Examined) -> bool {
    norms_of(examined.model.graph()).next().is_some()
}

/// A model with two tensors of all its batch norms in each other's places; in `name` they were the other way round.
fn all_swapped(examined: &Examined, [p, q]: [usize; 2], name: &str, change: fn(Graph) -> Change) -> Option<Trial> {
    let graph = examined.model.graph();
    let swapped = edited(examined, |edits| {
        for id in norms_of(graph) {
            let mut operands = operands(graph, id);
            operands.swap(p, q);
            edits.replace(id, Expr::made(graph.node(id).op.clone(), operands));
        }
    })?;
    let what = format!("{} and {} of the batch norms are in each other's places in {name}", NAMES[p], NAMES[q]);
    Some(Trial { kind: "statistics", what, change: change(swapped) })
}

/// The first model with tensors as a layer is created with them, as they may have been when those of the second were
/// folded away.
fn all_created(examined: &Examined, (tensors, what): Created) -> Option<Trial> {
    let graph = examined.model.graph();
    let created = edited(examined, |edits| {
        for id in norms_of(graph) {
            let mut operands = operands(graph, id);
            for &(at, value) in tensors {
                let Some(own) = graph.node(id).inputs.get(at).and_then(|&input| graph.as_parameter(input)) else {
                    return;
                };
                let Ok(tensor) = Tensor::filled(DType::F32, own.tensor.shape().to_vec(), value) else { return };
                let name = format!("{}/tried {}", graph.node(id).name.raw(), own.name.raw());
                operands[at] = Parameter { name: name.into(), tensor, ..own.clone() }.into();
            }
            edits.replace(id, Expr::made(graph.node(id).op.clone(), operands));
        }
    })?;
    let what = format!("{what} in the batch norms that were folded into B, as a layer is created: not loaded");
    Some(Trial { kind: "statistics", what, change: Change::A(created) })
}

/// The second model with the weights of the first where its batch norms have tensors as a layer is created with them.
fn not_loaded(case: &Case<'_>, (tensors, what): Created) -> Option<Trial> {
    let mut layers = Vec::new();
    let graph = case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let created = |&(node, _): &(NodeId, f64)| {
                let has = tensors_of(case.b(), node);
                has.is_some_and(|has| tensors.iter().all(|&(at, value)| is_all(&has[at], value)))
            };
            let Some((node, _)) = norm_epsilons(case.b(), b).into_iter().find(created) else { continue };
            let own = match (Weights::of(case.a(), a), Weights::of(case.b(), b)) {
                (Some(wanted), Some(has)) if wanted.differences(&has).is_some_and(|found| !found.is_none()) => {
                    with_weights(case.b(), b, &wanted).map(|expr| (has.end, expr))
                }
                // A norm behind what has no weights.
                (None, None) => norm_epsilons(case.a(), a).first().map(|(norm, _)| (node, as_in(case, *norm, node))),
                (Some(_) | None, _) => None,
            };
            if let Some((end, expr)) = own {
                edits.replace(end, expr);
                layers.push(case.b().layer(node));
            }
        }
    })?;
    let what = format!("{what} in B, as a layer is created: not loaded: {}", and_more(&layers));
    Some(Trial { kind: "statistics", what, change: Change::B(graph) })
}
