//! Layer by layer: each layer of the second model on what the first one gives to it.
//!
//! Run from end to end, a network magnifies what rounding does to its first layers, some without bound: how far the outputs
//! are apart then says nothing of where an error was made, or whether there is one. So both models are run side by side in
//! f64, and whenever the second one reaches a place that both have, what it computed is held against the first one's value,
//! which stands in its place from then on. An error shows where it is made and is not counted again behind it.
//!
//! What a layer may be off by is taken from the same layer in f32, of either model, on the same inputs.
//!
//! Where every place holds, the second model is the first with roundings as they happen in f32: each part of it lies between
//! places at which it was held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::error::{Context, Error, Result};
use residua_exec::compare::{Difference, difference};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, DType, SourceOrder, ValueId};

use super::bound::{Bound, largest, within};
use super::examined::Examined;
use super::interface::{TO_FIRST, TO_LAST};
use super::{Settings, interface};

/// Places that one run may be ahead of another by.
const AHEAD: usize = 2;

/// A value of each model that are to be the same.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) a: ValueId,
    pub(super) b: ValueId,
    /// How the first model's source shows it.
    pub(super) order: SourceOrder,
}

/// What was found at a point.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// How far both are apart; `None` where the shapes differ.
    pub(super) difference: Option<Difference>,
    pub(super) bound: Bound,
}

impl Held {
    pub(super) fn holds(&self) -> bool {
        self.difference.as_ref().is_some_and(|difference| within(difference, self.bound.value))
    }
}

/// A value on its way from one run to another.
struct Sent {
    point: usize,
    /// What the first model gives; in the receiver's order of axes.
    given: Arc<Array>,
    /// What the second model computes in f64 of what the first one gives.
    computed: Option<Arc<Array>>,
    /// Whether what is given can stand in the place of what is computed.
    fits: bool,
}

/// What comes from another run, in whatever order it comes.
struct Inbox {
    from: Receiver<Sent>,
    early: BTreeMap<usize, Sent>,
}

impl Inbox {
    fn new(from: Receiver<Sent>) -> Self {
        Self { from, early: BTreeMap::new() }
    }

    /// What there is for a point; `None` where the other run never gets there.
    fn take(&mut self, point: usize) -> Option<Sent> {
        while !self.early.contains_key(&point) {
            let sent = self.from.recv().ok()?;
            self.early.insert(sent.point, sent);
        }
        self.early.remove(&point)
    }
}

/// How far an f32 run is from the exact one at each point; nothing where it did not get there.
type Noise = BTreeMap<usize, f64>;

/// Threads of each of the runs, which go on at the same time and wait for each other now and then.
fn threads(settings: &Settings) -> usize {
    let all = settings.threads.filter(|&threads| threads > 0);
    all.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1).div_ceil(2)
}

/// One of the runs.
struct Runner<'s> {
    model: &'s Checked,
    inputs: &'s [Array],
    precision: Precision,
    /// The points at each value.
    points: BTreeMap<ValueId, Vec<usize>>,
    settings: &'s Settings,
}

