//! Prepared images through a model, several at a time where its batch is free.
//!
//! What a model gives for an image does not depend on which others are in the batch: where the engine would have it
//! otherwise, `tests/tests/images.rs` fails.

use residua_exec::Array;

use crate::error::{Context, Result, bail, ensure};
use crate::model::Model;
use crate::run::{Engine, EngineOptions};
use crate::scores::Scores;

/// What came of an image: what it is to the caller, and its scores or the reason why there are none.
pub(crate) type Done<T> = (T, Result<Vec<f64>>);

/// An engine with the images that wait for it.
pub(crate) struct Batches<'m, T> {
    engine: Engine<'m>,
    scores: Scores,
    /// Images that are run together.
    size: usize,
    /// Rows that the model demands, where its batch is fixed.
    fixed: Option<usize>,
    waiting: Vec<(T, Array)>,
}

/// Images at a time where nothing says otherwise: enough for all cores, and few in memory.
const USUAL: usize = 8;

impl<'m, T> Batches<'m, T> {
    /// For a model of one input.
    ///
    /// # Errors
    /// Where the engine cannot run it, it gives no scores, or its batch is fixed to another size than was asked for.
    pub(crate) fn new(model: &'m Model, threads: Option<usize>, batch: Option<usize>) -> Result<Self> {
        let graph = model.checked.graph();
        let scores = Scores::of(model)?;
        let [input] = graph.inputs() else {
            bail!("the model has {} inputs, expected one, an image", graph.inputs().len())
        };
        let shape = model.checked.shape_of(*input).context("an input without a shape")?;
        let fixed = shape.dims().first().and_then(residua_ir::Dim::fixed);
        if let (Some(fixed), Some(batch)) = (fixed, batch) {
            ensure!(
                fixed == batch,
                "the model's batch is fixed to {fixed}, it cannot be {batch}; {} makes it free",
                residua_ir::Hint::FreeBatch
            );
        }
        let engine = Engine::new(model, &EngineOptions { threads, ..EngineOptions::default() })?;
        let size = fixed.or(batch).unwrap_or(USUAL).max(1);
        Ok(Self { engine, scores, size, fixed, waiting: Vec::new() })
    }

    /// Takes an image; gives those that are done then, in the order in which they came.
    pub(crate) fn push(&mut self, what: T, image: Array) -> Vec<Done<T>> {
        let other_size = self.waiting.first().is_some_and(|(_, first)| first.shape() != image.shape());
        let mut done = if other_size { self.flush() } else { Vec::new() };
        self.waiting.push((what, image));
        if self.waiting.len() >= self.size {
            done.extend(self.flush());
        }
        done
    }

    /// Runs what waits.
    pub(crate) fn flush(&mut self) -> Vec<Done<T>> {
        let waiting = std::mem::take(&mut self.waiting);
        let (what, images): (Vec<T>, Vec<Array>) = waiting.into_iter().unzip();
        match self.run(&images) {
            Ok(rows) => what.into_iter().zip(rows.into_iter().map(Ok)).collect(),
            // Several at once may be more than a run may hold, or only one of them is to blame.
            Err(_) if images.len() > 1 && self.fixed.is_none() => {
                self.size = 1;
                let one = |image: Array| self.run(&[image]).map(|rows| rows.into_iter().next().unwrap_or_default());
                what.into_iter().zip(images.into_iter().map(one)).collect()
            }
            Err(error) => {
                let said = crate::error::messages(&error).join(": ");
                what.into_iter().map(|what| (what, Err(crate::error::Error::Refused(said.clone())))).collect()
            }
        }
    }

    /// The scores of images of one size, a row each.
    fn run(&self, images: &[Array]) -> Result<Vec<Vec<f64>>> {
        let Some(first) = images.first() else { return Ok(Vec::new()) };
        let rows = self.fixed.unwrap_or(images.len());
        let mut values = Vec::with_capacity(rows.saturating_mul(first.to_f32().len()));
        // Rows that a fixed batch demands and there is nothing for are the first image again.
        let padded = images.iter().chain(std::iter::repeat_n(first, rows.saturating_sub(images.len())));
        padded.for_each(|image| values.extend_from_slice(&image.to_f32()));
        let mut shape = first.shape().to_vec();
        if let Some(batch) = shape.first_mut() {
            *batch = rows;
        }
        let results = self.engine.run(&[Array::new(shape, values)?])?;
        let result = results.first().context("the model has no output")?;
        self.scores.rows(&result.array, rows).map(|mut all| {
            all.truncate(images.len());
            all
        })
    }
}
