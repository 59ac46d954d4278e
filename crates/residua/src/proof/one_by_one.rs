//! The verdict on two models whose outputs are apart: whether any layer is, given the same inputs, and which.
//!
//! Rounding that a network magnifies is no difference between two models; a layer that computes something else is. What a
//! layer computes is looked at on one input only, so its weights are compared besides: where both models show them, they
//! must be the same numbers but for rounding.

use crate::error::Result;
use residua_ir::SourceOrder;

use super::compared_values::ComparedValue;
use super::examined::Examined;
use super::forced::{Held, Point, hold};
use super::landmarks::{Landmark, align};
use super::verification::{Divergence, EndToEnd, Method, Verdict, Verification};
use super::{Settings, locate};

/// Two models, layer by layer, each on what the first one gives to it.
pub(super) struct OneByOne<'s> {
    a: &'s Examined,
    b: &'s Examined,
    /// Landmarks that are the same place.
    pairs: Vec<(usize, usize)>,
    /// What was found at them; nothing where one of the models does not compute it.
    held: Vec<Option<Held>>,
    /// What was found at the outputs.
    outputs: Vec<Option<Held>>,
}

impl<'s> OneByOne<'s> {
    /// Runs both; `outputs` are looked at besides, as they are.
    pub(super) fn run(
        a: &'s Examined,
        b: &'s Examined,
        outputs: &[ComparedValue],
        settings: &Settings,
    ) -> Result<Self> {
        let pairs = align(&a.marks, &b.marks);
        let marks = pairs.iter().map(|&(x, y)| (a.marks[x].value, b.marks[y].value, SourceOrder::Same));
        let outputs =
            outputs.iter().map(|ComparedValue { a: x, b: y, .. }| (*x, *y, a.model.graph().value(*x).order.clone()));
        let points: Vec<Point> = marks.chain(outputs).map(|(a, b, order)| Point { a, b, order }).collect();
        let mut held = hold(a, b, &points, settings)?;
        let outputs = held.split_off(pairs.len());
        Ok(Self { a, b, pairs, held, outputs })
    }

    fn marks(&self, pair: usize) -> (&'s Landmark, &'s Landmark) {
        let (a, b) = self.pairs[pair];
        (&self.a.marks[a], &self.b.marks[b])
    }

    /// Whether the weights of both are other numbers there.
    fn other_weights(&self, pair: usize) -> bool {
        let (a, b) = self.marks(pair);
        locate::other_weights(self.a, a, self.b, b).is_some()
    }

    /// The first pair of landmarks, in the order of the first model, where a difference is made.
    pub(super) fn first(&self) -> Option<usize> {
        let made = |pair: &usize| self.held[*pair].as_ref().is_some_and(|held| !held.holds());
        (0..self.pairs.len()).find(made).or_else(|| (0..self.pairs.len()).find(|&pair| self.other_weights(pair)))
    }

    /// Whether every layer holds, and with them every output.
    fn holds(&self) -> bool {
        let outputs = self.outputs.iter().all(|held| held.as_ref().is_some_and(Held::holds));
        outputs && !self.outputs.is_empty() && self.first().is_none()
    }

    /// Where the difference begins.
    pub(super) fn divergence(&self) -> Option<Divergence> {
        let first = self.first()?;
        let (a, b) = self.marks(first);
        // Shapes may differ for a while.
        let comparable =
            self.held[first..].iter().flatten().find_map(|held| Some((held.difference.as_ref()?, &held.bound)));
        let (difference, bound) = comparable?;
        Some(Divergence {
            a: self.a.layer(a.named).into(),
            b: self.b.layer(b.named).into(),
            place: a.place.or(b.place).map(|place| place.to_string()),
            max_abs: difference.max_abs,
            bound: bound.value,
            same_inputs: true,
            cause: locate::cause(self.a, a, self.b, b, false),
        })
    }

    /// Makes a verification of two models whose outputs are apart one of their layers, where every layer holds.
    pub(super) fn settle(&self, verification: &mut Verification, method: &Method) -> bool {
        if self.outputs.len() != verification.outputs.len() || !self.holds() {
            return false;
        }
        for (output, held) in verification.outputs.iter_mut().zip(self.outputs.iter().flatten()) {
            let Some(difference) = &held.difference else { return false };
            output.end_to_end =
                Some(EndToEnd { max_abs: output.max_abs, max_rel: output.max_rel, cosine: output.cosine });
            (output.max_abs, output.max_rel) = (difference.max_abs, difference.max_rel);
            (output.max_ulp, output.cosine) = (difference.max_ulp, difference.cosine);
            (output.bound, output.bound_from) = (held.bound.value, held.bound.from.clone());
        }
        verification.verdict = Verdict::Same;
        verification.method.clone_from(&method.layers);
        verification.found.clone_from(&method.layers);
        true
    }
}
