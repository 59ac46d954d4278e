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
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::error::{Context, Error, Result};
use residua_exec::compare::{Difference, difference, max_abs};
use residua_exec::{Array, Precision};
use residua_ir::{DType, SourceOrder, ValueId};

use super::bound::{Bound, largest, within};
use super::examined::Examined;
use super::interface::{TO_FIRST, TO_LAST};
use super::lockstep::{AHEAD, Inbox, Runner, Sent};
use super::{Settings, interface};

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

/// How far an f32 run is from the exact one at each point; nothing where it did not get there.
type Noise = BTreeMap<usize, f64>;

/// The second model in f64, on what the first one gives.
fn follow(
    run: &Runner<'_>,
    points: &[Point],
    mut from: Inbox,
    to: SyncSender<Sent>,
) -> Result<BTreeMap<usize, (Option<Difference>, f64)>> {
    let mut found = BTreeMap::new();
    run.run(|point, computed| {
        let Some(Sent { given, .. }) = from.take(point) else { return Ok(None) };
        let (seen, instead) = match fitted(&given, &computed, &points[point].order)? {
            Fitted::AsItIs => (Some(difference(&given, &computed)?), Some(given.clone())),
            Fitted::Moved { seen, instead } => (Some(difference(&given, &seen)?), Some(Arc::new(instead))),
            Fitted::Seen(seen) => (seen.map(|seen| difference(&given, &seen)).transpose()?, None),
        };
        found.insert(point, (seen, largest(&given)));
        let computed = Arc::new(computed);
        let given = instead.clone().unwrap_or_else(|| computed.clone());
        // Without the other run there is one yardstick less.
        let _ = to.send(Sent { point, given, computed: Some(computed), fits: instead.is_some() });
        Ok(instead)
    })?;
    Ok(found)
}

/// A model in f32, on what the first one gives.
fn rounded(run: &Runner<'_>, mut from: Inbox) -> Result<Noise> {
    let mut noise = Noise::new();
    run.run(|point, rounded| {
        let Some(Sent { given, computed, fits, .. }) = from.take(point) else { return Ok(None) };
        noise.insert(point, max_abs(computed.as_ref().unwrap_or(&given), &rounded)?);
        Ok(fits.then_some(given))
    })?;
    Ok(noise)
}

/// How an array of the second model lies to one of the first.
enum Fitted {
    /// Alike.
    AsItIs,
    /// In another order.
    Moved {
        /// The second model's array in the order of the first.
        seen: Array,
        /// The first model's in the order of the second.
        instead: Array,
    },
    /// So that only one way is known: the second model's array in the order of the first, where there is one.
    Seen(Option<Array>),
}

fn fitted(first: &Array, second: &Array, order: &SourceOrder) -> Result<Fitted> {
    let flattened = matches!(order, SourceOrder::FlattenedChannelsLast { .. });
    if first.shape() == second.shape() && !flattened {
        return Ok(Fitted::AsItIs);
    }
    for (there, back) in [(TO_LAST, TO_FIRST), (TO_FIRST, TO_LAST)] {
        if second.shape().len() == 4 && first.shape().len() == 4 {
            let seen = second.permute(&there)?;
            if seen.shape() == first.shape() {
                return Ok(Fitted::Moved { seen, instead: first.permute(&back)? });
            }
        }
    }
    // A pool that keeps its axes, and one that does not.
    let sizes = |array: &Array| array.shape().iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
    if !flattened && sizes(first) == sizes(second) {
        let reshaped = |array: &Array, like: &Array| Array::new(like.shape().to_vec(), array.data().clone());
        return Ok(Fitted::Moved { seen: reshaped(second, first)?, instead: reshaped(first, second)? });
    }
    Ok(Fitted::Seen(interface::same_shape(first, second, order, None)?))
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
        let noise_a = scope.spawn(|| self::rounded(&rounded[0], Inbox::new(from_leader)));
        let noise_b = scope.spawn(|| self::rounded(&rounded[1], Inbox::new(from_follower)));
        let followed = scope.spawn(|| follow(&follower, points, Inbox::new(at_follower), to_rounded));
        let led = leader.lead(&[to_a, to_b]);
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
