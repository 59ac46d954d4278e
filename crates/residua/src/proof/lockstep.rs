//! Runs that go on side by side, and show each other what they compute at the places that they have in common.
//!
//! A run that is ahead waits, so what is held in memory is what the runs hold themselves and a few values on their way,
//! however many places there are. Where two models compute places in other orders, a value waits for its partner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::error::{Error, Result};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, ValueId};

use super::Settings;
use super::examined::Examined;

/// Places that one run may be ahead of another by.
pub(super) const AHEAD: usize = 2;

/// A value on its way from one run to another.
pub(super) struct Sent {
    pub(super) point: usize,
    /// What the first model gives; in the receiver's order of axes.
    pub(super) given: Arc<Array>,
    /// What the second model computes in f64 of what the first one gives.
    pub(super) computed: Option<Arc<Array>>,
    /// Whether what is given can stand in the place of what is computed.
    pub(super) fits: bool,
}

/// What comes from another run, in whatever order it comes.
pub(super) struct Inbox {
    from: Receiver<Sent>,
    early: BTreeMap<usize, Sent>,
}

impl Inbox {
    pub(super) fn new(from: Receiver<Sent>) -> Self {
        Self { from, early: BTreeMap::new() }
    }

    /// What there is for a point; `None` where the other run never gets there.
    pub(super) fn take(&mut self, point: usize) -> Option<Sent> {
        while !self.early.contains_key(&point) {
            let sent = self.from.recv().ok()?;
            self.early.insert(sent.point, sent);
        }
        self.early.remove(&point)
    }
}

/// Threads of each of the runs, which go on at the same time and wait for each other now and then.
fn threads(settings: &Settings) -> usize {
    let all = settings.threads.filter(|&threads| threads > 0);
    all.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1).div_ceil(2)
}

/// One of the runs.
pub(super) struct Runner<'s> {
    model: &'s Checked,
    inputs: &'s [Array],
    precision: Precision,
    /// The points at each value.
    points: BTreeMap<ValueId, Vec<usize>>,
    settings: &'s Settings,
}

impl<'s> Runner<'s> {
    pub(super) fn new(
        examined: &'s Examined,
        precision: Precision,
        points: impl Iterator<Item = ValueId>,
        settings: &'s Settings,
    ) -> Self {
        let mut at: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
        for (point, value) in points.enumerate() {
            at.entry(value).or_default().push(point);
        }
        Self { model: &examined.model, inputs: &examined.inputs, precision, points: at, settings }
    }

    /// Runs it; `seen` is shown every point with what was computed there, and may put another value in its place.
    pub(super) fn run(&self, mut seen: impl FnMut(usize, Array) -> Result<Option<Arc<Array>>> + Send) -> Result<()> {
        let options = Options {
            precision: self.precision,
            threads: Some(threads(self.settings)),
            watched: self.points.keys().copied().collect(),
            ..Options::default()
        };
        let mut failed = None;
        Executor::new(self.model, &options)?.run_watched(self.inputs, &mut |value, computed| {
            let mut instead = None;
            for &point in self.points.get(&value).into_iter().flatten() {
                let result = computed.to_array().map_err(Error::from).and_then(|array| seen(point, array));
                match result {
                    Ok(array) => instead = instead.take().or(array),
                    Err(error) => _ = failed.get_or_insert(error),
                }
            }
            instead
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// The first model in f64: what the others are given.
    pub(super) fn lead(&self, others: &[SyncSender<Sent>]) -> Result<()> {
        self.run(|point, array| {
            let given = Arc::new(array);
            for other in others {
                // One that failed says so itself.
                let _ = other.send(Sent { point, given: given.clone(), computed: None, fits: true });
            }
            Ok(None)
        })
    }
}
