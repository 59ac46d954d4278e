//! Where two models begin to differ, and why, as far as the two layers tell.

use anyhow::Result;
use residua_exec::Array;
use residua_exec::compare::difference;
use residua_ir::{Checked, NodeId, Op, Padding, Pads, SourceOrder, ValueId};

use super::landmarks::{Landmark, align, landmarks};
use super::{Divergence, Run, Settings, bound, interface};

/// The first aligned place that differs by more than its bound, or at all where the models must be the same `exactly`; `None` where there is no such place, or none that could
/// be aligned.
pub(super) fn first_divergence(
    a: &Checked,
    b: &Checked,
    inputs: &[Array],
    inputs_b: &[Array],
    exactly: bool,
    settings: &Settings,
) -> Result<Option<Divergence>> {
    let (marks_a, marks_b) = (landmarks(a), landmarks(b));
    let pairs = align(&marks_a, &marks_b);
    let values = |side: fn(&(&Landmark, &Landmark)) -> ValueId| pairs.iter().map(side).collect::<Vec<_>>();
    let (keep_a, keep_b) = (values(|pair| pair.0.value), values(|pair| pair.1.value));
    let first = Run::new(a, inputs, keep_a, settings)?;
    let second = Run::new(b, inputs_b, keep_b, settings)?;
    let bounds = match (exactly, settings.tolerance) {
        (true, _) => vec![0.0; pairs.len()],
        (false, Some(tolerance)) => vec![tolerance; pairs.len()],
        (false, None) => first.noise(settings)?,
    };
    for (((mark_a, mark_b), bound), (first, second)) in
        pairs.into_iter().zip(bounds).zip(first.exact.iter().zip(&second.exact))
    {
        let Some(second) = interface::same_shape(first, second, &SourceOrder::Same)? else { continue };
        let found = difference(first, &second)?;
        if !bound::within(&found, bound) {
            return Ok(Some(Divergence {
                a: layer(a, mark_a.anchor),
                b: layer(b, mark_b.anchor),
                max_abs: found.max_abs,
                bound,
                cause: cause(a, mark_a.anchor, b, mark_b.anchor),
            }));
        }
    }
    Ok(None)
}

fn layer(model: &Checked, node: NodeId) -> String {
    model.graph().layer(model.graph().node(node).layer).name.clone()
}

/// What is different about two nodes that should be the same.
fn cause(a: &Checked, first: NodeId, b: &Checked, second: NodeId) -> Option<String> {
    let (x, y) = (a.graph().node(first), b.graph().node(second));
    if let (Op::Conv(p), Op::Conv(q)) = (&x.op, &y.op) {
        let differing = [
            (p.strides != q.strides, format!("stride {:?} against {:?}", p.strides, q.strides)),
            (padding(a, first) != padding(b, second), {
                format!("padding {} against {}", padding(a, first), padding(b, second))
            }),
            (p.dilations != q.dilations, format!("dilation {:?} against {:?}", p.dilations, q.dilations)),
        ];
        if let Some((_, words)) = differing.into_iter().find(|(differs, _)| *differs) {
            return Some(words);
        }
    } else if x.op != y.op {
        return Some(format!("{:?} against {:?}", x.op, y.op));
    }
    let epsilons = (epsilon_behind(a, first), epsilon_behind(b, second));
    if let (Some(p), Some(q)) = epsilons
        && (p - q).abs() > f64::EPSILON * p.abs().max(q.abs()) * 1e6
        && (p as f32 - q as f32).abs() > 0.0
    {
        return Some(format!("epsilon of the norm behind it {p:e} against {q:e}"));
    }
    x.inputs.iter().zip(&y.inputs).find_map(|(&p, &q)| weights_differ(a, p, b, q))
}

/// The padding of a convolution, that of a padding operator before it included.
fn padding(model: &Checked, node: NodeId) -> String {
    let graph = model.graph();
    let conv = graph.node(node);
    let Op::Conv(attributes) = &conv.op else { return String::new() };
    let before = graph.producer(conv.inputs[0]).map(|before| &graph.node(before).op);
    let outer = match before {
        Some(Op::Pad(pad)) if pad.value == 0.0 => pad.pads,
        _ => Pads::default(),
    };
    match attributes.padding {
        Padding::Explicit(own) => {
            let [top, left] = [own.top + outer.top, own.left + outer.left];
            let [bottom, right] = [own.bottom + outer.bottom, own.right + outer.right];
            format!("(top {top}, left {left}, bottom {bottom}, right {right})")
        }
        Padding::SameUpper | Padding::SameLower => format!("{:?}", attributes.padding),
    }
}

/// The epsilon of the batch norm that directly follows.
fn epsilon_behind(model: &Checked, node: NodeId) -> Option<f64> {
    let graph = model.graph();
    let output = graph.node(node).output();
    graph.nodes().iter().find_map(|next| match (&next.op, next.inputs.first()) {
        (Op::BatchNorm(norm), Some(&x)) if x == output => Some(norm.epsilon),
        _ => None,
    })
}

fn weights_differ(a: &Checked, p: ValueId, b: &Checked, q: ValueId) -> Option<String> {
    let (p, q) = (a.graph().as_parameter(p)?, b.graph().as_parameter(q)?);
    let (x, y) = (p.tensor.to_f64().ok()?, q.tensor.to_f64().ok()?);
    if x.len() != y.len() {
        return Some(format!("`{}` {:?} against `{}` {:?}", p.name, p.tensor.shape(), q.name, q.tensor.shape()));
    }
    let largest = x.iter().zip(&y).fold(0.0f64, |largest, (x, y)| largest.max((x - y).abs()));
    (largest > 0.0).then(|| format!("`{}` and `{}` differ by up to {largest:e}", p.name, q.name))
}
