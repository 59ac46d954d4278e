//! Proof in parts: what of two models is made alike goes by structure, and only what is made otherwise is run.
//!
//! Both are walked as [`structure`](super::structure) walks them; where operators are others, the walk goes on from the nearest
//! values before them that correspond (what is called the same, or [`landmarks`](super::landmarks), and inputs). What lies between is a part. The first model is run
//! once; what it gives at the beginning of a part goes into the part of the second one, and what that gives must be what the first
//! one gives there. So a bound is about what was changed, and not about what a network makes of it later.
//!
//! It is sound whatever corresponds: each value of the second model that is claimed to be one of the first rests on claims about
//! values that it is computed of. A wrong claim fails. What fails here is decided by running both models as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use residua_exec::compare::{Difference, bit_identical, difference, max_abs};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::op::description::Class;
use residua_ir::{Checked, DType, Graph, Pairing, Part, ValueId, pair_in_parts};
use residua_resnet::anatomy;
use residua_resnet::naming::positions;

use super::bound::{Bound, largest, within};
use super::cut::Cut;
use super::examined::reordered;
use super::identical::{Normal, differing_tensors, place, same_axes};
use super::in_parts::{ByNumbers, InParts};
use super::interface::WrittenInterface;
use super::landmarks::{align, landmarks};
use super::run::run;
use super::{Both, Settings};
use crate::error::{Context, Error, Result};

/// Parts as they are found: what there is of both.
struct Found<'m> {
    part: Part,
    a: Cut<'m>,
    b: Cut<'m>,
    /// Values of the first model that have to be known: what goes into the part on either side, and its result.
    needed: Vec<ValueId>,
}

impl Both {
    /// Proves it in parts; nothing where that does not hold, or is not to be had, so that the whole decides.
    ///
    /// # Errors
    /// Where a tensor cannot be read.
    pub(super) fn in_parts(&self, settings: &Settings) -> Result<Option<InParts>> {
        if settings.tolerance.is_some() {
            return Ok(None);
        }
        let (Ok(normal_a), Ok(normal_b)) = (Normal::of(&self.a), Normal::of(&self.b)) else { return Ok(None) };
        let seen = [normal_a.model(&self.a), normal_b.model(&self.b)];
        // What lies between integers is computed in f32 as a whole, so that a part of it says nothing.
        if seen.iter().any(|model| is_quantised(model.graph())) || !same_axes([&self.a, &self.b], seen, self.written())
        {
            return Ok(None);
        }
        let inputs = reordered(self.a.graph(), seen[0].graph(), &self.inputs)?;
        // Names may be anything, and places may be aligned wrongly: whichever leads to a proof is one.
        for corresponding in [of_one_name(seen), of_one_place(seen)] {
            let float = self.written().and_then(|written| written.float);
            let pairing = pair_in_parts(seen[0], seen[1], float, &corresponding);
            if !pairing.differences.is_empty()
                || !differing_tensors(seen[0].graph(), seen[1].graph(), &pairing.tensors)?.is_empty()
            {
                continue;
            }
            if let Some(by_numbers) = self.run_parts(seen, &pairing, &corresponding, &inputs, settings)? {
                let normalised = [normal_a.applied.clone(), normal_b.applied.clone()];
                return Ok(Some(InParts::new(seen[0].graph(), &pairing, normalised, by_numbers)));
            }
        }
        Ok(None)
    }

    fn written(&self) -> Option<&WrittenInterface> {
        self.written.as_ref()
    }

