//! Another activation, one too many or one missing.

use crate::error::Result;
use residua_ir::rewrite::Expr;
use residua_ir::{Activation, NodeId, Op};

use super::super::examined::Examined;
use super::super::landmarks::Landmark;
use super::{Case, Change, Trial, and_more, operands};

/// The activations behind a fused layer.
fn activations(examined: &Examined, mark: &Landmark) -> Vec<(NodeId, Activation)> {
    let graph = examined.model.graph();
    let of = |&id: &NodeId| if let Op::Activation(function) = graph.node(id).op { Some((id, function)) } else { None };
    mark.followers.iter().filter_map(of).collect()
}

fn named(found: &[(NodeId, Activation)]) -> &'static str {
    found.first().map_or("nothing", |(_, function)| function.name())
}

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut places = Vec::new();
    let graph = case.b().model.graph();
    let changed = case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let (wanted, has) = (activations(case.a(), a), activations(case.b(), b));
            let change = match (&wanted[..], &has[..]) {
                (&[(_, wanted)], &[(node, has)]) if wanted != has => {
                    Some((node, Expr::made(Op::Activation(wanted), operands(graph, node))))
                }
                (&[(_, wanted)], []) => {
                    let last = b.followers.last().copied().unwrap_or(b.anchor);
                    let before = Expr::step("bare", graph.node(last).op.clone(), operands(graph, last));
                    Some((last, Expr::made(Op::Activation(wanted), vec![before])))
                }
                ([], &[(node, _)]) => graph.node(node).inputs.first().map(|&x| (node, x.into())),
                _ => None,
            };
            if let Some((node, expr)) = change {
                edits.replace(node, expr);
                places.push(format!("{}: {} against {}", case.place(a), named(&wanted), named(&has)));
            }
        }
    });
    let what = format!("activations are others: {}", and_more(&places));
    Ok(changed
        .into_iter()
        .map(|graph| Trial { kind: "activation", what: what.clone(), change: Change::B(graph) })
        .collect())
}
