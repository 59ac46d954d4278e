//! Nodes that give what they are given: identities and dropout, casts to the same type, reshapes to the same shape,
//! sums of one.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::Node;
use crate::op::{Elementwise, Extent, Op, Pad};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::Edits;

pub(super) const PASS: Form = Form { name: "no-ops", what: "removed what does nothing when run", find };

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    for (id, node) in m.nodes().filter(|(_, node)| does_nothing(m, node)) {
        edits.replace(id, node.inputs[0].into());
        found.nodes.push(node.name.raw().to_owned());
    }
    Ok(found)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to do nothing stays")]
fn does_nothing(m: &Matcher<'_>, node: &Node) -> bool {
    let (&[x, ref more @ ..], &[y]) = (&node.inputs[..], &node.outputs[..]) else { return false };
    // Further operands are there for their sizes.
    if !more.is_empty() {
        return matches!(node.op, Op::Reshape { .. } | Op::Expand { .. }) && m.same_shape(x, y);
    }
    match &node.op {
        Op::Identity(_) | Op::Concat { .. } => true,
        Op::Elementwise(op) => {
            matches!(op, Elementwise::Add | Elementwise::Mul | Elementwise::Max | Elementwise::Min | Elementwise::Mean)
        }
        Op::Cast { dtype } => m.model.type_of(x).is_some_and(|ty| ty.dtype == *dtype),
        Op::Reshape { .. } | Op::Flatten { .. } | Op::Expand { .. } => m.same_shape(x, y),
        Op::Transpose { perm } => perm.iter().enumerate().all(|(axis, &from)| axis == from),
        Op::Squeeze { axes } | Op::Unsqueeze { axes } => axes.is_empty(),
        Op::Slice { start: Extent::Known(0), end: None, step: 1, .. } => true,
        Op::Slice { start: Extent::Known(0), step: 1, .. } => m.same_shape(x, y),
        Op::Pad(Pad { pads, channels: [0, 0], .. }) => pads.is_zero(),
        _ => false,
    }
}
