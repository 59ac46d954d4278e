//! Zeros around an image that a convolution, or an average over whole windows, pads with anyway.
//!
//! Not before other pools: what a maximum pads with is −∞, and a mean over what lies on the image counts no zeros.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::{Node, ValueId};
use crate::op::{AvgPool, Conv, Op, Pad, Padding, Pads};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};

pub(super) const PASS: Form =
    Form { name: "padding", what: "made zeros around images the padding of the window behind them", find };

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    for (id, node) in m.nodes() {
        let padded = if let Op::Conv(conv) = node.op {
            before(m, node, conv.padding).map(|(x, padding)| (x, Op::Conv(Conv { padding, ..conv })))
        } else if let Op::AvgPool(pool) = node.op {
            average(m, node, pool)
        } else {
            None
        };
        let Some((x, op)) = padded else { continue };
        let mut operands = vec![x.into()];
        operands.extend(node.inputs[1..].iter().map(|&input| Expr::Old(input)));
        edits.replace(id, Expr::made(op, operands));
        found.nodes.push(node.name.raw().to_owned());
    }
    Ok(found)
}

/// What is padded, and the padding of both.
fn before(m: &Matcher<'_>, node: &Node, own: Padding) -> Option<(ValueId, Padding)> {
    let (_, pad) = m.inner(*node.inputs.first()?)?;
    let Op::Pad(Pad { pads, channels: [0, 0], value: 0.0 }) = pad.op else { return None };
    let Padding::Explicit(own) = own else { return None };
    let sum = Pads {
        top: own.top.checked_add(pads.top)?,
        left: own.left.checked_add(pads.left)?,
        bottom: own.bottom.checked_add(pads.bottom)?,
        right: own.right.checked_add(pads.right)?,
    };
    Some((*pad.inputs.first()?, Padding::Explicit(sum)))
}

/// A mean over whole windows of a padded image counts its zeros either way; one that pads by itself must count its own
/// too.
fn average(m: &Matcher<'_>, node: &Node, pool: AvgPool) -> Option<(ValueId, Op)> {
    let own_zeros = pool.padding == Padding::default() || pool.count_include_pad;
    let fits = own_zeros && !pool.ceil_mode && pool.dilations == [1, 1];
    let (x, padding) = before(m, node, pool.padding).filter(|_| fits)?;
    // Runtimes want a window to lie on the image at least in part.
    let Padding::Explicit(pads) = padding else { return None };
    let fits = pads.top.max(pads.bottom) < pool.kernel[0] && pads.left.max(pads.right) < pool.kernel[1];
    fits.then_some((x, Op::AvgPool(AvgPool { padding, count_include_pad: true, ..pool })))
}
