//! How well a classifier does on images whose classes are known.
//!
//! Images are decoded once, on other threads than the engines run on; nothing that is kept grows with their number but
//! their names. What is counted of a part of them comes together with other parts to the very numbers of one run
//! ([`merge`]).

mod candidates;
mod document;
mod find;
mod found;
mod mapping;
mod merge;
mod protocol;
pub mod statistics;
mod tally;
mod truth;

use std::ops::ControlFlow;
use std::path::PathBuf;

use residua_exec::Array;
use residua_ir::{Role, Shown};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, bail, ensure, messages};
use crate::images::{Batches, Done, ahead};
use crate::input::{self, Preparing};
use crate::known::{KnownWeights, hex, sha256};
use crate::labels::Labels;
use crate::model::Model;
use crate::options::ImageOptions;
use crate::predict::threads;
use crate::scores::Scores;
use crate::watch::Watch;

pub use document::{Against, Calibration, ClassFigures, Document, TIMM};
pub use found::{FoundProtocol, Target, Tried};
pub use mapping::ClassOrder;
pub use merge::merge;
pub use protocol::Protocol;
pub use statistics::{Share, mcnemar};
use tally::{Both, Tally};
pub use tally::{Flip, Judged, Mistake};
pub use truth::{Labelled, Truth};

/// How a model is evaluated.
#[derive(Debug, Clone, Default)]
pub struct Evaluate {
    /// A file with the names of the model's classes, one a line; else those that it holds or ImageNet's.
    pub labels: Option<PathBuf>,
    /// The order that classes without names are taken in.
    pub order: ClassOrder,
    /// How images are prepared.
    pub images: ImageOptions,
    /// Images at a time; some, where it is free and nothing is said.
    pub batch: Option<usize>,
    /// So many images, spread evenly over all.
    pub limit: Option<usize>,
    /// A part of them: the i-th of n, from 1.
    pub shard: Option<Shard>,
    /// Threads to compute on, and to decode on; all processors where it is [`None`].
    pub threads: Option<usize>,
    /// Who watches.
    pub watch: Watch,
}

/// A part of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

/// An image that could not be read or run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its place among all images.
    pub index: u64,
    /// The file.
    pub file: String,
    /// Why.
    pub error: String,
}

/// A model as a report names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) file: String,
    /// Of the file, where it is one.
    pub(crate) sha256: Option<String>,
    pub(crate) name: Option<String>,
    /// The published weights that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<KnownWeights>,
    pub(crate) parameters: u64,
    /// Which numbers it gives.
    pub(crate) scores: String,
    /// How images were prepared.
    pub(crate) protocol: Protocol,
}

/// What was counted, with all that has to be the same of parts that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) model: Named,
    pub(crate) against: Option<Named>,
    /// Names of the model's outputs; those of the images' classes where the model names none.
    pub(crate) classes: Vec<String>,
    /// How classes of the images became outputs.
    pub(crate) classes_by: String,
    /// Images of all parts.
    pub(crate) total: u64,
    /// What the images are: a hash of their names and classes, in order.
    pub(crate) images: String,
    /// Parts that are in here.
    pub(crate) shards: Vec<usize>,
    /// Of how many.
    pub(crate) of: usize,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) turned: u64,
    tally: Tally,
    both: Option<Both>,
}

/// What came of an image, for whoever wants a row of each.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The image.
    pub image: &'a Labelled,
    /// Its class, as the model calls it.
    pub class: &'a str,
    /// What the model says.
    pub judged: Judged,
    /// How the model calls what it takes it for.
    pub predicted: &'a str,
    /// What the other model says.
    pub against: Option<(Judged, &'a str)>,
}

/// The names of the columns of [`Row`].
pub const ROW: [&str; 9] =
    ["file", "class", "predicted", "correct", "rank", "confidence", "loss", "against", "against_correct"];

