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

/// What a value is the softmax or sigmoid of.
pub(super) fn squashed(model: &Checked, mut value: ValueId) -> Option<ValueId> {
    let graph = model.graph();
    loop {
        let node = graph.node(graph.producer(value)?);
        match &node.op {
            Op::Softmax { .. } | Op::Activation(Activation::Sigmoid) => return Some(node.inputs[0]),
            Op::Identity(_)
            | Op::Cast { .. }
            | Op::Quantize(_)
            | Op::Dequantize(_)
            | Op::Transpose { .. }
            | Op::Reshape { .. } => value = node.inputs[0],
            _ => return None,
        }
    }
}