impl<'s> Runner<'s> {
    fn new(
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
    fn run(&self, mut seen: impl FnMut(usize, Array) -> Result<Option<Array>> + Send) -> Result<()> {
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
    fn lead(&self, others: [SyncSender<Sent>; 2]) -> Result<()> {
        self.run(|point, array| {
            let given = Arc::new(array);
            for other in &others {
                // One that failed says so itself.
                let _ = other.send(Sent { point, given: given.clone(), computed: None, fits: true });
            }
            Ok(None)
        })
    }

    /// The second model in f64, on what the first one gives.
    fn follow(
        &self,
        points: &[Point],
        mut from: Inbox,
        to: SyncSender<Sent>,
    ) -> Result<BTreeMap<usize, (Option<Difference>, f64)>> {
        let mut found = BTreeMap::new();
        self.run(|point, computed| {
            let Some(Sent { given, .. }) = from.take(point) else { return Ok(None) };
            let (seen, instead) = fitted(&given, &computed, &points[point].order)?;
            let difference = seen.map(|seen| difference(&given, &seen)).transpose()?;
            found.insert(point, (difference, largest(&given)));
            let fits = instead.is_some();
            let instead = instead.unwrap_or_else(|| computed.clone());
            let sent = Sent { point, given: Arc::new(instead.clone()), computed: Some(Arc::new(computed)), fits };
            // Without the other run there is one yardstick less.
            let _ = to.send(sent);
            Ok(fits.then_some(instead))
        })?;
        Ok(found)
    }

    /// A model in f32, on what the first one gives.
    fn rounded(&self, mut from: Inbox) -> Result<Noise> {
        let mut noise = Noise::new();
        self.run(|point, rounded| {
            let Some(Sent { given, computed, fits, .. }) = from.take(point) else { return Ok(None) };
            let exact = computed.as_ref().unwrap_or(&given);
            noise.insert(point, difference(exact, &rounded)?.max_abs);
            Ok(fits.then(|| given.as_ref().clone()))
        })?;
        Ok(noise)
    }
}

/// The second model's array in the order of the first, and the first one's in the order of the second.
fn fitted(first: &Array, second: &Array, order: &SourceOrder) -> Result<(Option<Array>, Option<Array>)> {
    let flattened = matches!(order, SourceOrder::FlattenedChannelsLast { .. });
    if first.shape() == second.shape() && !flattened {
        return Ok((Some(second.clone()), Some(first.clone())));
    }
    for (there, back) in [(TO_LAST, TO_FIRST), (TO_FIRST, TO_LAST)] {
        if second.shape().len() == 4 && first.shape().len() == 4 {
            let moved = second.permute(&there)?;
            if moved.shape() == first.shape() {
                return Ok((Some(moved), Some(first.permute(&back)?)));
            }
        }
    }
    // A pool that keeps its axes, and one that does not.
    let sizes = |array: &Array| array.shape().iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
    if !flattened && sizes(first) == sizes(second) {
        let reshaped = |array: &Array, like: &Array| Array::new(like.shape().to_vec(), array.data().clone());
        return Ok((Some(reshaped(second, first)?), Some(reshaped(first, second)?)));
    }
    Ok((interface::same_shape(first, second, order, None)?, None))
}

/// Runs both models side by side; what was found at each point, nothing where one of them does not compute it.
///
/// # Errors
/// Where one of them cannot be run in f64.
pub(super) fn hold(a: &Examined, b: &Examined, points: &[Point], settings: &Settings) -> Result<Vec<Option<Held>>> {
    let of_a = || points.iter().map(|point| point.a);
    let of_b = || points.iter().map(|point| point.b);
    let leader = Runner::new(a, Precision::F64, of_a(), settings);
    let follower = Runner::new(b, Precision::F64, of_b(), settings);
    let rounded = [Runner::new(a, Precision::F32, of_a(), settings), Runner::new(b, Precision::F32, of_b(), settings)];
    let (to_a, from_leader) = sync_channel(AHEAD);
    let (to_b, at_follower) = sync_channel(AHEAD);
    let (to_rounded, from_follower) = sync_channel(AHEAD);
    let (led, followed, noise) = std::thread::scope(|scope| {
        let noise_a = scope.spawn(|| rounded[0].rounded(Inbox::new(from_leader)));
        let noise_b = scope.spawn(|| rounded[1].rounded(Inbox::new(from_follower)));
        let followed = scope.spawn(|| follower.follow(points, Inbox::new(at_follower), to_rounded));
        let led = leader.lead([to_a, to_b]);
        let followed = followed.join().map_err(|_| Error::Refused("a run stopped".to_owned()));
        // Where f32 cannot run a model, the other one says how much f32 rounds.
        let noise = [noise_a.join(), noise_b.join()].map(|noise| noise.ok().and_then(Result::ok).unwrap_or_default());
        (led, followed, noise)
    });
    led.context("the first model")?;
    let mut followed = followed?.context("the second model")?;
    let held = (0..points.len()).map(|point| {
        let (difference, largest) = followed.remove(&point)?;
        let [a, b] = noise.each_ref().map(|noise| noise.get(&point).copied().unwrap_or(0.0));
        let (most, model) = if b > a { (b, "B") } else { (a, "A") };
        Some(Held { difference, bound: Bound::of(DType::F32, most, largest, &format!("this layer of {model}")) })
    });
    Ok(held.collect())
}