impl Row<'_> {
    /// As cells of a table.
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        let against = self.against.map(|(judged, name)| (name.to_owned(), (judged.rank == 0).to_string()));
        let (against, against_correct) = against.unwrap_or_default();
        vec![
            self.image.file.to_string_lossy().into_owned(),
            self.class.to_owned(),
            self.predicted.to_owned(),
            (self.judged.rank == 0).to_string(),
            (self.judged.rank + 1).to_string(),
            self.judged.confidence.to_string(),
            self.judged.loss.map(|loss| loss.to_string()).unwrap_or_default(),
            against,
            against_correct,
        ]
    }
}

/// A model with how it is to be evaluated.
struct One<'m> {
    model: &'m Model,
    preparing: Preparing,
    scores: Scores,
}

impl<'m> One<'m> {
    fn new(model: &'m Model, images: &ImageOptions) -> Result<Self> {
        Ok(Self { model, preparing: Preparing::new(model, images)?, scores: Scores::of(model)? })
    }

    fn named(&self, upright: bool) -> Result<Named> {
        let path = self.model.path();
        let sha256 = if path.is_file() { sha256(path)? } else { None };
        let kind = serde_json::to_value(self.scores.kind)?;
        Ok(Named {
            file: path.to_string_lossy().into_owned(),
            sha256,
            name: self.model.anatomy().standard_name().map(str::to_owned),
            weights: self.model.identity().and_then(|identity| identity.weights.clone()),
            parameters: learned(self.model),
            scores: kind.as_str().unwrap_or_default().to_owned(),
            protocol: Protocol::of(&self.preparing.known, upright),
        })
    }
}

/// Numbers that are learned by gradient: what timm counts.
fn learned(model: &Model) -> u64 {
    let parameters = model.graph().graph().parameters().iter().filter(|parameter| parameter.role == Role::Weight);
    parameters.map(|parameter| parameter.tensor.shape().iter().product::<usize>() as u64).sum()
}

/// A model that is ready to be evaluated, alone or against another.
pub struct Evaluator<'m> {
    first: One<'m>,
    second: Option<One<'m>>,
    truth: Truth,
    /// For each class of the images its output.
    outputs: Vec<usize>,
    state: State,
    options: Evaluate,
    labels: Labels,
    notes: Vec<String>,
}

impl<'m> Evaluator<'m> {
    /// Settles which images there are, which output each class is, and how images are prepared.
    ///
    /// # Errors
    /// Where the model is no classifier of images, classes do not fit it, or what is asked for contradicts itself.
    pub fn new(model: &'m Model, against: Option<&'m Model>, truth: Truth, options: Evaluate) -> Result<Self> {
        let first = One::new(model, &options.images)?;
        let second = against.map(|other| One::new(other, &options.images)).transpose()?;
        let classes = first.scores.classes;
        if let Some(other) = &second {
            ensure!(
                other.scores.classes == classes,
                "{} has {classes} classes, {} has {}: they cannot be held against each other",
                model.path().shown(),
                other.model.path().shown(),
                other.scores.classes
            );
        }
        let labels = match &options.labels {
            Some(path) => Labels::read(path, classes)?,
            None => Labels::of(model, classes),
        };
        let mapping = mapping::map(&truth.classes, &labels, classes, options.order)?;
        let mut notes = truth.notes.clone();
        notes.extend(mapping.notes);
        notes.extend(first.preparing.notes.iter().cloned());
        if let Some(other) = second.iter().flat_map(|other| &other.preparing.notes).find(|note| !notes.contains(note)) {
            notes.push(format!("of the other model: {other}"));
        }
        let upright = options.images.upright.unwrap_or(false);
        let (shard, total) = (options.shard.unwrap_or(Shard { index: 1, of: 1 }), chosen(&truth, options.limit).len());
        ensure!(
            (1..=shard.of).contains(&shard.index) && shard.of <= total,
            "shard {}/{} is none of {total} images",
            shard.index,
            shard.of
        );
        let state = State {
            model: first.named(upright)?,
            against: second.as_ref().map(|other| other.named(upright)).transpose()?,
            classes: names(&truth, &labels, &mapping.outputs, classes),
            classes_by: mapping.by,
            total: total as u64,
            images: fingerprint(&truth, &mapping.outputs, options.limit),
            shards: vec![shard.index],
            of: shard.of,
            skipped: Vec::new(),
            turned: 0,
            tally: Tally::default(),
            both: second.as_ref().map(|_| Both::default()),
        };
        Ok(Self { first, second, truth, outputs: mapping.outputs, state, options, labels, notes })
    }

