//! Outputs that are infinite or NaN: how many, where first, since which layer; and that they prove nothing.
//!
//! NaN is not equal to NaN. Two networks that both give nothing else may be any two networks, so no verdict can be reached
//! on such values. Where some of the outputs are numbers and the others are alike bit for bit, the numbers decide.

use std::collections::BTreeMap;

use crate::error::Result;
use residua_exec::compare::NonFinite;
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, Name, NodeId, ValueId};

use super::Settings;
use super::verification::{NonFiniteValues, Verdict, Verification};

/// What is said of such values; `None` where there are none.
pub(super) fn values(found: &NonFinite) -> Option<NonFiniteValues> {
    let first = found.first.clone()?;
    Some(NonFiniteValues {
        a: found.reference,
        b: found.other,
        of: found.of,
        first,
        alike: found.unlike == 0,
        since_a: None,
        since_b: None,
        everywhere: found.is_all(),
    })
}

/// Fails a verification whose outputs are not all numbers, unless those that are none are alike in both models and one
/// of the `outputs` still holds numbers.
pub(super) fn judge(verification: &mut Verification, outputs: &[bool]) {
    let found = || verification.outputs.iter().filter_map(|output| Some((output, output.non_finite.as_ref()?)));
    let unlike = found().find(|(_, values)| !values.alike);
    let is_output = |at: usize| outputs.get(at).copied().unwrap_or(true);
    let any_numbers = verification
        .outputs
        .iter()
        .enumerate()
        .any(|(at, output)| is_output(at) && output.non_finite.as_ref().is_none_or(|values| !values.everywhere));
    let reason = match (unlike, found().next()) {
        (Some((output, values)), _) => sentence(output.name.raw(), values, verification.names),
        (None, Some((output, values))) if !any_numbers => {
            format!("{}: no number is left to tell by", sentence(output.name.raw(), values, verification.names))
        }
        (None, _) => return,
    };
    verification.verdict = Verdict::Different;
    verification.reason.get_or_insert(reason);
}

/// How many values of an output are none, where, and since which layer.
#[must_use]
pub fn sentence(output: &str, values: &NonFiniteValues, [a, b]: [&str; 2]) -> String {
    let NonFiniteValues { a: in_a, b: in_b, of, first, .. } = values;
    let share =
        |count: &usize| if count == of { format!("all {of} values") } else { format!("{count} of {of} values") };
    let counts = match (*in_a, *in_b) {
        (0, _) => format!("{} are infinite or NaN in {b}, none in {a}", share(in_b)),
        (_, 0) => format!("{} are infinite or NaN in {a}, none in {b}", share(in_a)),
        (x, y) if x == y && values.alike => format!("{} are infinite or NaN in {a} and in {b}", share(in_a)),
        (x, y) if x == y => format!("{} are infinite or NaN in {a} and in {b}, but not alike", share(in_a)),
        (x, _) => format!("{} are infinite or NaN in {b}, {x} in {a}", share(in_b)),
    };
    let since = match (&values.since_a, &values.since_b) {
        (Some(in_a), Some(in_b)) if in_a == in_b => format!(", since layer `{in_a}`"),
        (Some(in_a), Some(in_b)) => format!(", since layer `{in_a}` of {a} and `{in_b}` of {b}"),
        (Some(layer), None) => format!(", since layer `{layer}` of {a}"),
        (None, Some(layer)) => format!(", since layer `{layer}` of {b}"),
        (None, None) => String::new(),
    };
    format!("`{output}`: {counts}, the first at {first:?}{since}")
}

/// Which values of a model are not all numbers, from a run in f64.
pub(super) struct Traced<'m> {
    model: &'m Checked,
    found: BTreeMap<ValueId, usize>,
}

impl<'m> Traced<'m> {
    pub(super) fn new(model: &'m Checked, inputs: &[Array], settings: &Settings) -> Result<Self> {
        let options = Options { precision: Precision::F64, threads: settings.threads, ..Options::default() };
        let mut found = BTreeMap::new();
        Executor::new(model, &options)?.run_watched(inputs, &mut |value, computed| {
            if let Some((_, count)) = computed.non_finite() {
                found.insert(value, count);
            }
            None
        })?;
        Ok(Self { model, found })
    }

    /// Values of which so many are not, from another run.
    pub(super) fn of(model: &'m Checked, found: BTreeMap<ValueId, usize>) -> Self {
        Self { model, found }
    }

    /// The layer that makes a value no number: its operands are numbers, as far as they are computed.
    pub(super) fn since(&self, value: ValueId) -> Option<Name> {
        let graph = self.model.graph();
        self.origin(value).map(|node| graph.layer(graph.node(node).layer).name.clone())
    }

    /// The node of that layer.
    pub(super) fn origin(&self, value: ValueId) -> Option<NodeId> {
        let graph = self.model.graph();
        let mut node = graph.producer(value).filter(|_| self.found.contains_key(&value))?;
        // Operands are made before their readers, so this ends.
        while let Some(before) = graph.node(node).inputs.iter().find(|input| self.found.contains_key(input)) {
            node = graph.producer(*before)?;
        }
        Some(node)
    }
}

/// The operands of a node of which a narrower type makes infinity, or 0 of what is not, in words: `rounded` is the same
/// graph with its weights in that type.
pub(super) fn lost(source: &Checked, rounded: &Checked, node: NodeId) -> Option<String> {
    let words = |&id: &ValueId| {
        let (before, after) = (source.graph().as_parameter(id)?, rounded.graph().as_parameter(id)?);
        let (x, y) = (before.tensor.to_f64().ok()?, after.tensor.to_f64().ok()?);
        let count = |lost: fn(f64, f64) -> bool| x.iter().zip(&y).filter(|(x, y)| lost(**x, **y)).count();
        let (zero, infinite) = (count(|x, y| x != 0.0 && y == 0.0), count(|x, y| x.is_finite() && y.is_infinite()));
        let (dtype, name, total) = (after.tensor.dtype(), &after.name, x.len());
        match (zero, infinite) {
            (0, 0) => None,
            (0, infinite) => Some(format!("{dtype} makes {infinite} of {total} values of `{name}` infinite")),
            (zero, _) => Some(format!("{dtype} makes {zero} of {total} values of `{name}` 0")),
        }
    };
    let found: Vec<String> = rounded.graph().node(node).inputs.iter().filter_map(words).collect();
    (!found.is_empty()).then(|| found.join(", "))
}
