//! Sums, products and the like of several operands as such of two, from the left.
//!
//! That is the order in which several are computed anyway, so that one operator of three is the same, bit for bit, as two of two.
//! For comparing two models, not for writing one.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::Node;
use crate::op::{Elementwise, Op};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};

pub(super) const PASS: Form = Form { name: "two-operands", what: "took sums of several as sums of two", find };

/// Most operands that are taken apart: each is one level deeper, and operators of more are held against such as they are.
const MOST: usize = 64;

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    for (id, node) in m.nodes() {
        let Node { op: op @ Op::Elementwise(function), inputs, .. } = node else { continue };
        let ([first, between @ .., last], true) = (&inputs[..], folds(*function) && (3..=MOST).contains(&inputs.len()))
        else {
            continue;
        };
        let so_far = between.iter().fold(Expr::from(*first), |so_far, &operand| {
            Expr::step("so far", op.clone(), vec![so_far, operand.into()])
        });
        edits.replace(id, Expr::made(op.clone(), vec![so_far, (*last).into()]));
        found.nodes.push(node.name.raw().to_owned());
    }
    Ok(found)
}

/// Whether several operands are taken one after the other.
fn folds(function: Elementwise) -> bool {
    match function {
        Elementwise::Add
        | Elementwise::Mul
        | Elementwise::Max
        | Elementwise::Min
        | Elementwise::And
        | Elementwise::Or
        | Elementwise::Xor => true,
        // A mean divides the sum of all by their number.
        Elementwise::Mean
        | Elementwise::Sub
        | Elementwise::Div
        | Elementwise::Pow
        | Elementwise::Mod
        | Elementwise::Rem => false,
    }
}
