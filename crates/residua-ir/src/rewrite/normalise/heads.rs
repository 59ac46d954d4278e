//! Means over all pixels by another name, and what removes their axes of size 1: one global pool.

use super::matching::Matcher;
use super::{Change, Form, Found};
use crate::graph::{Node, NodeId, ValueId};
use crate::op::{AvgPool, GlobalPool, Op, Padding, PoolKind, Reduce};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};

pub(super) const PASS: Form = Form {
    name: "global-pools",
    what: "made global pools of reductions over all pixels and of what flattens them",
    find,
};

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    for (id, node) in m.nodes() {
        let over_pixels = over_pixels(m, node).map(|(x, pool)| (id, x, pool));
        let Some((is, x, pool)) = over_pixels.or_else(|| flattened(m, node)) else { continue };
        if matches!(node.op, Op::AvgPool(_)) {
            found.change = Change::Rounding;
        }
        edits.replace(id, Expr::made(Op::GlobalPool(pool), vec![x.into()]).known_as(is));
        found.nodes.push(node.name.raw().to_owned());
    }
    Ok(found)
}

/// A reduction over height and width, or an average over a window as large as the image.
#[expect(clippy::wildcard_enum_match_arm, reason = "a pattern: whatever else stands here stays as it is")]
fn over_pixels(m: &Matcher<'_>, node: &Node) -> Option<(ValueId, GlobalPool)> {
    let &[x] = &node.inputs[..] else { return None };
    if m.rank(x) != Some(4) {
        return None;
    }
    match &node.op {
        Op::Reduce(Reduce { kind: kind @ (PoolKind::Mean | PoolKind::Max), axes, keep_dims }) if axes[..] == [2, 3] => {
            Some((x, GlobalPool { kind: *kind, keep_dims: *keep_dims }))
        }
        Op::AvgPool(AvgPool { kernel, padding, dilations: [1, 1], .. }) => {
            let whole = m.size(x, 2) == Some(kernel[0]) && m.size(x, 3) == Some(kernel[1]);
            (whole && *padding == Padding::default())
                .then_some((x, GlobalPool { kind: PoolKind::Mean, keep_dims: true }))
        }
        _ => None,
    }
}

/// A global pool and what makes `[N, C]` of its `[N, C, 1, 1]`.
#[expect(clippy::wildcard_enum_match_arm, reason = "a pattern: whatever else stands here stays as it is")]
fn flattened(m: &Matcher<'_>, node: &Node) -> Option<(NodeId, ValueId, GlobalPool)> {
    let flattens = match &node.op {
        Op::Flatten { axis: 1 } => true,
        Op::Squeeze { axes } => axes[..] == [2, 3],
        Op::Reshape { .. } => {
            let (x, y) = (m.shape(*node.inputs.first()?)?, m.shape(node.output())?);
            y.rank() == 2 && x.rank() > 2 && x.dims().iter().zip(y.dims()).all(|(x, y)| x.is_equal(y))
        }
        _ => false,
    };
    let (is, pool) = m.inner(*node.inputs.first()?).filter(|_| flattens)?;
    let (Op::GlobalPool(GlobalPool { kind, keep_dims: true }), &[x]) = (&pool.op, &pool.inputs[..]) else {
        return None;
    };
    Some((is, x, GlobalPool { kind: *kind, keep_dims: false }))
}
