//! What is written in the place of the source: what an exporter wrote out is what it was again, batch norms are folded
//! where that is asked for.

use crate::error::{Context, Result};
use residua_ir::rewrite::{Applied, Change, fold_batch_norm};
use residua_ir::validate;

use crate::model::Model;

/// What was done to a model before it is written.
#[derive(Debug)]
pub(super) struct Changed {
    passes: Vec<Applied>,
    folded: bool,
}

impl Changed {
    /// What became of the numbers; `None` where nothing was done.
    pub(super) fn change(&self) -> Option<Change> {
        let folded = self.folded.then_some(Change::Rounding);
        self.passes.iter().map(|applied| applied.change).chain(folded).max()
    }

    /// Undoes what an exporter did; `done` is what was done to it already.
    pub(super) fn undo_export(model: &mut Model, done: Option<Applied>) -> Result<Self> {
        Ok(Self { passes: done.into_iter().chain(model.undo_export()?).collect(), folded: false })
    }

    /// Passes that found something.
    pub(super) fn passes(&self) -> &[Applied] {
        &self.passes
    }

    /// Folds the batch norms, where that is asked for.
    pub(super) fn fold(&mut self, model: &mut Model, wanted: bool) -> Result<()> {
        if wanted {
            let folded = fold_batch_norm(&model.checked).context("cannot fold the batch norms")?;
            model.put(validate(folded.graph)?);
            self.folded = true;
        }
        Ok(())
    }
}
