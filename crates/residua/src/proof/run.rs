//! Runs of a model with values kept, and figures on what two runs gave.

use std::collections::HashMap;

use crate::error::{Context, Result};
use residua_exec::compare::{Difference, argmax};
use residua_exec::{Array, Executor, Options, Precision, Results};
use residua_ir::{Checked, ValueId};

use super::bound::Bound;
use super::verification::OutputDifference;
use super::{Settings, finite};

/// A model with what it gave in f64.
pub(super) struct Run<'m> {
    model: &'m Checked,
    pub(super) inputs: &'m [Array],
    values: Vec<ValueId>,
    pub(super) exact: Vec<Array>,
}

impl<'m> Run<'m> {
    pub(super) fn new(
        model: &'m Checked,
        inputs: &'m [Array],
        values: Vec<ValueId>,
        settings: &Settings,
    ) -> Result<Self> {
        let exact = run(model, Precision::F64, inputs, &values, settings)?;
        Ok(Self { model, inputs, exact: taken(exact, &values)?, values })
    }

    /// How far each value may be from the exact one; `name` is the model's in the reasons.
    pub(super) fn noise(&self, settings: &Settings, name: &str) -> Result<Vec<Bound>> {
        let rounded = taken(run(self.model, Precision::F32, self.inputs, &self.values, settings)?, &self.values)?;
        self.exact.iter().zip(&rounded).map(|(exact, rounded)| Bound::noise(exact, rounded, name)).collect()
    }
}

/// The values that were to be kept, in the order of `values`.
pub(super) fn taken(results: Results, values: &[ValueId]) -> Result<Vec<Array>> {
    let mut kept: HashMap<ValueId, Array> = results.kept.into_iter().collect();
    let last: HashMap<ValueId, usize> = values.iter().enumerate().map(|(at, value)| (*value, at)).collect();
    let mut found = |at: usize, value: &ValueId| {
        if last.get(value) == Some(&at) { kept.remove(value) } else { kept.get(value).cloned() }
    };
    let taken = values.iter().enumerate().map(|(at, value)| found(at, value));
    taken.map(|array| array.context("a value that was to be kept is not there")).collect()
}

/// One run of a model, in one precision.
pub(super) fn run(
    model: &Checked,
    precision: Precision,
    inputs: &[Array],
    keep: &[ValueId],
    settings: &Settings,
) -> Result<Results> {
    let options = Options { precision, threads: settings.threads, keep: keep.to_vec(), ..Options::default() };
    Ok(Executor::new(model, &options)?.run(inputs)?)
}

/// What there is to say of one output. Where values are infinite or NaN, no figure is one.
pub(super) fn output(
    name: &str,
    (reference, other): (&Array, &Array),
    difference: &Difference,
    bound: &Bound,
) -> OutputDifference {
    let finite = |value: f64| if difference.non_finite.is_none() { value } else { f64::NAN };
    OutputDifference {
        name: name.into(),
        max_abs: finite(difference.max_abs),
        max_rel: finite(difference.max_rel),
        max_ulp: difference.max_ulp,
        cosine: finite(difference.cosine),
        bound: bound.value,
        bound_from: bound.from.clone(),
        top1_agree: top1(reference, other),
        top5_agree: top5(reference, other),
        non_finite: finite::values(&difference.non_finite),
        end_to_end: None,
    }
}

/// Whether every row has the same best class; `None` where the output is no row of classes. Of scores that are infinite
/// or NaN none is the best.
pub(super) fn top1(reference: &Array, other: &Array) -> Option<bool> {
    rows_agree(reference, other, 1, |row| argmax(row).into_iter().collect())
}

fn top5(reference: &Array, other: &Array) -> Option<bool> {
    rows_agree(reference, other, 5, |row| {
        let mut places: Vec<usize> = (0..row.len()).collect();
        // Of equals the first.
        places.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        places.truncate(5);
        places.sort_unstable();
        places
    })
}

/// Whether what is best of every row is the same; `None` unless both are rows of more than `more_than` classes.
fn rows_agree(reference: &Array, other: &Array, more_than: usize, best: impl Fn(&[f64]) -> Vec<usize>) -> Option<bool> {
    let &[_, classes] = reference.shape() else { return None };
    if classes <= more_than || reference.shape() != other.shape() || reference.is_empty() {
        return None;
    }
    let (reference, other) = (reference.to_f64(), other.to_f64());
    let mut rows = reference.chunks(classes).zip(other.chunks(classes));
    let finite = |row: &[f64]| row.iter().all(|score| score.is_finite());
    Some(rows.all(|(a, b)| finite(a) && finite(b) && best(a) == best(b)))
}
