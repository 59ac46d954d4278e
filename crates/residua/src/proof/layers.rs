//! Both models side by side, landmark by landmark.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use crate::error::{Context, Error, Result};
use residua_exec::compare::{Difference, difference};
use residua_exec::{Array, Precision};
use residua_ir::{Name, SourceOrder};

use super::bound::{Bound, within};
use super::examined::Examined;
use super::landmarks::{Landmark, align};
use super::lockstep::{AHEAD, Inbox, Runner, Sent};
use super::run::{run, taken};
use super::verification::{Divergence, LayerDifference};
use super::{Settings, interface, locate};

/// Two models, their landmarks paired.
pub(super) struct Layers<'s> {
    pub(super) a: &'s Examined,
    pub(super) b: &'s Examined,
    pub(super) pairs: Vec<Pair>,
    /// Where they begin to differ.
    begin: Option<usize>,
    exactly: bool,
}

/// The same place in both.
#[derive(Debug)]
pub(super) struct Pair {
    /// Which landmark of the first model.
    pub(super) a: usize,
    /// Which of the second.
    pub(super) b: usize,
    /// How far they are apart; `None` where the shapes differ.
    pub(super) difference: Option<Difference>,
    pub(super) bound: f64,
    shapes: [Vec<usize>; 2],
}

impl Pair {
    /// Whether both are the same there.
    pub(super) fn holds(&self) -> bool {
        self.difference.as_ref().is_some_and(|difference| within(difference, self.bound))
    }
}

const MISSING: &str = "a value that was to be looked at is not computed";

/// What was found where both models have a value.
struct Met {
    /// `None` where the shapes differ.
    difference: Option<Difference>,
    shapes: [Vec<usize>; 2],
}

/// Runs the first model in f64, and beside it the second one in f64, and the first one in f32 where its `noise` is wanted.
/// What was found at each pair of landmarks, and how far the f32 run is from the exact one there.
fn side_by_side(
    a: &Examined,
    b: &Examined,
    aligned: &[(usize, usize)],
    noise: bool,
    settings: &Settings,
) -> Result<(BTreeMap<usize, Met>, BTreeMap<usize, Bound>)> {
    let of_a = || aligned.iter().map(|pair| a.marks[pair.0].value);
    let leader = Runner::new(a, Precision::F64, of_a(), settings);
    let rounded = Runner::new(a, Precision::F32, of_a(), settings);
    let other = Runner::new(b, Precision::F64, aligned.iter().map(|pair| b.marks[pair.1].value), settings);
    let (to_other, at_other) = sync_channel(AHEAD);
    let (to_rounded, at_rounded) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let noise = noise.then(|| scope.spawn(|| noise_of(&rounded, Inbox::new(at_rounded))));
        let met = scope.spawn(|| meet(&other, Inbox::new(at_other)));
        let led = match noise {
            Some(_) => leader.lead(&[to_other, to_rounded]),
            None => leader.lead(&[to_other]),
        };
        let stopped = || Error::Refused("a run stopped".to_owned());
        let met = met.join().map_err(|_| stopped());
        let noise = noise.map(|noise| noise.join().map_err(|_| stopped()));
        led?;
        Ok((met??, noise.transpose()?.transpose()?.unwrap_or_default()))
    })
}

/// How far a model is from what another one gives.
fn meet(run: &Runner<'_>, mut from: Inbox) -> Result<BTreeMap<usize, Met>> {
    let mut found = BTreeMap::new();
    run.run(|point, second| {
        let Some(Sent { given: first, .. }) = from.take(point) else { return Ok(None) };
        let shapes = [first.shape().to_vec(), second.shape().to_vec()];
        let difference = match first.shape() == second.shape() {
            true => Some(difference(&first, &second)?),
            false => match interface::same_shape(&first, &second, &SourceOrder::Same, None)? {
                Some(second) => Some(difference(&first, &second)?),
                None => None,
            },
        };
        found.insert(point, Met { difference, shapes });
        Ok(None)
    })?;
    Ok(found)
}

/// How far an f32 run is from the exact one.
fn noise_of(run: &Runner<'_>, mut from: Inbox) -> Result<BTreeMap<usize, Bound>> {
    let mut found = BTreeMap::new();
    run.run(|point, rounded| {
        if let Some(Sent { given, .. }) = from.take(point) {
            found.insert(point, Bound::noise(&given, &rounded, "A")?);
        }
        Ok(None)
    })?;
    Ok(found)
}

