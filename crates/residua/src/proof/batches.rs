//! Whether a model whose batch was made free gives for each image what its source gave for it alone.

use crate::error::{Context, Error, Result};
use residua_exec::compare::difference;
use residua_exec::{Array, Precision};
use residua_ir::{Checked, validate};

use super::bound::within;
use super::interface::{self, Interface};
use super::run::run;
use super::{SEED, Settings, Verdict, Verification, probe};

/// How many batches of the source are run as one.
const BATCHES: usize = 3;

/// What was written, at the sizes of its source.
///
/// # Errors
/// Where it cannot have them.
pub fn at_sizes_of(source: &Checked, written: &Checked, settings: &Settings) -> Result<Checked> {
    let source = probe::fix_sizes(source, &settings.input_shapes, &[]).context("the source")?;
    let fitted = Interface::between(&source, written, settings.written.as_ref())
        .and_then(|interface| interface.fix_sizes(&source, written));
    fitted.map_err(Error::Refused)
}

/// Holds a batch of several against the source run on its images one after the other; `held` is what was found at the
/// batch of the source, whose bounds are those of each image.
///
/// # Errors
/// Where one of the models cannot be run.
pub fn prove_batches(
    source: &Checked,
    written: &Checked,
    held: Verification,
    settings: &Settings,
) -> Result<Verification> {
    let source = probe::fix_sizes(source, &settings.input_shapes, &[]).context("the source")?;
    let interface = match Interface::between(&source, written, settings.written.as_ref()) {
        Ok(interface) => interface,
        Err(reason) => return Ok(Verification { verdict: Verdict::Different, reason: Some(reason), ..held }),
    };
    let range = settings.input_range.unwrap_or((-1.0, 1.0));
    let mut alone = Vec::new();
    let mut parts: Vec<Vec<Array>> = Vec::new();
    for batch in 0..BATCHES {
        // Other images than those of the proof at one batch.
        let seed = SEED.wrapping_add(batch as u64 + 1);
        let inputs = probe::arrays(source.graph(), &source, range, seed)?;
        alone.push(run(&source, Precision::F64, &inputs, &[], settings)?.outputs);
        parts.push(interface.inputs(&inputs)?);
    }
    let inputs = joined(&parts)?;
    let shapes: Vec<Option<Vec<usize>>> = inputs.iter().map(|input| Some(input.shape().to_vec())).collect();
    let several = validate(written.graph().clone().with_input_shapes(&shapes)?)?;
    let together = run(&several, Precision::F64, &inputs, &[], settings)?.outputs;
    compare(&source, &alone, &together, held, settings)
}

fn compare(
    source: &Checked,
    alone: &[Vec<Array>],
    together: &[Array],
    held: Verification,
    settings: &Settings,
) -> Result<Verification> {
    let graph = source.graph();
    let different = |reason: String, held| Verification { verdict: Verdict::Different, reason: Some(reason), ..held };
    for (at, (&output, all)) in graph.outputs().iter().zip(together).enumerate() {
        let value = graph.value(output);
        let Some(pieces) = split(all, alone.len())? else {
            let reason =
                format!("`{}` has shape {:?} for {} batches of the source", value.name, all.shape(), alone.len());
            return Ok(different(reason, held));
        };
        let written = settings.written.as_ref().and_then(|written| written.outputs.get(at));
        // What no bound is known of has to be the same.
        let bound = held.outputs.get(at).map_or(0.0, |output| output.bound);
        for (batch, piece) in pieces.iter().enumerate() {
            let Some(expected) = alone.get(batch).and_then(|outputs| outputs.get(at)) else { continue };
            let Some(found) = interface::same_shape(expected, piece, &value.order, written)? else {
                let (a, b) = (expected.shape(), piece.shape());
                return Ok(different(format!("`{}` of a batch: shape {a:?} against {b:?}", value.name), held));
            };
            let difference = difference(expected, &found)?;
            if !within(&difference, bound) {
                let reason = format!(
                    "`{}`: in a batch of {BATCHES} of the source's, image {batch} is off by {:e} from what the source \
                     gives for it alone, where {bound:e} is the bound",
                    value.name, difference.max_abs
                );
                return Ok(different(reason, held));
            }
        }
    }
    let method = format!("{}; so for {} batches in one, against the source run on each", held.method, alone.len());
    Ok(Verification { method, ..held })
}

/// Arrays that follow each other along the first axis.
fn joined(parts: &[Vec<Array>]) -> Result<Vec<Array>> {
    let inputs = parts.first().map_or(0, Vec::len);
    let of_input = |at: usize| {
        let arrays: Vec<&Array> = parts.iter().filter_map(|part| part.get(at)).collect();
        let mut shape = arrays.first().context("a batch without inputs")?.shape().to_vec();
        if let Some(batch) = shape.first_mut() {
            *batch *= arrays.len();
        }
        Ok(Array::new(shape, arrays.iter().flat_map(|array| array.to_f32()).collect::<Vec<f32>>())?)
    };
    (0..inputs).map(of_input).collect()
}

/// An array cut into so many along the first axis; [`None`] where it has no such axis.
fn split(array: &Array, parts: usize) -> Result<Option<Vec<Array>>> {
    let Some((&batch, rest)) = array.shape().split_first().filter(|(batch, _)| batch.is_multiple_of(parts)) else {
        return Ok(None);
    };
    let shape = [&[batch / parts], rest].concat();
    let values = array.to_f64();
    let size = values.len() / parts.max(1);
    let piece = |at: usize| Ok(Array::new(shape.clone(), values[at * size..(at + 1) * size].to_vec())?);
    (0..parts).map(piece).collect::<Result<_>>().map(Some)
}