    /// Runs the first model once, and each part as soon as all is known that goes into it; nothing where one does not hold.
    fn run_parts(
        &self,
        seen: [&Checked; 2],
        pairing: &Pairing,
        corresponding: &[(ValueId, ValueId)],
        inputs: &[Array],
        settings: &Settings,
    ) -> Result<Option<Vec<ByNumbers>>> {
        let of_a: HashSet<ValueId> = corresponding.iter().map(|&(a, _)| a).collect();
        let parts: Vec<Found<'_>> = pairing.parts.iter().map(|part| found(seen, part, &of_a)).collect();
        let mut known = Known::new(&parts);
        for (&input, array) in seen[0].graph().inputs().iter().zip(inputs) {
            known.arrive(input, || Ok(array.clone()))?;
        }
        let watched = parts.iter().flat_map(|part| part.needed.iter().copied());
        let watched = watched.filter(|&value| seen[0].graph().producer(value).is_some()).collect();
        let options = Options { precision: Precision::F64, threads: settings.threads, watched, ..Options::default() };
        let mut by_numbers: BTreeMap<usize, ByNumbers> = BTreeMap::new();
        let mut stopped: Option<Result<()>> = None;
        let mut advance = |known: &mut Known, stopped: &mut Option<Result<()>>| {
            while let (None, Some(at)) = (&stopped, known.ready.pop()) {
                match self.run_part(seen, &parts[at], known, settings) {
                    Ok(Some(numbers)) => _ = by_numbers.insert(at, numbers),
                    Ok(None) => *stopped = Some(Ok(())),
                    Err(error) => *stopped = Some(Err(error)),
                }
                known.give_up(&parts[at]);
            }
        };
        advance(&mut known, &mut stopped);
        let results = Executor::new(seen[0], &options)?.run_watched(inputs, &mut |value, computed| {
            if stopped.is_none() {
                match known.arrive(value, || computed.to_array().map_err(Error::from)) {
                    Ok(()) => advance(&mut known, &mut stopped),
                    Err(error) => stopped = Some(Err(error)),
                }
            }
            None
        })?;
        match stopped {
            Some(Err(error)) => return Err(error),
            Some(Ok(())) => return Ok(None),
            None => {}
        }
        let finite = |array: &Array| array.wide().iter().all(|value| value.is_finite());
        if by_numbers.len() < parts.len() || !results.outputs.iter().all(finite) {
            return Ok(None);
        }
        Ok(Some(by_numbers.into_values().collect()))
    }

    /// One part on what the first model gives to it; nothing where it does not hold.
    fn run_part(
        &self,
        seen: [&Checked; 2],
        found: &Found<'_>,
        known: &Known,
        settings: &Settings,
    ) -> Result<Option<ByNumbers>> {
        let Found { part, a, b, .. } = found;
        let exact = known.get(part.a)?;
        let given_b = b.given.iter().map(|value| {
            let pair =
                part.from.iter().find(|(_, y)| y == value).context("a part is given what corresponds to nothing")?;
            Ok((*known.get(pair.0)?).clone())
        });
        let given_b: Vec<Array> = given_b.collect::<Result<_>>()?;
        let Ok(model_b) = b.model() else { return Ok(None) };
        let whole = |model: &Checked, precision, given: &[Array]| -> Result<Option<Array>> {
            Ok(run(model, precision, given, &[], settings)?.outputs.into_iter().next())
        };
        let Some(computed) = whole(&model_b, Precision::F64, &given_b)?.and_then(|array| like(&exact, array)) else {
            return Ok(None);
        };
        let difference = difference(&exact, &computed)?;
        let bound = if self.exactly {
            Bound::exact()
        } else {
            let Ok(model_a) = a.model() else { return Ok(None) };
            let given_a = a.given.iter().map(|&value| Ok((*known.get(value)?).clone()));
            let given_a: Vec<Array> = given_a.collect::<Result<_>>()?;
            let mut noise = 0.0f64;
            for (model, given, exact) in [(&model_a, &given_a, &*exact), (&model_b, &given_b, &computed)] {
                let rounded = whole(model, Precision::F32, given)?.and_then(|array| like(exact, array));
                let Some(rounded) = rounded else { return Ok(None) };
                noise = noise.max(max_abs(exact, &rounded)?);
            }
            Bound::of(DType::F32, noise, largest(&exact), "this part")
        };
        let holds = if self.exactly { bit_identical(&exact, &computed) } else { within(&difference, bound.value) };
        if !holds || !difference.non_finite.is_none() {
            return Ok(None);
        }
        Ok(Some(numbers(seen, found, &difference, bound)))
    }
}

fn numbers(seen: [&Checked; 2], found: &Found<'_>, difference: &Difference, bound: Bound) -> ByNumbers {
    ByNumbers {
        a: place(seen[0].graph(), found.part.a).into(),
        b: place(seen[1].graph(), found.part.b).into(),
        operators: [found.a.operators(), found.b.operators()],
        max_abs: difference.max_abs,
        max_rel: difference.max_rel,
        max_ulp: difference.max_ulp,
        cosine: difference.cosine,
        bound: bound.value,
        bound_from: bound.from,
    }
}

