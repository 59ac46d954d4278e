//! Reports of parts of the images together: the very numbers of one run over all of them.

use std::path::{Path, PathBuf};

use residua_ir::budget::Limit;
use residua_ir::{Shown, files};
use serde::Deserialize;

use super::{Document, State};
use crate::error::{Context, Result, bail, ensure};

/// What of a report is read again.
#[derive(Deserialize)]
struct Part {
    schema: String,
    state: State,
}

fn read(path: &Path) -> Result<State> {
    let what = || format!("{} is no report of an evaluation in JSON", path.shown());
    let bytes = files::read(path, Limit::SettingsBytes).with_context(|| format!("cannot read {}", path.shown()))?;
    let part: Part = serde_json::from_slice(&bytes).with_context(what)?;
    ensure!(part.schema == "residua.evaluate/1", "{}: its schema is `{}`", what(), part.schema.shown());
    let (state, outputs) = (part.state, |output: usize, state: &State| output < state.classes.len());
    let fits = state.tally.confusion.keys().all(|&(a, b)| outputs(a, &state) && outputs(b, &state));
    let counts = state.tally.confusion.values().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    ensure!(fits && counts == Some(state.tally.count), "{}: its counts contradict each other", what());
    ensure!(
        state.of > 0 && state.shards.iter().all(|index| (1..=state.of).contains(index)),
        "{}: its shards are none",
        what()
    );
    Ok(state)
}

/// What two parts do not have in common, if anything.
fn differing(a: &State, b: &State) -> Option<&'static str> {
    let pairs = [
        ("the model", a.model == b.model),
        ("the model that it is held against", a.against == b.against),
        ("the names of the classes", a.classes == b.classes),
        ("the images", a.images == b.images && a.total == b.total),
        ("the number of shards", a.of == b.of),
    ];
    pairs.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

/// Puts the reports of parts together.
///
/// # Errors
/// Where one is none, they are of different things, or a part is there twice or not at all.
pub fn merge(paths: &[PathBuf]) -> Result<Document> {
    let mut parts = paths.iter().map(|path| Ok((path, read(path)?))).collect::<Result<Vec<_>>>()?.into_iter();
    let Some((first, mut all)) = parts.next() else { bail!("there are no reports") };
    for (path, part) in parts {
        if let Some(what) = differing(&all, &part) {
            bail!("{} and {} are no parts of one evaluation: {what} differs", first.shown(), path.shown());
        }
        if let Some(twice) = part.shards.iter().find(|index| all.shards.contains(index)) {
            bail!("shard {twice}/{} is there twice; {} has it too", all.of, path.shown());
        }
        let State { shards, skipped, turned, tally, both, .. } = part;
        all.shards.extend(shards);
        all.skipped.extend(skipped);
        all.turned = all.turned.saturating_add(turned);
        all.tally.join(tally);
        if let (Some(all), Some(both)) = (&mut all.both, both) {
            all.join(both);
        }
    }
    all.shards.sort_unstable();
    let missing: Vec<String> =
        (1..=all.of).filter(|index| !all.shards.contains(index)).map(|index| format!("{index}/{}", all.of)).collect();
    ensure!(missing.is_empty(), "not all images are in these reports: shard {} is missing", missing.join(", "));
    // As a run over all has it.
    (all.shards, all.of) = (vec![1], 1);
    all.settle();
    Document::of(all)
}
