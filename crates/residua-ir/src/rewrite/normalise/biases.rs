//! A sum with one constant an output, directly behind a convolution or matrix product that has no bias: its bias.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::{Node, NodeId, Parameter, ValueId};
use crate::op::{Elementwise, Op};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};

pub(super) const PASS: Form =
    Form { name: "biases", what: "made biases of what was added behind convolutions and matrix products", find };

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    for (id, node) in m.nodes() {
        let Some([a, b]) = m.pair(node, Elementwise::Add) else { continue };
        let Some((is, producer, bias)) = biased(m, a, b).or_else(|| biased(m, b, a)) else { continue };
        let tensor = bias.tensor.reshape(&[bias.tensor.len()])?;
        let mut operands: Vec<Expr> = producer.inputs.iter().map(|&input| input.into()).collect();
        operands.push(Parameter { tensor, ..bias.clone() }.into());
        edits.replace(id, Expr::made(producer.op.clone(), operands).known_as(is));
        found.nodes.push(node.name.raw().to_owned());
    }
    Ok(found)
}

/// What gives a value without a bias, and the tensor that can be one.
fn biased<'m>(m: &Matcher<'m>, value: ValueId, bias: ValueId) -> Option<(NodeId, &'m Node, &'m Parameter)> {
    let (is, producer) = m.inner(value)?;
    let parameter = m.parameter(bias)?;
    let rank = m.rank(value)?;
    let axis = if let Op::Conv(_) = producer.op {
        1
    } else if producer.op == Op::Linear {
        rank.checked_sub(1)?
    } else {
        return None;
    };
    let shape = parameter.tensor.shape();
    let outputs = m.size(value, axis)?;
    let at = (axis + shape.len()).checked_sub(rank)?;
    let fits = producer.inputs.len() == 2
        && m.parameter(producer.inputs[1]).is_some()
        && shape.get(at) == Some(&outputs)
        && parameter.tensor.len() == outputs
        && parameter.tensor.dtype().is_float();
    fits.then_some((is, producer, parameter))
}