/// An array with the shape of another, where it has as many elements: what corresponds may have other axes of the same
/// elements in row-major order.
fn like(other: &Array, array: Array) -> Option<Array> {
    if array.shape() == other.shape() { Some(array) } else { array.reshape(other.shape().to_vec()).ok() }
}

fn is_quantised(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| {
        matches!(node.op.describe().class, Class::Quantisation | Class::Dequantisation | Class::DynamicRange)
    })
}

/// Values that are called the same in both models, of the same sizes: what is written keeps names.
fn of_one_name(seen: [&Checked; 2]) -> Vec<(ValueId, ValueId)> {
    let computed = |model: &Checked| {
        let graph = model.graph();
        let values = graph.value_ids().filter(|&value| graph.producer(value).is_some());
        values.map(|value| (graph.value(value).name.raw().to_owned(), value)).collect::<Vec<_>>()
    };
    let of_b: HashMap<String, ValueId> = computed(seen[1]).into_iter().collect();
    let pairs = computed(seen[0]).into_iter().filter_map(|(name, x)| Some((x, *of_b.get(&name)?)));
    pairs.filter(|&(x, y)| same_sizes(seen, x, y)).collect()
}

/// Places that both models have, of the same sizes.
fn of_one_place(seen: [&Checked; 2]) -> Vec<(ValueId, ValueId)> {
    let marks = seen.map(|model| landmarks(model, &positions(&anatomy::analyse_as_it_is(model))));
    let pairs = align(&marks[0], &marks[1]).into_iter().map(|(x, y)| (marks[0][x].value, marks[1][y].value));
    pairs.filter(|&(x, y)| same_sizes(seen, x, y)).collect()
}

fn same_sizes(seen: [&Checked; 2], x: ValueId, y: ValueId) -> bool {
    let sizes = |which: usize, value| seen[which].shape_of(value).and_then(|shape| shape.as_fixed());
    sizes(0, x).is_some() && sizes(0, x) == sizes(1, y)
}

fn found<'m>(seen: [&'m Checked; 2], part: &Part, of_a: &HashSet<ValueId>) -> Found<'m> {
    let (from_a, of_b): (HashSet<ValueId>, HashSet<ValueId>) = part.from.iter().copied().unzip();
    let a = Cut::new(seen[0], |value| of_a.contains(&value) || from_a.contains(&value), &[part.a]);
    let b = Cut::new(seen[1], |value| of_b.contains(&value), &[part.b]);
    let mut needed: Vec<ValueId> =
        a.given.iter().copied().chain(part.from.iter().map(|&(x, _)| x)).chain([part.a]).collect();
    needed.sort_unstable();
    needed.dedup();
    Found { part: part.clone(), a, b, needed }
}

/// What is known so far of what the first model gives, as long as a part needs it.
struct Known {
    /// Parts that need a value.
    readers: HashMap<ValueId, Vec<usize>>,
    /// For each part how many values are not known yet.
    missing: Vec<usize>,
    /// Parts of which all is known.
    ready: Vec<usize>,
    /// Values with how many parts still need them.
    values: HashMap<ValueId, (Arc<Array>, usize)>,
}

impl Known {
    fn new(parts: &[Found<'_>]) -> Self {
        let mut readers: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for (at, part) in parts.iter().enumerate() {
            for &value in &part.needed {
                readers.entry(value).or_default().push(at);
            }
        }
        let missing = parts.iter().map(|part| part.needed.len()).collect();
        Self { readers, missing, ready: Vec::new(), values: HashMap::new() }
    }

    /// Takes a value, where a part needs it.
    fn arrive(&mut self, value: ValueId, array: impl FnOnce() -> Result<Array>) -> Result<()> {
        let Some(readers) = self.readers.get(&value).filter(|_| !self.values.contains_key(&value)) else {
            return Ok(());
        };
        self.values.insert(value, (Arc::new(array()?), readers.len()));
        for &part in readers {
            self.missing[part] -= 1;
            if self.missing[part] == 0 {
                self.ready.push(part);
            }
        }
        Ok(())
    }

    fn get(&self, value: ValueId) -> Result<Arc<Array>> {
        self.values.get(&value).map(|(array, _)| array.clone()).context("a value that a part needs is not there")
    }

    /// Gives up what only this part needed.
    fn give_up(&mut self, part: &Found<'_>) {
        for value in &part.needed {
            if let Some((_, left)) = self.values.get_mut(value) {
                *left -= 1;
                if *left == 0 {
                    self.values.remove(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