    /// What to tell the user before it begins.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Runs the model on all images, and gives each to `each` in their order.
    ///
    /// # Errors
    /// Where the engine cannot run it, no image could be read, or what `each` gives.
    pub fn run(self, mut each: impl FnMut(&Row) -> Result<()>) -> Result<Document> {
        let Self { first, second, truth, outputs, mut state, options, .. } = self;
        let batches = |one: &One<'m>| Batches::new(one.model, options.threads, options.batch);
        let mut engines = (batches(&first)?, second.as_ref().map(batches).transpose()?);
        let shard = options.shard.unwrap_or(Shard { index: 1, of: 1 });
        let mine: Vec<Item> = chosen(&truth, options.limit)
            .into_iter()
            .enumerate()
            .filter(|(place, _)| place % shard.of == shard.index - 1)
            .map(|(place, at)| Item { index: place as u64, image: &truth.images[at] })
            .collect();
        let upright = options.images.upright.unwrap_or(false);
        let total = mine.len();
        let mut gathering =
            Gathering { state: &mut state, outputs: &outputs, scores: first.scores, waiting: Vec::new() };
        let mut begun = 0;
        ahead(
            &mine,
            threads(options.threads),
            |item: &Item| ready(item.image, &first.preparing, second.as_ref().map(|other| &other.preparing), upright),
            |item, ready| {
                begun += 1;
                options.watch.step(&format!("evaluating: {begun} of {total}"))?;
                match ready {
                    Ok(ready) => {
                        gathering.state.turned += u64::from(ready.turned);
                        let other =
                            engines.1.as_mut().zip(ready.other).map(|(engine, array)| engine.push(*item, array));
                        let own = engines.0.push(*item, ready.own);
                        gathering.take(own, other, &mut each)?;
                    }
                    Err(error) => gathering.skip(*item, messages(&error).join(": ")),
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        let other = engines.1.as_mut().map(Batches::flush);
        gathering.take(engines.0.flush(), other, &mut each)?;
        state.settle();
        Document::of(state)
    }
}

/// An image at its place among all.
#[derive(Debug, Clone, Copy)]
struct Item<'t> {
    index: u64,
    image: &'t Labelled,
}

/// An image as an input of each model.
struct Ready {
    own: Array,
    other: Option<Array>,
    turned: bool,
}

fn ready(image: &Labelled, own: &Preparing, other: Option<&Preparing>, upright: bool) -> Result<Ready> {
    let (image, turned) = input::read_image(&image.file, upright)?;
    let other = other.map(|other| other.array(&image)).transpose()?;
    Ok(Ready { own: own.array(&image)?, other, turned })
}

/// Counts what engines give; of two, what both have said.
struct Gathering<'s> {
    state: &'s mut State,
    outputs: &'s [usize],
    scores: Scores,
    /// What one of two engines is ahead of the other, which may take other batches.
    waiting: Vec<(usize, u64, Result<Vec<f64>, String>)>,
}

impl<'s> Gathering<'s> {
    fn skip(&mut self, item: Item<'_>, error: String) {
        let file = item.image.file.to_string_lossy().into_owned();
        self.state.skipped.push(Skipped { index: item.index, file, error });
    }

    fn take(
        &mut self,
        own: Vec<Done<Item<'_>>>,
        other: Option<Vec<Done<Item<'_>>>>,
        each: &mut impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let said = |result: Result<Vec<f64>>| result.map_err(|error| messages(&error).join(": "));
        let Some(other) = other else {
            return own.into_iter().try_for_each(|(item, result)| self.judge(item, said(result), None, each));
        };
        let theirs = other.into_iter().map(|(item, result)| (1, item, said(result)));
        let own = own.into_iter().map(|(item, result)| (0, item, said(result)));
        for (which, item, result) in own.chain(theirs) {
            match self.waiting.iter().position(|(first, index, _)| *first != which && *index == item.index) {
                Some(at) => {
                    let (_, _, before) = self.waiting.remove(at);
                    let (first, second) = if which == 0 { (result, before) } else { (before, result) };
                    self.judge(item, first, Some(second), each)?;
                }
                None => self.waiting.push((which, item.index, result)),
            }
        }
        Ok(())
    }

