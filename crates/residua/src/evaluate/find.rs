//! Which protocol leads to a published accuracy, or to the best one: sensible combinations on a sample.
//!
//! Each image is decoded once, and prepared in each of the ways that are still in question. A way is dropped as soon as it
//! cannot be the one: with a figure to reach, where the interval of its accuracy does not hold that; without, where it is
//! worse than the best so far and chance does not explain it. Both are asked at one in ten thousand, so that looking often
//! costs nothing that is true. What is left is counted over the whole sample.

use std::ops::ControlFlow;

use rayon::prelude::*;
use residua_exec::Array;
use residua_ir::Dim;

use super::candidates::{InputKind, candidates, text};
use super::document::Document;
use super::found::{FoundProtocol, Target, Tried};
use super::mapping::{ClassOrder, Mapping};
use super::protocol::Protocol;
use super::statistics::{Share, mcnemar};
use super::tally::{Judged, Tally};
use super::truth::Truth;
use super::{Evaluator, Item, Skipped, State, mapping};
use crate::error::{Result, bail, messages};
use crate::images::{Batches, ahead};
use crate::input::{self, Decoded, Preparing};
use crate::labels::Labels;
use crate::options::ImageOptions;
use crate::predict::threads;
use crate::scores::Scores;

/// Images that are in memory together.
const BLOCK: usize = 8;
/// Images before anything is dropped.
const FIRST: u64 = 16;
/// How improbable it has to be that what is dropped is the one.
const DROPPED_AT: f64 = 1e-4;
/// The quantile of the normal distribution to that, on both sides.
const Z: f64 = 3.890_591_886_413_124;
/// Below this, two protocols are told apart.
const TOLD_APART: f64 = 0.05;

/// A protocol that is being tried, with one order of classes.
struct Candidate {
    /// Its place among the preparations.
    preparation: usize,
    order: usize,
    tally: Tally,
    /// Of each image whether it was right.
    right: Vec<bool>,
    dropped: bool,
}

/// A way to prepare images.
struct Preparation {
    options: ImageOptions,
    preparing: Preparing,
}