/// What goes into and comes out of the first layer that differs.
#[derive(Debug)]
pub struct Failing {
    /// The layer in the first model and its place, for people.
    pub layer: Name,
    /// Names and arrays, channels first.
    pub arrays: Vec<(&'static str, Array)>,
}

impl<'s> Layers<'s> {
    /// Runs both in f64, side by side, and holds them against each other at every landmark. Bits must be the same where that
    /// is `exactly` so.
    pub(super) fn compare(a: &'s Examined, b: &'s Examined, exactly: bool, settings: &Settings) -> Result<Self> {
        let aligned = align(&a.marks, &b.marks);
        let fixed = match (exactly, settings.tolerance) {
            (true, _) => Some(Bound::exact()),
            (false, Some(tolerance)) => Some(Bound::tolerance(tolerance)),
            (false, None) => None,
        };
        let (mut met, noise) = side_by_side(a, b, &aligned, fixed.is_none(), settings)?;
        let mut pairs = Vec::with_capacity(aligned.len());
        for (at, (a, b)) in aligned.into_iter().enumerate() {
            let Met { difference, shapes } = met.remove(&at).context(MISSING)?;
            let bound = match &fixed {
                Some(bound) => bound.value,
                None => noise.get(&at).context(MISSING)?.value,
            };
            pairs.push(Pair { a, b, difference, bound, shapes });
        }
        let begin = pairs.iter().position(|pair| !pair.holds());
        Ok(Self { a, b, pairs, begin, exactly })
    }

    pub(super) fn marks(&self, pair: &Pair) -> (&'s Landmark, &'s Landmark) {
        (&self.a.marks[pair.a], &self.b.marks[pair.b])
    }

    /// The first pair that differs.
    fn first(&self) -> Option<&Pair> {
        self.pairs.get(self.begin?)
    }

    /// The same where it is known at which pair the difference is made.
    pub(super) fn beginning(self, pair: Option<usize>) -> Self {
        Self { begin: pair.or(self.begin), ..self }
    }

    fn place(&self, pair: &Pair) -> Option<String> {
        let (a, b) = self.marks(pair);
        a.place.or(b.place).map(|place| place.to_string())
    }

    /// Where both begin to differ, and why, as far as the two layers tell.
    pub(super) fn divergence(&self) -> Option<Divergence> {
        let at = self.begin?;
        let pair = &self.pairs[at];
        let (a, b) = self.marks(pair);
        // Shapes may differ for a while.
        let comparable = self.pairs[at..].iter().find_map(|pair| Some((pair.difference.as_ref()?.max_abs, pair.bound)));
        let (max_abs, bound) = comparable?;
        Some(Divergence {
            a: self.a.layer(a.named).into(),
            b: self.b.layer(b.named).into(),
            place: self.place(pair),
            max_abs,
            bound,
            same_inputs: false,
            cause: locate::cause(self.a, a, self.b, b, self.exactly),
        })
    }

    /// A row for each pair.
    pub(super) fn table(&self) -> Vec<LayerDifference> {
        let row = |pair: &Pair| {
            let (a, b) = self.marks(pair);
            let [shape, other] = pair.shapes.clone();
            let difference = pair.difference.as_ref();
            LayerDifference {
                place: self.place(pair),
                a: self.a.layer(a.named).into(),
                b: self.b.layer(b.named).into(),
                other_shape: difference.is_none().then_some(other),
                shape,
                max_abs: difference.map(|difference| difference.max_abs),
                max_rel: difference.map(|difference| difference.max_rel),
                bound: pair.bound,
                within: pair.holds(),
            }
        };
        self.pairs.iter().map(row).collect()
    }

    /// What goes into and comes out of the first layer that differs, in f64.
    pub(super) fn failing(&self, settings: &Settings) -> Result<Option<Failing>> {
        let Some(pair) = self.first() else { return Ok(None) };
        let (a, b) = self.marks(pair);
        let mut arrays = Vec::new();
        let sides = [(self.a, a, ["input_a", "output_a"]), (self.b, b, ["input_b", "output_b"])];
        for (examined, mark, names) in sides {
            let values = [examined.model.graph().node(mark.anchor).inputs[0], mark.value];
            let results = run(&examined.model, Precision::F64, &examined.inputs, &values, settings)?;
            arrays.extend(names.into_iter().zip(taken(results, &values)?));
        }
        let layer = self.a.layer(a.named);
        let layer = self.place(pair).map_or_else(|| layer.clone(), |place| format!("{layer} ({place})"));
        Ok(Some(Failing { layer: layer.into(), arrays }))
    }
}
