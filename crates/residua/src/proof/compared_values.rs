//! What must be the same in two models: their outputs, and what goes into a final softmax.

use residua_ir::{Activation, Checked, Name, Op, ValueId};

/// A value that must be the same in both models.
pub(super) struct ComparedValue {
    pub(super) name: String,
    pub(super) a: ValueId,
    pub(super) b: ValueId,
}

/// The outputs, and behind each one that is squashed (softmax, sigmoid) what goes into it: probabilities near 0 and 1
/// would hide almost any difference. Where only one model squashes, what goes into it instead, if that `will_do`.
pub(super) fn compared_values(a: &Checked, b: &Checked, will_do: bool) -> Vec<ComparedValue> {
    let mut compared_values = Vec::new();
    for (&x, &y) in a.graph().outputs().iter().zip(b.graph().outputs()) {
        let name = a.graph().value(x).name.clone();
        let before = |a, b| ComparedValue { name: format!("{} before its activation", name.raw()), a, b };
        let plain = ComparedValue { name: name.raw().to_owned(), a: x, b: y };
        match (squashed(a, x), squashed(b, y)) {
            (Some(before_x), Some(before_y)) => compared_values.extend([plain, before(before_x, before_y)]),
            (Some(before_x), None) if will_do => compared_values.push(before(before_x, y)),
            (None, Some(before_y)) if will_do => compared_values.push(before(x, before_y)),
            (Some(_), None) | (None, Some(_)) | (None, None) => compared_values.push(plain),
        }
    }
    compared_values
}

/// The output that only one of two models squashes.
pub(super) fn squashed_once(a: &Checked, b: &Checked) -> Option<Name> {
    let pairs = a.graph().outputs().iter().zip(b.graph().outputs());
    let mut once = pairs.filter(|&(&x, &y)| squashed(a, x).is_some() != squashed(b, y).is_some());
    once.next().map(|(&x, _)| a.graph().value(x).name.clone())
}

/// What a value is the softmax or sigmoid of. Where its axes are turned before and back behind, as old operator sets ask
/// for, that is what was turned.
pub(super) fn squashed(model: &Checked, mut value: ValueId) -> Option<ValueId> {
    let graph = model.graph();
    // Where each axis of the value is before what was passed; none where that is no permutation.
    let mut turned: Option<Vec<usize>> = model.shape_of(value).map(|shape| (0..shape.rank()).collect());
    loop {
        let node = graph.node(graph.producer(value)?);
        value = *node.inputs.first()?;
        match &node.op {
            Op::Softmax { .. } | Op::Activation(Activation::Sigmoid) => break,
            Op::Identity(_) | Op::Cast { .. } | Op::Quantize(_) | Op::Dequantize(_) => {}
            Op::Transpose { perm } => turned = turned.and_then(|axes| followed(&axes, perm)),
            Op::Reshape { .. } => turned = None,
            _ => return None,
        }
    }
    let before = graph.producer(value).map(|id| graph.node(id));
    if let Some(Op::Transpose { perm }) = before.map(|node| &node.op)
        && let Some(axes) = turned.and_then(|axes| followed(&axes, perm))
        && axes.iter().enumerate().all(|(at, &axis)| at == axis)
    {
        return before.and_then(|node| node.inputs.first().copied());
    }
    Some(value)
}

/// Where axes are before a transposition.
fn followed(axes: &[usize], perm: &[usize]) -> Option<Vec<usize>> {
    axes.iter().map(|&axis| perm.get(axis).copied()).collect()
}

#[cfg(test)]
mod tests {
    use residua_ir::{GraphBuilder, Shape, validate};

    use super::*;

    /// A softmax between two transpositions, and what goes into the first.
    fn turned(before: Vec<usize>, behind: Vec<usize>) -> (Checked, ValueId) {
        let mut g = GraphBuilder::new("turned");
        let x = g.input("x", Shape::fixed(&[2, 3, 4, 5]));
        let turned = g.add("before", Op::Transpose { perm: before }, &[x]);
        let y = g.add("softmax", Op::Softmax { axis: 3 }, &[turned]);
        let y = g.add("behind", Op::Transpose { perm: behind }, &[y]);
        g.output(y);
        (validate(g.finish().unwrap()).unwrap(), x)
    }

    #[test]
    fn what_is_turned_for_a_softmax_and_back_is_compared_as_it_lay_before() {
        let (model, x) = turned(vec![0, 3, 2, 1], vec![0, 3, 2, 1]);
        assert_eq!(squashed(&model, model.graph().outputs()[0]), Some(x));
        let (model, x) = turned(vec![0, 2, 3, 1], vec![0, 3, 1, 2]);
        assert_eq!(squashed(&model, model.graph().outputs()[0]), Some(x));
        let (model, x) = turned(vec![0, 2, 3, 1], vec![0, 2, 3, 1]);
        assert_ne!(squashed(&model, model.graph().outputs()[0]), Some(x), "it does not come back");
    }
}
