//! Normalisations that were written out.
//!
//! torch writes a group norm as an instance norm between two reshapes, with scale and offset behind them, and before
//! opset 17 a layer norm as mean, difference, variance and root.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::{Node, NodeId, Parameter, ValueId};
use crate::op::{Activation, Elementwise, GroupNorm, LayerNorm, Op, PoolKind, Reduce};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};
use crate::tensor::Tensor;

pub(super) const PASS: Form =
    Form { name: "norms", what: "made group norms and layer norms of what they were written out as", find };

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::rounding();
    for (id, node) in m.nodes() {
        let expr = match group_norm(m, node)? {
            Some(expr) => Some(expr),
            None => layer_norm(m, node)?,
        };
        if let Some(expr) = expr {
            edits.replace(id, expr);
            found.nodes.push(m.graph.node(id).name.raw().to_owned());
        }
    }
    Ok(found)
}

/// `normalised · scale + offset`: what is normalised, and both tensors.
fn scaled(m: &Matcher<'_>, node: &Node) -> Option<(ValueId, [ValueId; 2])> {
    let tensor = |[a, b]: [ValueId; 2]| match (m.parameter(a), m.parameter(b)) {
        (None, Some(_)) => Some((a, b)),
        (Some(_), None) => Some((b, a)),
        (None, None) | (Some(_), Some(_)) => None,
    };
    let (product, offset) = tensor(m.pair(node, Elementwise::Add)?)?;
    let (_, product) = m.inner(product)?;
    let (normalised, scale) = tensor(m.pair(product, Elementwise::Mul)?)?;
    Some((normalised, [scale, offset]))
}

/// A tensor seen in another shape of as many elements.
fn seen(m: &Matcher<'_>, value: ValueId, shape: &[usize]) -> Result<Option<Parameter>, RewriteError> {
    let Some(parameter) = m.parameter(value).filter(|p| p.tensor.len() == shape.iter().product::<usize>()) else {
        return Ok(None);
    };
    Ok(Some(Parameter { tensor: parameter.tensor.reshape(shape)?, ..parameter.clone() }))
}

/// Whether all elements of a tensor are this number; of short tensors only.
fn all_are(m: &Matcher<'_>, value: ValueId, number: f64) -> bool {
    m.parameter(value)
        .filter(|parameter| parameter.tensor.len() <= 4096)
        .and_then(|parameter| parameter.tensor.to_f64().ok())
        .is_some_and(|values| values.iter().all(|value| *value == number))
}

/// Reshape to one channel a group, instance norm, reshape back, scale and offset.
fn group_norm(m: &Matcher<'_>, node: &Node) -> Result<Option<Expr>, RewriteError> {
    let Some((normalised, [scale, offset])) = scaled(m, node) else { return Ok(None) };
    let Some((x, norm)) = between_reshapes(m, normalised) else { return Ok(None) };
    let Some(channels) = m.size(x, 1) else { return Ok(None) };
    // One number a channel, on its axis.
    let by_channel = |value: ValueId| {
        let shape = m.parameter(value).map(|p| p.tensor.shape().to_vec()).unwrap_or_default();
        let axis = (shape.len() + 1).checked_sub(m.rank(x).unwrap_or(0));
        axis.is_some_and(|axis| shape.get(axis) == Some(&channels)) && shape.iter().product::<usize>() == channels
    };
    if !by_channel(scale) || !by_channel(offset) {
        return Ok(None);
    }
    let (Some(scale), Some(offset)) = (seen(m, scale, &[channels])?, seen(m, offset, &[channels])?) else {
        return Ok(None);
    };
    Ok(Some(Expr::made(Op::GroupNorm(norm), vec![x.into(), scale.into(), offset.into()])))
}

