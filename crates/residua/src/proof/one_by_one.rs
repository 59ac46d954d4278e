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
use super::{Settings, forced_unlike, locate};

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
        let (pairs, points) = points(a, b, outputs);
        let mut held = match forced_unlike::hold(a, b, &points, pairs.len(), settings)? {
            Some(held) => held,
            None => hold(a, b, &points, settings)?,
        };
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

/// Landmarks that are the same place, and all places at which both are held against each other: those, then the outputs.
fn points(a: &Examined, b: &Examined, outputs: &[ComparedValue]) -> (Vec<(usize, usize)>, Vec<Point>) {
    let pairs = align(&a.marks, &b.marks);
    let marks = pairs.iter().map(|&(x, y)| (a.marks[x].value, b.marks[y].value, SourceOrder::Same));
    let outputs =
        outputs.iter().map(|ComparedValue { a: x, b: y, .. }| (*x, *y, a.model.graph().value(*x).order.clone()));
    let points = marks.chain(outputs).map(|(a, b, order)| Point { a, b, order }).collect();
    (pairs, points)
}

#[cfg(test)]
mod tests {
    use residua_ir::{Checked, Tensor, validate};

    use super::super::compared_values::compared_values;
    use super::super::{Both, Relation};
    use super::*;

    /// The model with every tensor changed of which that is said.
    fn changed(model: &Checked, is_changed: impl Fn(usize) -> bool) -> Checked {
        let mut number = 0;
        let graph = model.graph().clone().map_tensors(|parameter| {
            number += 1;
            let mut values = parameter.tensor.to_f32()?;
            if is_changed(number - 1) {
                values.iter_mut().for_each(|value| *value *= 1.25);
            }
            Tensor::from_f32(parameter.tensor.shape().to_vec(), &values)
        });
        validate(graph.unwrap()).unwrap()
    }

    #[test]
    fn what_is_run_where_models_are_made_otherwise_gives_what_runs_of_both_throughout_give() {
        for label in ["digits/digits.k3.keras", "thin/thin50v2.k3.h5", "transfer/group_norm_resnet.k3.keras"] {
            let model = validate(residua_import::load(&residua_tests::fixture(label).path).unwrap()).unwrap();
            let middle = model.graph().parameters().len() / 2;
            let settings = Settings::default();
            let examined = |other: &Checked| {
                let both = Both::new(&model, other, Relation::Rearranged, &settings).unwrap().unwrap();
                let of = |model, inputs| Examined::new(model, inputs, false).unwrap();
                (of(&both.a, &both.inputs), of(&both.b, &both.inputs_b))
            };
            let (a, b) = examined(&changed(&model, |number| (middle..middle + 3).contains(&number)));
            let (pairs, points) = points(&a, &b, &compared_values(&a.model, &b.model, false));
            let short = forced_unlike::hold(&a, &b, &points, pairs.len(), &settings).unwrap().unwrap();
            let whole = hold(&a, &b, &points, &settings).unwrap();
            let mut apart = 0;
            for (at, (short, whole)) in short.iter().zip(&whole).enumerate() {
                let (short, whole) = (short.as_ref().unwrap(), whole.as_ref().unwrap());
                assert_eq!(short.holds(), whole.holds(), "{label}, point {at}");
                let max_abs = |held: &Held| held.difference.as_ref().unwrap().max_abs;
                assert!(max_abs(short).to_bits() == max_abs(whole).to_bits(), "{label}, point {at}");
                if max_abs(short) > 0.0 || at >= pairs.len() {
                    apart += 1;
                    assert_eq!(short.difference, whole.difference, "{label}, point {at}");
                    let bound = |held: &Held| (held.bound.value, held.bound.from.clone());
                    assert_eq!(bound(short), bound(whole), "{label}, point {at}");
                }
            }
            assert!(apart > points.len() - pairs.len(), "{label}: nothing differs");
            let (a, b) = examined(&changed(&model, |_| true));
            assert!(forced_unlike::hold(&a, &b, &points, pairs.len(), &settings).unwrap().is_none(), "{label}");
        }
    }
}
