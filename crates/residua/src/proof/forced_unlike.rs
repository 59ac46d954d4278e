//! Layer by layer, where most layers of two models are made alike: what is between two places at which the second model gets
//! the first one's values is run only where it is made otherwise.
//!
//! The reference computes the same bits from the same operators on the same operands, so a layer that is made alike, down to
//! the last bit of its tensors, gives exactly what the first model gives, and is not run to see it. What is left are a few
//! layers, each of which is run on its own. The answers are those of [`super::forced`], which runs both models throughout.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::{Context, Error, Result};
use residua_exec::compare::{Difference, bit_identical, difference, max_abs};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, DType, ParameterId, SourceOrder, ValueId, ValueKind};

use super::Settings;
use super::bound::{Bound, largest};
use super::cut::Cut;
use super::examined::Examined;
use super::forced::{Held, Point};
use super::run::run;

/// Most bytes of values of the first model that are kept for what is run on them.
const KEPT: usize = 64 << 20;

/// Most pairs of values that are looked at for each value of a model.
const LOOKS: usize = 8;

/// What was found at each point, where little has to be run for it; `outputs` are the points from there on, which are run in
/// any case. Nothing where both models have to be run throughout.
///
/// # Errors
/// Where one of them cannot be run, or a tensor not be read.
pub(super) fn hold(
    a: &Examined,
    b: &Examined,
    points: &[Point],
    outputs: usize,
    settings: &Settings,
) -> Result<Option<Vec<Option<Held>>>> {
    let Some(sizes) = sizes(a, b, points) else { return Ok(None) };
    let Some(mut unlike) = Alike::new(a, b, points).unlike(outputs)? else { return Ok(None) };
    unlike.extend(outputs..points.len());
    if 2 * unlike.len() > points.len() {
        return Ok(None);
    }
    let wanted = |of: fn(&Point) -> ValueId| -> Vec<ValueId> { unlike.iter().map(|&at| of(&points[at])).collect() };
    let given = |of: fn(&Point) -> ValueId| -> BTreeSet<ValueId> { points.iter().map(of).collect() };
    let (given_a, given_b) = (given(|point| point.a), given(|point| point.b));
    let of_a = Cut::new(&a.model, |value| given_a.contains(&value), &wanted(|point| point.a));
    let of_b = Cut::new(&b.model, |value| given_b.contains(&value), &wanted(|point| point.b));
    // What the first model has to tell of: what is read, and what is compared.
    let there: BTreeMap<ValueId, ValueId> = points.iter().rev().map(|point| (point.b, point.a)).collect();
    let read_by_b: Option<Vec<ValueId>> = of_b.given.iter().map(|value| given_by(a, b, &there, *value)).collect();
    let Some(read_by_b) = read_by_b else { return Ok(None) };
    let keep: BTreeSet<ValueId> = wanted(|point| point.a)
        .into_iter()
        .chain(of_a.given.iter().copied())
        .chain(read_by_b.iter().copied())
        .collect();
    let kept = keep.iter().filter_map(|value| sizes.get(value)).fold(0usize, |sum, &bytes| sum.saturating_add(bytes));
    if kept > KEPT {
        return Ok(None);
    }
    let Some(seen) = run_first(a, points, &unlike, &keep, settings)? else { return Ok(None) };
    let arrays = |values: &[ValueId]| -> Option<Vec<Array>> { values.iter().map(|id| seen.get(id).cloned()).collect() };
    let (Some(for_a), Some(for_b), Some(meant)) =
        (arrays(&of_a.given), arrays(&read_by_b), arrays(&wanted(|point| point.a)))
    else {
        return Ok(None);
    };
    let (part_a, part_b) = (of_a.model()?, of_b.model()?);
    let outputs_of = |part: &Checked, given: &[Array], precision| -> Result<Vec<Array>> {
        Ok(run(part, precision, given, &[], settings)?.outputs)
    };
    let computed = outputs_of(&part_b, &for_b, Precision::F64)?;
    // Where f32 cannot run a part, that of the other model says how much f32 rounds.
    let rounded = [outputs_of(&part_a, &for_a, Precision::F32), outputs_of(&part_b, &for_b, Precision::F32)];
    let exact = nothing()?;
    let mut held: Vec<Option<Held>> =
        points.iter().map(|_| Some(Held { difference: Some(exact.clone()), bound: Bound::exact() })).collect();
    for (place, &at) in unlike.iter().enumerate() {
        held[at] = Some(held_at(place, &meant[place], &computed[place], &rounded)?);
    }
    Ok(Some(held))
}

