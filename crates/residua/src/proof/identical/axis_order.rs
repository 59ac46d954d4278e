//! Whether the axes of inputs and outputs of two models correspond as they are taken to, in what is compared of both.
//!
//! A normal form may hold a value with other axes than the model does that it is of: NHWC there, NCHW here. Both know how the
//! source shows it, which leads from one to the other.

use residua_ir::{Checked, Shape, SourceOrder, ValueId};

use super::super::interface::{Interface, TO_FIRST, TO_LAST, Written, WrittenInterface, axes, may_equal, permuted};

/// A value of a model with the same one of its normal form.
struct Held<'m> {
    /// As the model has it.
    own: &'m SourceOrder,
    /// As the normal form has it.
    normal: &'m SourceOrder,
    shape: &'m Shape,
}

impl<'m> Held<'m> {
    fn of(meant: &'m Checked, value: ValueId, seen: &'m Checked, normal: ValueId) -> Option<Self> {
        let (own, normal) = (&meant.graph().value(value).order, &seen.graph().value(normal).order);
        Some(Self { own, normal, shape: meant.shape_of(value)? })
    }

    fn is_flattened(&self) -> bool {
        [self.own, self.normal].iter().any(|order| matches!(order, SourceOrder::FlattenedChannelsLast { .. }))
    }

    /// For each axis of the model's value, which one it is of the normal form's.
    fn moved(&self) -> Option<Vec<usize>> {
        let rank = self.shape.rank();
        let (own, normal) = (axes(self.own, rank)?, axes(self.normal, rank)?);
        (0..rank).map(|axis| Some(normal[own.iter().position(|&shown| shown == axis)?])).collect()
    }
}

/// For each axis of the second model's value, which one it is of the first's; where what stands for both has the same axes.
fn followed(a: &Held<'_>, b: &Held<'_>) -> Option<Vec<usize>> {
    let (of_a, of_b) = (a.moved()?, b.moved()?);
    of_b.iter().map(|axis| of_a.iter().position(|seen| seen == axis)).collect()
}

/// Whether the inputs and outputs of `meant` correspond as they are taken to, where those of `seen`, which stand for them, are the same values.
pub(super) fn agrees(
    meant: [&Checked; 2],
    seen: [&Checked; 2],
    interface: &Interface,
    written: Option<&WrittenInterface>,
) -> bool {
    let held = |which: usize, value, normal| Held::of(meant[which], value, seen[which], normal);
    let [a, b] = meant.map(|model| model.graph());
    let [normal_a, normal_b] = seen.map(|model| model.graph());
    let same_counts = normal_a.inputs().len() == a.inputs().len() && normal_b.inputs().len() == b.inputs().len();
    let inputs = (0..a.inputs().len()).all(|at| {
        let of = |which: usize, own: &[ValueId], normal: &[ValueId]| held(which, *own.get(at)?, *normal.get(at)?);
        let pair = of(0, a.inputs(), normal_a.inputs()).zip(of(1, b.inputs(), normal_b.inputs()));
        pair.is_some_and(|(a, b)| match (a.is_flattened(), b.is_flattened()) {
            (false, false) => followed(&a, &b).as_deref() == interface.input(at),
            (true, _) | (_, true) => false,
        })
    });
    let outputs = (0..a.outputs().len()).all(|at| {
        let of = |which: usize, own: &[ValueId], normal: &[ValueId]| held(which, *own.get(at)?, *normal.get(at)?);
        let pair = of(0, a.outputs(), normal_a.outputs()).zip(of(1, b.outputs(), normal_b.outputs()));
        let written = written.map(|written| written.outputs.get(at));
        pair.is_some_and(|(a, b)| output_alike(&a, &b, written))
    });
    same_counts && inputs && outputs
}

fn output_alike(a: &Held<'_>, b: &Held<'_>, written: Option<Option<&Written>>) -> bool {
    match (written, a.is_flattened() || b.is_flattened()) {
        (Some(None), _) => false,
        (Some(Some(written)), false) => {
            let known = written.perm(a.own, a.shape.rank());
            !written.is_flattened() && known.is_some() && followed(a, b) == known
        }
        (Some(Some(Written { rewritten, file })), true) => {
            a.own == a.normal && a.own == rewritten && *b.own == SourceOrder::Same && b.normal == file
        }
        (None, false) => followed(a, b).is_some_and(|perm| {
            // What is compared in numbers is taken as it is where the shapes allow it.
            let as_it_is = perm.iter().enumerate().all(|(axis, &from)| axis == from);
            let known = perm == TO_LAST || perm == TO_FIRST || axes(a.own, perm.len()).as_ref() == Some(&perm);
            as_it_is || known && !may_equal(a.shape, b.shape) && may_equal(&permuted(a.shape, &perm), b.shape)
        }),
        (None, true) => a.own == a.normal && (b.own == b.normal || *b.own == SourceOrder::Same && b.normal == a.own),
    }
}
