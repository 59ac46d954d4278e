//! A pool of another kind: a mean instead of a maximum.

use crate::error::Result;
use residua_ir::Op;

use super::{Case, Change, Trial, and_more, operands};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut places = Vec::new();
    let is_pool = |op: &Op| matches!(op, Op::MaxPool(_) | Op::AvgPool(_) | Op::GlobalPool(_));
    let graph = case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let (wanted, has) = (case.a_op(a), case.b_op(b));
            if is_pool(wanted) && is_pool(has) && wanted.name() != has.name() {
                let expr = residua_ir::rewrite::Expr::made(wanted.clone(), operands(case.b().model.graph(), b.anchor));
                edits.replace(b.anchor, expr);
                places.push(format!("{}: {} against {}", case.place(a), wanted.name(), has.name()));
            }
        }
    });
    let what = format!("pools are of another kind: {}", and_more(&places));
    Ok(graph.into_iter().map(|graph| Trial { kind: "pooling", what: what.clone(), change: Change::B(graph) }).collect())
}
