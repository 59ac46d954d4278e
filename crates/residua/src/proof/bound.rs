//! How far apart two runs of the same function may be.
//!
//! The yardstick is the model itself: the largest |f32 run − f64 run| of an output is what rounding to f32 does to this
//! network for this input. Weights that were rounded anew (a folded batch norm) disturb the output by a few times as
//! much at most, since they are rounded as often as everything else; a wrong stride, epsilon, padding or layer is
//! orders of magnitude above it.

use anyhow::Result;
use residua_exec::compare::{Difference, difference};
use residua_exec::{Array, Precision, Results};
use residua_ir::{Checked, ValueId};

use super::{Settings, run};

/// How many times the noise two models may differ by.
const FACTOR: f64 = 8.0;

/// The bound for each output, from the f64 run that is at hand and an f32 run.
pub(super) fn noise(model: &Checked, inputs: &[Array], exact: &Results, settings: &Settings) -> Result<Vec<f64>> {
    let rounded = run(model, Precision::F32, inputs, &[], settings)?;
    exact.outputs.iter().zip(&rounded.outputs).map(|(exact, rounded)| of(exact, rounded)).collect()
}

/// The bound for each of these values.
pub(super) fn noise_at(
    model: &Checked,
    inputs: &[Array],
    exact: &Results,
    values: &[ValueId],
    settings: &Settings,
) -> Result<Vec<f64>> {
    let rounded = run(model, Precision::F32, inputs, values, settings)?;
    values
        .iter()
        .map(|&value| match (exact.kept(value), rounded.kept(value)) {
            (Some(exact), Some(rounded)) => of(exact, rounded),
            _ => Ok(0.0),
        })
        .collect()
}

/// At least half a unit in the last place of the largest value: what a single rounding does.
fn of(exact: &Array, rounded: &Array) -> Result<f64> {
    let difference = difference(exact, rounded)?;
    let largest = exact.to_f64().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    Ok(FACTOR * difference.max_abs.max(largest * f64::from(f32::EPSILON) / 2.0))
}

/// Whether a difference is within a bound; values that are finite on one side only never are.
pub(super) fn within(difference: &Difference, bound: f64) -> bool {
    difference.non_finite == 0 && difference.max_abs <= bound
}
