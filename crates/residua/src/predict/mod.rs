//! The best classes of images, of any number of files and folders.
//!
//! Images are decoded on other threads than the engine runs on, and given to the caller one by one, so that what is in
//! memory does not grow with their number. One that cannot be read is told in its place, and the rest goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use residua_exec::Array;
use residua_resnet::preprocessing::Known;
use serde::Serialize;

use crate::error::{Error, Result, messages};
use crate::images::{self, Batches, Done, Found, ahead};
use crate::input::{self, Preparing};
use crate::labels::Labels;
use crate::model::Model;
use crate::options::ImageOptions;
use crate::scores::{ScoreKind, Scores, ranked};
use crate::watch::Watch;

/// How images are predicted.
#[derive(Debug, Clone)]
pub struct Predict {
    /// How many of the best classes are given.
    pub top: usize,
    /// A file with the names of the classes, one a line; else those of the model or ImageNet's.
    pub labels: Option<PathBuf>,
    /// How images are prepared.
    pub images: ImageOptions,
    /// Images at a time; some, where it is free and nothing is said.
    pub batch: Option<usize>,
    /// Only the first so many images.
    pub limit: Option<usize>,
    /// Threads to compute on, and to decode on; all processors where it is [`None`].
    pub threads: Option<usize>,
    /// Who watches.
    pub watch: Watch,
}

impl Default for Predict {
    fn default() -> Self {
        Self {
            top: 5,
            labels: None,
            images: ImageOptions::default(),
            batch: None,
            limit: None,
            threads: None,
            watch: Watch::default(),
        }
    }
}

/// One of the best classes of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// Its index.
    pub class: usize,
    /// Its name, where there are names.
    pub label: Option<String>,
    /// What the output has for it.
    pub score: f64,
    /// How probable it is: the score itself, or the softmax of the scores.
    pub probability: f64,
}

/// What came of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Predicted {
    /// The file, as it was given or found.
    #[serde(serialize_with = "shown")]
    pub file: PathBuf,
    /// The best classes, the best first.
    pub top: Vec<Best>,
    /// Why there are none.
    pub error: Option<String>,
}

fn shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// A model, ready to predict.
pub struct Predictor<'m> {
    model: &'m Model,
    preparing: Preparing,
    labels: Labels,
    scores: Scores,
    found: Found,
    options: Predict,
}

/// What came of all images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Predictions {
    /// How many there were.
    pub count: usize,
    /// How many of them could not be read or run.
    pub failed: usize,
    /// How many were turned upright as EXIF says.
    pub turned: usize,
    /// What was done to some of them beyond what was told before.
    pub notes: Vec<String>,
}

impl<'m> Predictor<'m> {
    /// Finds the images, and settles how they are prepared.
    ///
    /// # Errors
    /// Where the model is no classifier of images, there are no images, or what is asked for contradicts itself.
    pub fn new(model: &'m Model, paths: &[PathBuf], options: Predict) -> Result<Self> {
        let preparing = Preparing::new(model, &options.images)?;
        let scores = Scores::of(model)?;
        let labels = match &options.labels {
            Some(path) => Labels::read(path, scores.classes)?,
            None => Labels::of(model, scores.classes),
        };
        let mut found = images::find(paths)?;
        found.images.truncate(options.limit.unwrap_or(usize::MAX));
        Ok(Self { model, preparing, labels, scores, found, options })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// Whether images are turned as EXIF says.
    #[must_use]
    pub fn upright(&self) -> bool {
        self.options.images.upright.unwrap_or(true)
    }

    /// The images that were found.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// How images are prepared.
    #[must_use]
    pub fn preparation(&self) -> &Known {
        &self.preparing.known
    }

    /// What the scores are.
    #[must_use]
    pub fn kind(&self) -> ScoreKind {
        self.scores.kind
    }

    /// What to tell the user before it begins.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.preparing.notes.clone();
        notes.extend(self.found.left.iter().cloned());
        notes
    }

    /// Predicts all images, and gives each to `each` in their order.
    ///
    /// # Errors
    /// Where the engine cannot run the model, or what `each` gives.
    pub fn run(&self, mut each: impl FnMut(Predicted) -> Result<()>) -> Result<Predictions> {
        let mut batches = Batches::new(self.model, self.options.threads, self.options.batch)?;
        let mut all = Predictions::default();
        let total = self.found.images.len();
        let threads = threads(self.options.threads);
        let upright = self.upright();
        ahead(
            &self.found.images,
            threads,
            |path: &PathBuf| prepared(path, &self.preparing, upright),
            |path, made| {
                self.options.watch.step(&format!("predicting: {} of {total}", all.count + 1))?;
                all.count += 1;
                match made {
                    Ok(made) => {
                        all.turned += usize::from(made.turned);
                        all.notes.extend(made.note.filter(|note| !all.notes.contains(note)));
                        self.give(batches.push(path.as_path(), made.array), &mut all, &mut each)?;
                    }
                    Err(error) => {
                        // Those before it come first.
                        self.give(batches.flush(), &mut all, &mut each)?;
                        self.give(vec![(path.as_path(), Err(error))], &mut all, &mut each)?;
                    }
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        self.give(batches.flush(), &mut all, &mut each)?;
        Ok(all)
    }

    fn give(
        &self,
        done: Vec<Done<&Path>>,
        all: &mut Predictions,
        each: &mut impl FnMut(Predicted) -> Result<()>,
    ) -> Result<()> {
        for (path, result) in done {
            let best = result.and_then(|row| self.best(&row));
            let (top, error) = match best {
                Ok(top) => (top, None),
                Err(error) => {
                    all.failed += 1;
                    (Vec::new(), Some(messages(&error).join(": ")))
                }
            };
            each(Predicted { file: path.to_owned(), top, error })?;
        }
        Ok(())
    }

    fn best(&self, row: &[f64]) -> Result<Vec<Best>> {
        let order = ranked(row, self.options.top);
        let order = order.ok_or_else(|| Error::Refused("its scores are infinite or NaN".to_owned()))?;
        let probabilities = self.scores.probabilities(row);
        let best = |class: usize| Best {
            class,
            label: self.labels.get(class).map(str::to_owned),
            score: row[class],
            probability: probabilities[class],
        };
        Ok(order.into_iter().map(best).collect())
    }
}

/// Threads that decode.
pub(crate) fn threads(wanted: Option<usize>) -> usize {
    wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// An image as an input, and what was done to it.
pub(crate) struct Prepared {
    pub array: Array,
    pub turned: bool,
    pub note: Option<String>,
}

/// Reads an image and prepares it.
///
/// # Errors
/// Where it cannot be read or brought to the size of the model.
pub(crate) fn prepared(path: &Path, preparing: &Preparing, upright: bool) -> Result<Prepared> {
    let (image, turned) = input::read_image(path, upright)?;
    let array = preparing.array(&image)?;
    Ok(Prepared { array, turned, note: preparing.squeezed(&image) })
}
