//! The report of an evaluation: what is printed, and in JSON what parts of it are merged from.

use serde::Serialize;

use super::found::FoundProtocol;
use super::protocol::Protocol;
use super::statistics::{Share, mcnemar};
use super::tally::{Both, Flip, Mistake, Tally};
use super::{Named, Skipped, State, nothing_read};
use crate::error::Result;
use crate::known::{KnownWeights, Published};

/// How well a class is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its output.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Of what was taken for it, the share that is; null where nothing was.
    pub precision: Option<f64>,
    /// Of what is, the share that was taken for it; null where nothing is.
    pub recall: Option<f64>,
    /// Their harmonic mean; null where neither is anything.
    pub f1: Option<f64>,
    /// Images of it.
    pub support: u64,
}

/// How often the model is right where it is so sure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Confidence above this,
    pub low: f64,
    /// and up to this.
    pub high: f64,
    /// Images of that confidence.
    pub count: u64,
    /// Their mean confidence.
    pub confidence: Option<f64>,
    /// The share that is right.
    pub accuracy: Option<f64>,
}

/// What another model does on the same images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// Its file.
    pub file: String,
    /// How images were prepared for it.
    pub protocol: Protocol,
    /// The share that it gets right.
    pub top1: Share,
    /// The share whose class is among its five best.
    pub top5: Share,
    /// Mean of −ln of the probability of the right class.
    pub loss: Option<f64>,
    /// The share of which both say the same class.
    pub agreement: Share,
    /// Images that the first alone gets right.
    pub only_first: u64,
    /// Images that the other alone gets right.
    pub only_second: u64,
    /// McNemar's exact test of these two counts.
    pub mcnemar_p: f64,
    /// How many images they take for different classes.
    pub flip_count: u64,
    /// These images; the first thousand.
    pub flips: Vec<Flip>,
}

/// The report; the schema is `residua.evaluate/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    schema: &'static str,
    /// The model's file.
    pub file: String,
    /// Its architecture, where that has a name.
    pub architecture: Option<String>,
    /// The published weights that it is, where the caller asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<KnownWeights>,
    /// Numbers that were learned.
    pub parameters: u64,
    /// What the model's numbers are: `softmax`, `logits`, `binary`, `sigmoids`.
    pub scores: String,
    /// Images that were evaluated.
    pub count: u64,
    /// Images that there are, of all parts.
    pub total: u64,
    /// Those that could not be.
    pub skipped: Vec<Skipped>,
    /// The share that it gets right.
    pub top1: Share,
    /// The share whose class is among the five best.
    pub top5: Share,
    /// Mean of −ln of the probability of the right class.
    pub loss: Option<f64>,
    /// How far confidence and accuracy lie apart, over bins of confidence.
    pub ece: f64,
    /// These bins.
    pub calibration: Vec<Calibration>,
    /// How images were prepared.
    pub protocol: Protocol,
    /// Images that are not upright as they are stored.
    pub turned: u64,
    /// How classes of the images became outputs of the model.
    pub classes_by: String,
    /// A row a class of the model.
    pub classes: Vec<ClassFigures>,
    /// Rows true, columns predicted; null for more classes than a matrix is any use for.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// The worst mistakes, the worst first.
    pub mistakes: Vec<Mistake>,
    /// Another model on the same images.
    pub against: Option<Against>,
    /// Protocols that were tried, where one was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find_protocol: Option<FoundProtocol>,
    /// What of all images this is; null where it is all of them.
    pub shards: Option<Vec<String>>,
    /// What this is computed from, to be merged with other parts.
    state: State,
}

/// Classes up to which the matrix is written out.
const MOST_ROWS: usize = 4096;

#[expect(clippy::cast_precision_loss, reason = "counts of images")]
fn share(value: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| value as f64 / of as f64)
}

impl Document {
    /// Of what was counted.
    ///
    /// # Errors
    /// Where nothing was.
    pub(super) fn of(state: State) -> Result<Self> {
        let tally = &state.tally;
        if tally.count == 0 {
            nothing_read(&state.skipped)?;
        }
        let count = state.classes.len();
        let calibration = calibration(tally);
        #[expect(clippy::cast_precision_loss, reason = "counts of images")]
        let gap = |bin: &Calibration| {
            let apart =
                bin.confidence.zip(bin.accuracy).map_or(0.0, |(confidence, accuracy)| (confidence - accuracy).abs());
            apart * bin.count as f64 / tally.count.max(1) as f64
        };
        let confusion = (count <= MOST_ROWS).then(|| {
            let mut rows = vec![vec![0; count]; count];
            for (&(truth, predicted), &images) in &tally.confusion {
                if let Some(cell) = rows.get_mut(truth).and_then(|row| row.get_mut(predicted)) {
                    *cell = images;
                }
            }
            rows
        });
        let shards = (state.shards.len() < state.of)
            .then(|| state.shards.iter().map(|index| format!("{index}/{}", state.of)).collect());
        let Named { file, name, weights, parameters, scores, protocol, .. } = state.model.clone();
        Ok(Self {
            schema: "residua.evaluate/1",
            file,
            architecture: name,
            weights,
            parameters,
            scores,
            count: tally.count,
            total: state.total,
            skipped: state.skipped.clone(),
            top1: Share::of(tally.top1, tally.count),
            top5: Share::of(tally.top5, tally.count),
            loss: tally.mean_loss(),
            ece: calibration.iter().map(gap).sum(),
            calibration,
            protocol,
            turned: state.turned,
            classes_by: state.classes_by.clone(),
            classes: classes(tally, &state.classes),
            confusion,
            mistakes: tally.worst.clone(),
            against: state.against.as_ref().zip(state.both.as_ref()).map(|(named, both)| against(tally, named, both)),
            find_protocol: None,
            shards,
            state,
        })
    }