/// What was found of the value at a place of a part: what is meant, what the second model computes, and what runs of both in
/// f32 give.
fn held_at(place: usize, meant: &Array, computed: &Array, rounded: &[Result<Vec<Array>>; 2]) -> Result<Held> {
    let noise = |run: &Result<Vec<Array>>, exact: &Array| {
        Ok::<f64, Error>(match run {
            Ok(rounded) => max_abs(exact, &rounded[place])?,
            Err(_) => 0.0,
        })
    };
    let (of_a, of_b) = (noise(&rounded[0], meant)?, noise(&rounded[1], computed)?);
    let (most, model) = if of_b > of_a { (of_b, "B") } else { (of_a, "A") };
    Ok(Held {
        difference: Some(difference(meant, computed)?),
        bound: Bound::of(DType::F32, most, largest(meant), &format!("this layer of {model}")),
    })
}

/// Bytes of the first model's value at each point, in f64; nothing where a value of both is not of the same sizes in the same
/// order, or is not computed.
fn sizes(a: &Examined, b: &Examined, points: &[Point]) -> Option<BTreeMap<ValueId, usize>> {
    let size = |point: &Point| {
        let of = |examined: &Examined, value| {
            examined.model.graph().producer(value)?;
            examined.model.shape_of(value)?.as_fixed()
        };
        let (shape, other) = (of(a, point.a)?, of(b, point.b)?);
        let alike = shape == other && !matches!(point.order, SourceOrder::FlattenedChannelsLast { .. });
        let count = shape.iter().try_fold(size_of::<f64>(), |bytes, &size| bytes.checked_mul(size))?;
        alike.then_some((point.a, count))
    };
    points.iter().map(size).collect()
}

/// The value of the first model that the second one is given in the place of its own.
fn given_by(a: &Examined, b: &Examined, there: &BTreeMap<ValueId, ValueId>, value: ValueId) -> Option<ValueId> {
    let input = || {
        let place = b.model.graph().inputs().iter().position(|&input| input == value)?;
        a.model.graph().inputs().get(place).copied()
    };
    there.get(&value).copied().or_else(input)
}