    fn judge(
        &mut self,
        item: Item<'_>,
        first: Result<Vec<f64>, String>,
        second: Option<Result<Vec<f64>, String>>,
        each: &mut impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let Item { index, image } = item;
        let truth = self.outputs.get(image.class).copied().unwrap_or_default();
        let scores = self.scores;
        let judged = |row: Result<Vec<f64>, String>| {
            row.and_then(|row| {
                Judged::of(scores, &row, truth).ok_or_else(|| "its scores are infinite or NaN".to_owned())
            })
        };
        let (first, second) = match (judged(first), second.map(judged).transpose()) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(error), _) => {
                self.skip(item, error);
                return Ok(());
            }
            (_, Err(error)) => {
                self.skip(item, format!("by the other model: {error}"));
                return Ok(());
            }
        };
        self.state.tally.add(index, image, &first);
        if let (Some(both), Some(second)) = (&mut self.state.both, &second) {
            both.add(index, image, &first, second);
        }
        let name = |class: usize| self.state.classes.get(class).map_or("", String::as_str);
        each(&Row {
            image,
            class: name(truth),
            judged: first,
            predicted: name(first.predicted),
            against: second.map(|second| (second, name(second.predicted))),
        })
    }
}

impl State {
    fn settle(&mut self) {
        self.tally.settle();
        if let Some(both) = &mut self.both {
            both.settle();
        }
        self.skipped.sort_by_key(|skipped| skipped.index);
    }
}

/// Places of the images that are taken: all, or so many of them spread evenly.
fn chosen(truth: &Truth, limit: Option<usize>) -> Vec<usize> {
    let all = truth.images.len();
    let count = limit.unwrap_or(all).min(all);
    (0..count).map(|at| usize::try_from(at as u128 * all as u128 / count as u128).unwrap_or_default()).collect()
}

/// A hash of which images are taken, their names and outputs.
fn fingerprint(truth: &Truth, outputs: &[usize], limit: Option<usize>) -> String {
    let mut hash = Sha256::new();
    for at in chosen(truth, limit) {
        let image = &truth.images[at];
        let output = outputs.get(image.class).copied().unwrap_or_default();
        hash.update(image.file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
        hash.update((output as u64).to_le_bytes());
    }
    hex(&hash.finalize())
}

/// How the model's outputs are called: as it says, else as the images' classes are, else by number.
fn names(truth: &Truth, labels: &Labels, outputs: &[usize], count: usize) -> Vec<String> {
    let of_images = |output: usize| outputs.iter().position(|&own| own == output).map(|at| truth.classes[at].clone());
    let name = |output: usize| labels.get(output).map(str::to_owned).or_else(|| of_images(output));
    (0..count).map(|output| name(output).unwrap_or_else(|| output.to_string())).collect()
}

/// `i/n`, as a shard is asked for.
///
/// # Errors
/// What is no such text, in a sentence.
pub fn parse_shard(text: &str) -> Result<Shard, String> {
    let wrong = || format!("expected I/N with I from 1 to N, such as 1/4, found `{text}`");
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    let (index, of) = (index.trim().parse().map_err(|_| wrong())?, of.trim().parse().map_err(|_| wrong())?);
    if index == 0 || index > of { Err(wrong()) } else { Ok(Shard { index, of }) }
}

/// Refuses what reads nothing.
pub(crate) fn nothing_read(skipped: &[Skipped]) -> Result<()> {
    match skipped.first() {
        Some(first) => bail!("no image could be evaluated; the first, {}: {}", first.file.shown(), first.error),
        None => bail!("there are no images"),
    }
}