fn between_reshapes(m: &Matcher<'_>, value: ValueId) -> Option<(ValueId, GroupNorm)> {
    let (_, back) = m.inner(value).filter(|(_, node)| matches!(node.op, Op::Reshape { .. }))?;
    let (_, norm) = m.inner(*back.inputs.first()?)?;
    let Op::GroupNorm(attributes) = norm.op else { return None };
    let &[grouped, scale, offset] = &norm.inputs[..] else { return None };
    let (_, there) = m.inner(grouped).filter(|(_, node)| matches!(node.op, Op::Reshape { .. }))?;
    let x = *there.inputs.first()?;
    let groups = attributes.groups;
    let fits = m.size(grouped, 1) == Some(groups)
        && m.size(x, 1).is_some_and(|channels| channels % groups == 0)
        && m.shape(x)?.dims().first()?.is_equal(m.shape(grouped)?.dims().first()?)
        && m.same_shape(x, value)
        && all_are(m, scale, 1.0)
        && all_are(m, offset, 0.0);
    fits.then_some((x, attributes))
}

/// `(x − mean) / √(mean((x − mean)²) + ε)` over some axes, with scale and offset.
fn layer_norm(m: &Matcher<'_>, node: &Node) -> Result<Option<Expr>, RewriteError> {
    let Some((normalised, [scale, offset])) = scaled(m, node) else { return Ok(None) };
    let Some((x, norm)) = written_out(m, normalised) else { return Ok(None) };
    let sizes: Option<Vec<usize>> = norm.axes.iter().map(|&axis| m.size(x, axis)).collect();
    let Some(sizes) = sizes else { return Ok(None) };
    let rank = m.rank(x).unwrap_or(0);
    let of_axes = |value: ValueId| {
        let tensor: &Tensor = &m.parameter(value)?.tensor;
        let skipped = rank.checked_sub(tensor.shape().len())?;
        let at = |axis: usize| axis.checked_sub(skipped).and_then(|axis| tensor.shape().get(axis).copied());
        norm.axes.iter().zip(&sizes).all(|(&axis, &size)| at(axis).unwrap_or(1) == size).then_some(())
    };
    if of_axes(scale).and(of_axes(offset)).is_none() {
        return Ok(None);
    }
    let (Some(scale), Some(offset)) = (seen(m, scale, &sizes)?, seen(m, offset, &sizes)?) else { return Ok(None) };
    Ok(Some(Expr::made(Op::LayerNorm(norm), vec![x.into(), scale.into(), offset.into()])))
}

/// The mean over axes that are kept with size 1.
fn mean<'m>(m: &Matcher<'m>, value: ValueId) -> Option<(ValueId, &'m Reduce)> {
    let (_, node) = m.producer(value)?;
    match (&node.op, &node.inputs[..]) {
        (Op::Reduce(reduce @ Reduce { kind: PoolKind::Mean, keep_dims: true, .. }), &[x]) => Some((x, reduce)),
        _ => None,
    }
}

fn written_out(m: &Matcher<'_>, value: ValueId) -> Option<(ValueId, LayerNorm)> {
    let (_, quotient) = m.inner(value)?;
    let [difference, root] = m.pair(quotient, Elementwise::Div)?;
    let [x, centre] = m.pair(m.producer(difference)?.1, Elementwise::Sub)?;
    let (of, reduce) = mean(m, centre)?;
    let (_, root) = m.inner(root).filter(|(_, node)| node.op == Op::Activation(Activation::Sqrt))?;
    let (_, sum) = m.inner(*root.inputs.first()?)?;
    let (variance, epsilon) = m.with_number(sum, Elementwise::Add)?;
    let (squares, again) = mean(m, variance)?;
    let fits = of == x && reduce.axes == again.axes && is_square(m, squares, difference)?;
    fits.then(|| (x, LayerNorm { axes: reduce.axes.clone(), epsilon }))
}

fn is_square(m: &Matcher<'_>, squares: ValueId, of: ValueId) -> Option<bool> {
    let (_, node): (NodeId, &Node) = m.inner(squares)?;
    let power = m.with_number(node, Elementwise::Pow);
    let multiplied = m.pair(node, Elementwise::Mul);
    Some(power == Some((of, 2.0)) || multiplied == Some([of, of]))
}