/// Runs the first model in f64: its inputs and the values that are to be kept. Nothing where a value at another point is no
/// number, which is a difference however both are made.
fn run_first(
    a: &Examined,
    points: &[Point],
    unlike: &[usize],
    keep: &BTreeSet<ValueId>,
    settings: &Settings,
) -> Result<Option<BTreeMap<ValueId, Array>>> {
    let looked_at: BTreeSet<ValueId> = unlike.iter().map(|&at| points[at].a).collect();
    let options = Options {
        precision: Precision::F64,
        threads: settings.threads,
        watched: points.iter().map(|point| point.a).collect(),
        ..Options::default()
    };
    let inputs = a.model.graph().inputs().iter().copied().zip(a.inputs.iter().cloned());
    let mut seen: BTreeMap<ValueId, Array> = inputs.collect();
    let (mut numbers, mut failed) = (true, None);
    Executor::new(&a.model, &options)?.run_watched(&a.inputs, &mut |value, computed| {
        numbers &= looked_at.contains(&value) || computed.non_finite().is_none();
        if keep.contains(&value) {
            match computed.to_array() {
                Ok(array) => _ = seen.insert(value, array),
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        None
    })?;
    failed.map_or(Ok(numbers.then_some(seen)), |error| Err(error.into()))
}

/// No difference.
fn nothing() -> Result<Difference> {
    let zero = Array::new(vec![1], vec![0.0])?;
    Ok(difference(&zero, &zero)?)
}

/// Where both are made alike between points.
struct Alike<'e> {
    a: &'e Examined,
    b: &'e Examined,
    points: &'e [Point],
    /// What the second model is given at its values.
    given: BTreeMap<ValueId, BTreeSet<ValueId>>,
    /// Pairs of tensors that were compared.
    tensors: HashMap<(ParameterId, ParameterId), bool>,
    looks: usize,
}

impl<'e> Alike<'e> {
    fn new(a: &'e Examined, b: &'e Examined, points: &'e [Point]) -> Self {
        let mut given: BTreeMap<ValueId, BTreeSet<ValueId>> = BTreeMap::new();
        for point in points {
            given.entry(point.b).or_default().insert(point.a);
        }
        let looks = LOOKS * (a.model.graph().values().len() + b.model.graph().values().len());
        Self { a, b, points, given, tensors: HashMap::new(), looks }
    }

    /// The points before `end` where it is not so; nothing where it would take too long to say.
    fn unlike(mut self, end: usize) -> Result<Option<Vec<usize>>> {
        let mut unlike = Vec::new();
        for at in 0..end {
            match self.is_alike(at)? {
                Some(true) => {}
                Some(false) => unlike.push(at),
                None => return Ok(None),
            }
        }
        Ok(Some(unlike))
    }

    fn is_alike(&mut self, at: usize) -> Result<Option<bool>> {
        let point = &self.points[at];
        let mut open = vec![(point.a, point.b)];
        let mut seen = BTreeSet::new();
        while let Some((x, y)) = open.pop() {
            let begins = (x, y) == (point.a, point.b);
            if (!begins && self.given.get(&y).is_some_and(|given| given.contains(&x))) || !seen.insert((x, y)) {
                continue;
            }
            let Some(left) = self.looks.checked_sub(1) else { return Ok(None) };
            self.looks = left;
            // There the second model gets another value of the first one.
            if !begins && self.given.contains_key(&y) {
                return Ok(Some(false));
            }
            let (of_a, of_b) = (self.a.model.graph(), self.b.model.graph());
            let same = match (&of_a.value(x).kind, &of_b.value(y).kind) {
                (ValueKind::Input(_), ValueKind::Input(_)) => self.same_input(x, y)?,
                (&ValueKind::Parameter(p), &ValueKind::Parameter(q)) => self.same_tensor(p, q)?,
                (
                    &ValueKind::Computed { node: first, index },
                    &ValueKind::Computed { node: second, index: of_second },
                ) => {
                    let (first, second) = (of_a.node(first), of_b.node(second));
                    open.extend(first.inputs.iter().copied().zip(second.inputs.iter().copied()));
                    index == of_second && first.op == second.op && first.inputs.len() == second.inputs.len()
                }
                (ValueKind::Input(_) | ValueKind::Parameter(_) | ValueKind::Computed { .. }, _) => false,
            };
            if !same {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    fn same_input(&self, x: ValueId, y: ValueId) -> Result<bool> {
        let place = |examined: &Examined, value| examined.model.graph().inputs().iter().position(|&id| id == value);
        let (Some(first), Some(second)) = (place(self.a, x), place(self.b, y)) else { return Ok(false) };
        Ok(first == second && bit_identical(&self.a.inputs[first], &self.b.inputs[second]))
    }

    fn same_tensor(&mut self, p: ParameterId, q: ParameterId) -> Result<bool> {
        if let Some(&known) = self.tensors.get(&(p, q)) {
            return Ok(known);
        }
        let (first, second) = (self.a.model.graph().parameter(p), self.b.model.graph().parameter(q));
        let same = first.tensor.first_difference(&second.tensor).context("a tensor cannot be read")?.is_none();
        self.tensors.insert((p, q), same);
        Ok(same)
    }
}