impl Evaluator<'_> {
    /// Tries sensible protocols on the images, and gives the report of the one that fits `target`, or of the best.
    ///
    /// # Errors
    /// As [`Evaluator::run`]; and where there is another model, or a part of the images only.
    pub fn find_protocol(self, target: Option<Target>) -> Result<Document> {
        let Self { first, second, truth, state, options, labels, .. } = self;
        if second.is_some() || state.of > 1 {
            bail!("protocols are looked for of one model, on one sample");
        }
        let kind = InputKind { size: size(first.model), colour: first.preparing.is_colour() };
        let upright = options.images.upright.unwrap_or(false);
        let mut preparations: Vec<Preparation> = Vec::new();
        for options in candidates(&options.images, kind) {
            // What the caller asked for has to be possible; the rest is left out where it is not.
            let preparing = Preparing::new(first.model, &options);
            match preparing {
                Ok(preparing) if !preparations.iter().any(|other| other.preparing.same(&preparing)) => {
                    preparations.push(Preparation { options, preparing });
                }
                Ok(_) => {}
                Err(error) if preparations.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        let orders = orders(&truth, &labels, first.scores.classes, options.order)?;
        let mut search = Search {
            preparations,
            candidates: Vec::new(),
            orders,
            scores: first.scores,
            target,
            skipped: Vec::new(),
            truth: &truth,
            labels: &labels,
            limit: options.limit,
        };
        search.begin();
        let items: Vec<Item<'_>> = super::chosen(&truth, options.limit)
            .into_iter()
            .enumerate()
            .map(|(place, at)| Item { index: place as u64, image: &truth.images[at] })
            .collect();
        let mut engine = Batches::new(first.model, options.threads, options.batch)?;
        let (mut block, mut begun) = (Vec::new(), 0);
        ahead(
            &items,
            threads(options.threads),
            |item: &Item| input::read_image(&item.image.file, upright),
            |item, read| {
                begun += 1;
                let left = search.candidates.iter().filter(|candidate| !candidate.dropped).count();
                options.watch.step(&format!("{begun} of {} images, {left} protocols in question", items.len()))?;
                match read {
                    Ok((image, _)) => block.push((*item, image)),
                    Err(error) => search.skip(*item, messages(&error).join(": ")),
                }
                if block.len() == BLOCK {
                    search.take(std::mem::take(&mut block), &mut engine);
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        search.take(block, &mut engine);
        search.report(state, upright)
    }
}

/// Rows and columns that a model takes, or that its architecture was published for.
fn size(model: &crate::model::Model) -> Option<(usize, usize)> {
    let checked = model.graph();
    let [input] = checked.graph().inputs() else { return None };
    let fixed: Vec<Option<usize>> = checked.shape_of(*input)?.dims().iter().map(Dim::fixed).collect();
    match fixed[..] {
        [_, Some(1 | 3), Some(height), Some(width)] => Some((height, width)),
        [_, Some(height), Some(width), Some(1 | 3)] => Some((height, width)),
        _ => model.usual_size().map(|side| (side, side)),
    }
}

/// The ways in which classes can be outputs, the one that was asked for first.
fn orders(truth: &Truth, labels: &Labels, outputs: usize, asked: ClassOrder) -> Result<Vec<Order>> {
    let of = |order: ClassOrder| mapping::map(&truth.classes, labels, outputs, order);
    let mut orders = vec![Order { options: String::new(), mapping: of(asked)? }];
    for (order, name) in [(ClassOrder::Text, "text"), (ClassOrder::Number, "number")] {
        let Ok(mapping) = of(order) else { continue };
        if !orders.iter().any(|other| other.mapping.outputs == mapping.outputs) {
            orders.push(Order { options: format!("--class-order {name}"), mapping });
        }
    }
    Ok(orders)
}

/// A way in which classes are outputs.
struct Order {
    /// As an option, where it is not the one that was asked for.
    options: String,
    mapping: Mapping,
}

struct Search<'t> {
    preparations: Vec<Preparation>,
    candidates: Vec<Candidate>,
    orders: Vec<Order>,
    scores: Scores,
    target: Option<Target>,
    skipped: Vec<Skipped>,
    truth: &'t Truth,
    labels: &'t Labels,
    limit: Option<usize>,
}

impl<'t> Search<'t> {
    fn begin(&mut self) {
        for preparation in 0..self.preparations.len() {
            let orders = 0..self.orders.len();
            self.candidates.extend(orders.map(|order| Candidate {
                preparation,
                order,
                tally: Tally::default(),
                right: Vec::new(),
                dropped: false,
            }));
        }
    }

    fn skip(&mut self, item: Item<'_>, error: String) {
        let file = item.image.file.to_string_lossy().into_owned();
        self.skipped.push(Skipped { index: item.index, file, error });
    }

    /// Runs some images in every way that is in question; one that cannot be run in one of them counts in none.
    fn take(&mut self, block: Vec<(Item<'t>, Decoded)>, engine: &mut Batches<'_, Item<'t>>) {
        if block.is_empty() {
            return;
        }
        let mut failed: Vec<(u64, String)> = Vec::new();
        let mut judged: Vec<(usize, Item<'t>, Vec<f64>)> = Vec::new();
        for at in 0..self.preparations.len() {
            if self.candidates.iter().all(|candidate| candidate.preparation != at || candidate.dropped) {
                continue;
            }
            let preparing = &self.preparations[at].preparing;
            let arrays: Vec<Result<Array>> = block.par_iter().map(|(_, image)| preparing.array(image)).collect();
            let mut done = Vec::new();
            for ((item, _), array) in block.iter().zip(arrays) {
                match array {
                    Ok(array) => done.extend(engine.push(*item, array)),
                    Err(error) => failed.push((item.index, messages(&error).join(": "))),
                }
            }
            done.extend(engine.flush());
            for (item, result) in done {
                match result {
                    Ok(row) => judged.push((at, item, row)),
                    Err(error) => failed.push((item.index, messages(&error).join(": "))),
                }
            }
        }
        judged.retain(|(_, item, _)| !failed.iter().any(|(index, _)| *index == item.index));
        for (at, item, row) in &judged {
            self.judge(*at, *item, row);
        }
        for (item, _) in &block {
            if let Some((_, error)) = failed.iter().find(|(index, _)| *index == item.index) {
                self.skip(*item, error.clone());
            }
        }
        self.drop_hopeless();
    }

    fn judge(&mut self, preparation: usize, item: Item<'t>, row: &[f64]) {
        let Self { candidates, orders, scores, .. } = self;
        for candidate in candidates.iter_mut().filter(|candidate| candidate.preparation == preparation) {
            if candidate.dropped {
                continue;
            }
            let truth = orders[candidate.order].mapping.outputs.get(item.image.class).copied().unwrap_or_default();
            // Numbers that overflow say nothing, which is no right class.
            let judged = Judged::of(*scores, row, truth).unwrap_or(Judged {
                truth,
                predicted: usize::from(truth == 0),
                rank: row.len(),
                confidence: 0.0,
                loss: None,
            });
            candidate.tally.add(item.index, item.image, &judged);
            candidate.right.push(judged.rank == 0);
        }
    }

    /// Drops what cannot be the one.
    fn drop_hopeless(&mut self) {
        let Some(best) = self.best() else { return };
        if self.candidates[best].tally.count < FIRST {
            return;
        }
        let right = self.candidates[best].right.clone();
        for (at, candidate) in self.candidates.iter_mut().enumerate() {
            let hopeless = match &self.target {
                Some(target) => {
                    let share = Share::within(candidate.tally.top1, candidate.tally.count, Z);
                    !(share.low..=share.high).contains(&target.top1)
                }
                None => {
                    let (own, other) = alone(&candidate.right, &right);
                    own < other && mcnemar(own, other) < DROPPED_AT
                }
            };
            candidate.dropped |= hopeless && at != best;
        }
    }

    /// The best of those that are in question: nearest to the figure, or most often right; of equals the earlier one.
    fn best(&self) -> Option<usize> {
        let among = |(_, candidate): &(usize, &Candidate)| !candidate.dropped && candidate.tally.count > 0;
        let of = |&(at, candidate): &(usize, &Candidate)| (self.distance(candidate), at);
        let better = |a: &(usize, &Candidate), b: &(usize, &Candidate)| {
            let ((a, first), (b, second)) = (of(a), of(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(first.cmp(&second))
        };
        self.candidates.iter().enumerate().filter(among).min_by(better).map(|(at, _)| at)
    }

    /// How far it is from what is wanted; of equals the loss counts.
    fn distance(&self, candidate: &Candidate) -> (f64, f64) {
        let share = Share::of(candidate.tally.top1, candidate.tally.count).value;
        let loss = candidate.tally.mean_loss().unwrap_or(0.0);
        match &self.target {
            Some(target) => ((share - target.top1).abs(), loss),
            None => (-share, loss),
        }
    }

    fn report(self, state: State, upright: bool) -> Result<Document> {
        let Some(best) = self.best() else {
            super::nothing_read(&self.skipped)?;
            bail!("no protocol could be tried");
        };
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        let key = |at: usize| {
            let candidate = &self.candidates[at];
            let (far, loss) = self.distance(candidate);
            (at != best, candidate.dropped, far, loss)
        };
        order.sort_by(|&a, &b| {
            let ((ax, ad, af, al), (bx, bd, bf, bl)) = (key(a), key(b));
            (ax, ad).cmp(&(bx, bd)).then(af.total_cmp(&bf)).then(al.total_cmp(&bl)).then(a.cmp(&b))
        });
        let tried: Vec<Tried> = order.iter().map(|&at| self.tried(at, best, upright)).collect();
        let fitting = match self.target {
            Some(_) => tried.iter().filter(|tried| tried.fits == Some(true)).count(),
            None => tried.iter().filter(|tried| !tried.dropped && tried.mcnemar_p >= TOLD_APART).count(),
        };
        let Self { mut candidates, orders, preparations, target, skipped, truth, labels, scores, limit } = self;
        let chosen = candidates.swap_remove(best);
        let mapping = &orders[chosen.order].mapping;
        let mut state = State { skipped, tally: chosen.tally, ..state };
        state.model.protocol = Protocol::of(&preparations[chosen.preparation].preparing.known, upright);
        state.classes_by.clone_from(&mapping.by);
        state.images = super::fingerprint(truth, &mapping.outputs, limit);
        state.classes = super::names(truth, labels, &mapping.outputs, scores.classes);
        state.settle();
        let found = FoundProtocol { target, tried, fitting };
        let mut document = Document::of(state)?;
        document.find_protocol = Some(found);
        Ok(document)
    }

    fn tried(&self, at: usize, best: usize, upright: bool) -> Tried {
        let candidate = &self.candidates[at];
        let Preparation { options, preparing } = &self.preparations[candidate.preparation];
        let (tally, order) = (&candidate.tally, &self.orders[candidate.order]);
        let top1 = Share::of(tally.top1, tally.count);
        let fits = |target: &Target| !candidate.dropped && (top1.low..=top1.high).contains(&target.top1);
        let (own, other) = alone(&candidate.right, &self.candidates[best].right);
        Tried {
            protocol: Protocol::of(&preparing.known, upright),
            options: [text(options), order.options.clone()].join(" ").trim().to_owned(),
            classes_by: order.mapping.by.clone(),
            count: tally.count,
            top1,
            top5: Share::of(tally.top5, tally.count),
            loss: tally.mean_loss(),
            dropped: candidate.dropped,
            fits: self.target.as_ref().map(fits),
            mcnemar_p: mcnemar(own, other),
        }
    }
}

/// How often one is right and the other is not, over the images that both were tried on.
fn alone(first: &[bool], second: &[bool]) -> (u64, u64) {
    first.iter().zip(second).fold((0, 0), |(a, b), pair| match pair {
        (true, false) => (a + 1, b),
        (false, true) => (a, b + 1),
        (true, true) | (false, false) => (a, b),
    })
}