    /// The name of a class.
    #[must_use]
    pub fn class(&self, index: usize) -> &str {
        self.classes.get(index).map_or("", |class| class.name.as_str())
    }

    /// The cells of timm's `validate.py`, under [`TIMM`].
    #[must_use]
    pub fn timm(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.3}", share * 100.0);
        #[expect(clippy::cast_precision_loss, reason = "millions of parameters")]
        let millions = format!("{:.2}", self.parameters as f64 / 1e6);
        let crop = self.protocol.crop_pct.map(|share| format!("{}", (share * 1000.0).round() / 1000.0));
        vec![
            self.file.clone(),
            percent(self.top1.value),
            percent(1.0 - self.top1.value),
            percent(self.top5.value),
            percent(1.0 - self.top5.value),
            millions,
            self.protocol.size.map(|size| size[0].max(size[1]).to_string()).unwrap_or_default(),
            crop.unwrap_or_default(),
            self.protocol.interpolation.clone(),
        ]
    }

    /// The accuracy that was published for these weights, beside what was found, in a sentence.
    #[must_use]
    pub fn published(&self) -> Option<String> {
        let Published { top1, top5, .. } = self.weights.as_ref()?.published.as_ref()?;
        let within = |share: Share, percent: f64| (share.low * 100.0..=share.high * 100.0).contains(&percent);
        let place = |share: Share, percent: f64| {
            if within(share, percent) { "within the interval" } else { "outside of the interval" }
        };
        Some(format!(
            "top-1 {top1} %, {}; top-5 {top5} %, {}; of all 50,000 images of ImageNet's validation set",
            place(self.top1, *top1),
            place(self.top5, *top5)
        ))
    }

    /// What to do about images that were not turned.
    #[must_use]
    pub fn turned_note(&self) -> Option<String> {
        let what = match self.protocol.orientation.as_str() {
            "exif" => {
                "were turned upright as their EXIF data say, which Keras, torchvision and timm do not do".to_owned()
            }
            _ => {
                "are not upright as they are stored, and were not turned, as in Keras, torchvision and timm".to_owned()
            }
        };
        (self.turned > 0).then(|| format!("{} of {} images {what}", self.turned, self.count))
    }
}

/// The columns of timm's `validate.py`.
pub const TIMM: [&str; 9] =
    ["model", "top1", "top1_err", "top5", "top5_err", "param_count", "img_size", "crop_pct", "interpolation"];

fn calibration(tally: &Tally) -> Vec<Calibration> {
    #[expect(clippy::cast_precision_loss, reason = "counts of images")]
    let of = |(index, bin): (usize, &super::tally::Bin)| Calibration {
        low: index as f64 / super::tally::BINS as f64,
        high: (index + 1) as f64 / super::tally::BINS as f64,
        count: bin.count,
        confidence: (bin.count > 0).then(|| bin.confidence.value() / bin.count as f64),
        accuracy: share(bin.correct, bin.count),
    };
    tally.bins.iter().enumerate().map(of).collect()
}

fn classes(tally: &Tally, names: &[String]) -> Vec<ClassFigures> {
    // For each class: images of it, taken for it, and both.
    let mut counts = vec![(0_u64, 0_u64, 0_u64); names.len()];
    for (&(truth, predicted), &images) in &tally.confusion {
        if let Some(count) = counts.get_mut(truth) {
            count.0 += images;
        }
        if let Some(count) = counts.get_mut(predicted) {
            count.1 += images;
            count.2 += if truth == predicted { images } else { 0 };
        }
    }
    let figures = |(index, (name, (support, taken, both))): (usize, (&String, (u64, u64, u64)))| ClassFigures {
        index,
        name: name.clone(),
        precision: share(both, taken),
        recall: share(both, support),
        f1: share(both.saturating_mul(2), support.saturating_add(taken)),
        support,
    };
    names.iter().zip(counts).enumerate().map(figures).collect()
}

fn against(tally: &Tally, named: &Named, both: &Both) -> Against {
    Against {
        file: named.file.clone(),
        protocol: named.protocol.clone(),
        top1: Share::of(both.other.top1, both.other.count),
        top5: Share::of(both.other.top5, both.other.count),
        loss: both.other.mean_loss(),
        agreement: Share::of(both.agree, tally.count),
        only_first: both.only_first,
        only_second: both.only_second,
        mcnemar_p: mcnemar(both.only_first, both.only_second),
        flip_count: tally.count.saturating_sub(both.agree),
        flips: both.flips.clone(),
    }
}
