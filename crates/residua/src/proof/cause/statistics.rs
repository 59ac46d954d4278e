//! Tensors of batch norms in each other's places: mean and variance, scale and offset.

use anyhow::Result;
use residua_ir::Op;
use residua_ir::rewrite::Expr;

use super::{Case, Change, Trial, operands};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let graph = case.b().model.graph();
    let swaps = [("mean and variance", [3, 4]), ("scale and offset", [1, 2])];
    let trial = |(what, [first, second]): (&str, [usize; 2])| {
        let changed = case.edited(|edits| {
            for id in graph.node_ids().filter(|&id| matches!(graph.node(id).op, Op::BatchNorm(_))) {
                let mut operands = operands(graph, id);
                if operands.len() > second {
                    operands.swap(first, second);
                    edits.replace(id, Expr::made(graph.node(id).op.clone(), operands));
                }
            }
        })?;
        let what = format!("{what} of the batch norms are in each other's places");
        Some(Trial { kind: "statistics", what, change: Change::B(changed) })
    };
    Ok(swaps.into_iter().filter_map(trial).collect())
}
