//! What is counted over images, so that parts that were counted apart come to the very numbers of one run.
//!
//! Losses and probabilities are summed in whole steps of 2⁻⁴⁰, which no order of summing changes. What is listed by name is
//! kept by its place among all images, the first or the worst so many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::truth::Labelled;
use crate::scores::{ScoreKind, Scores};

/// Steps of a sum in one.
const STEPS: f64 = (1_u64 << 40) as f64;
/// Mistakes that are listed.
pub(super) const WORST: usize = 50;
/// Images that are listed where two models differ.
pub(super) const MOST_FLIPS: usize = 1000;
/// Bins of confidence.
pub(super) const BINS: usize = 15;
/// The same as a number.
const BIN_COUNT: f64 = 15.0;
/// The least probability that a loss is taken of where the model gives probabilities: Keras's epsilon.
const LEAST: f64 = 1e-7;

/// A sum in steps of 2⁻⁴⁰.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Exact(u128);

impl Exact {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    fn add(&mut self, value: f64) {
        self.0 = self.0.saturating_add((value.max(0.0) * STEPS).round() as u128);
    }

    fn join(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    pub(super) fn value(self) -> f64 {
        self.0 as f64 / STEPS
    }
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a model says of an image whose class is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The class that it is.
    pub truth: usize,
    /// The best class, of equals the first.
    pub predicted: usize,
    /// How many classes are better than the right one.
    pub rank: usize,
    /// Probability of the best class.
    pub confidence: f64,
    /// −ln of the right one's; [`None`] where the model's numbers are no distribution.
    pub loss: Option<f64>,
}

impl Judged {
    /// Of the scores of an image; [`None`] where one is infinite or NaN.
    #[must_use]
    pub fn of(scores: Scores, row: &[f64], truth: usize) -> Option<Self> {
        let &right = row.get(truth)?;
        if row.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let better =
            |&(class, &score): &(usize, &f64)| score > right || (score.to_bits() == right.to_bits() && class < truth);
        let rank = row.iter().enumerate().filter(better).count();
        let first = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
        let predicted = (1..row.len()).fold(0, first);
        let (confidence, loss) = match scores.kind {
            ScoreKind::Softmax | ScoreKind::Binary => {
                let sum: f64 = row.iter().sum();
                let probability = (right / sum).clamp(LEAST, 1.0 - LEAST);
                (row[predicted], Some(-probability.ln()))
            }
            ScoreKind::Sigmoids => (row[predicted], None),
            ScoreKind::Logits => {
                let most = row[predicted];
                let sum: f64 = row.iter().map(|score| (score - most).exp()).sum();
                (1.0 / sum, Some(sum.ln() - (right - most)))
            }
        };
        Some(Self { truth, predicted, rank, confidence, loss })
    }
}

/// One of the bins of confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bin {
    pub(super) count: u64,
    pub(super) correct: u64,
    pub(super) confidence: Exact,
}

/// An image that the model takes for something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its place among all images.
    pub index: u64,
    /// The file.
    pub file: String,
    /// Its class.
    pub truth: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// How probable that is to the model.
    pub confidence: f64,
    /// −ln of the probability of the right class.
    pub loss: Option<f64>,
}

/// What was counted of one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) top1: u64,
    pub(super) top5: u64,
    pub(super) loss: Exact,
    /// Images that have a loss.
    pub(super) losses: u64,
    /// How often a class was taken for another, or for itself: true, predicted, count.
    #[serde(with = "cells")]
    pub(super) confusion: BTreeMap<(usize, usize), u64>,
    pub(super) bins: [Bin; BINS],
    pub(super) worst: Vec<Mistake>,
}

/// A matrix that is mostly empty, as a list of its cells.
mod cells {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Cells = BTreeMap<(usize, usize), u64>;

    pub(super) fn serialize<S: Serializer>(cells: &Cells, serializer: S) -> Result<S::Ok, S::Error> {
        let list: Vec<(usize, usize, u64)> =
            cells.iter().map(|(&(row, column), &count)| (row, column, count)).collect();
        list.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cells, D::Error> {
        let list: Vec<(usize, usize, u64)> = Vec::deserialize(deserializer)?;
        Ok(list.into_iter().map(|(row, column, count)| ((row, column), count)).collect())
    }
}

impl Tally {
    /// Counts an image.
    pub(super) fn add(&mut self, index: u64, image: &Labelled, judged: &Judged) {
        self.count += 1;
        self.top1 += u64::from(judged.rank == 0);
        self.top5 += u64::from(judged.rank < 5);
        if let Some(loss) = judged.loss {
            self.losses += 1;
            self.loss.add(loss);
        }
        *self.confusion.entry((judged.truth, judged.predicted)).or_default() += 1;
        let bin = &mut self.bins[bin(judged.confidence)];
        bin.count += 1;
        bin.correct += u64::from(judged.rank == 0);
        bin.confidence.add(judged.confidence);
        if judged.rank > 0 {
            self.worst.push(Mistake {
                index,
                file: image.file.to_string_lossy().into_owned(),
                truth: judged.truth,
                predicted: judged.predicted,
                confidence: judged.confidence,
                loss: judged.loss,
            });
            if self.worst.len() >= 4 * WORST {
                keep_worst(&mut self.worst);
            }
        }
    }

    /// Adds what was counted of other images.
    pub(super) fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.top1 = self.top1.saturating_add(other.top1);
        self.top5 = self.top5.saturating_add(other.top5);
        self.loss.join(other.loss);
        self.losses = self.losses.saturating_add(other.losses);
        for (cell, count) in other.confusion {
            let sum = self.confusion.entry(cell).or_default();
            *sum = sum.saturating_add(count);
        }
        for (bin, other) in self.bins.iter_mut().zip(other.bins) {
            bin.count = bin.count.saturating_add(other.count);
            bin.correct = bin.correct.saturating_add(other.correct);
            bin.confidence.join(other.confidence);
        }
        self.worst.extend(other.worst);
    }

    /// Mean of −ln of the probability of the right class.
    #[expect(clippy::cast_precision_loss, reason = "counts of images")]
    pub(super) fn mean_loss(&self) -> Option<f64> {
        (self.losses > 0).then(|| self.loss.value() / self.losses as f64)
    }

    /// The worst mistakes alone.
    pub(super) fn settle(&mut self) {
        keep_worst(&mut self.worst);
    }
}

/// The bin of a probability: each holds its upper end.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
fn bin(confidence: f64) -> usize {
    let upper = (confidence * BIN_COUNT).ceil();
    (upper as usize).clamp(1, BINS) - 1
}

fn keep_worst(worst: &mut Vec<Mistake>) {
    let loss = |mistake: &Mistake| mistake.loss.unwrap_or(mistake.confidence);
    worst.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then(a.index.cmp(&b.index)));
    worst.truncate(WORST);
}

/// An image of which two models say something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// Its place among all images.
    pub index: u64,
    /// The file.
    pub file: String,
    /// Its class.
    pub truth: usize,
    /// What the first model takes it for.
    pub predicted: usize,
    /// What the other takes it for.
    pub against: usize,
}

/// What was counted of two models on the same images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Both {
    /// Images of which both say the same.
    pub(super) agree: u64,
    /// Right in the first model alone.
    pub(super) only_first: u64,
    /// Right in the other alone.
    pub(super) only_second: u64,
    pub(super) other: Tally,
    /// The first images of which they do not.
    pub(super) flips: Vec<Flip>,
}

impl Both {
    pub(super) fn add(&mut self, index: u64, image: &Labelled, first: &Judged, second: &Judged) {
        self.other.add(index, image, second);
        self.only_first += u64::from(first.rank == 0 && second.rank > 0);
        self.only_second += u64::from(first.rank > 0 && second.rank == 0);
        if first.predicted == second.predicted {
            self.agree += 1;
        } else if self.flips.len() < MOST_FLIPS {
            self.flips.push(Flip {
                index,
                file: image.file.to_string_lossy().into_owned(),
                truth: first.truth,
                predicted: first.predicted,
                against: second.predicted,
            });
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.agree = self.agree.saturating_add(other.agree);
        self.only_first = self.only_first.saturating_add(other.only_first);
        self.only_second = self.only_second.saturating_add(other.only_second);
        self.other.join(other.other);
        self.flips.extend(other.flips);
    }

    pub(super) fn settle(&mut self) {
        self.other.settle();
        self.flips.sort_by_key(|flip| flip.index);
        self.flips.truncate(MOST_FLIPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_their_order() {
        let values: Vec<f64> = (1..2000).map(|i| f64::from(i).sqrt() * 1e-3 + 1.0 / f64::from(i)).collect();
        let sum = |values: &mut dyn Iterator<Item = &f64>| {
            let mut sum = Exact::default();
            values.for_each(|&value| sum.add(value));
            sum
        };
        let (forth, back) = (sum(&mut values.iter()), sum(&mut values.iter().rev()));
        assert_eq!(forth, back);
        assert!((forth.value() - values.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn a_rank_counts_better_classes_and_equal_ones_before() {
        let scores = Scores { kind: ScoreKind::Logits, classes: 4 };
        let judged = |truth| Judged::of(scores, &[1.0, 3.0, 3.0, 0.0], truth).unwrap();
        assert_eq!([0, 1, 2, 3].map(|truth| judged(truth).rank), [2, 0, 1, 3]);
        assert_eq!(judged(3).predicted, 1);
        // scipy.special.log_softmax([1, 3, 3, 0])[0]
        assert!((judged(0).loss.unwrap() - 2.781_671_823_137_482_4).abs() < 1e-12, "{:?}", judged(0));
        assert!(Judged::of(scores, &[1.0, f64::NAN, 0.0, 0.0], 0).is_none());
        assert!(Judged::of(scores, &[1.0], 1).is_none());
    }

    #[test]
    fn a_probability_of_nothing_costs_what_it_costs_in_keras() {
        let scores = Scores { kind: ScoreKind::Softmax, classes: 2 };
        let judged = Judged::of(scores, &[1.0, 0.0], 1).unwrap();
        // -ln(1e-7)
        assert!((judged.loss.unwrap() - 16.118_095_650_958_32).abs() < 1e-12);
    }

    #[test]
    fn bins_hold_their_upper_end() {
        let fifteenth = 1.0 / 15.0;
        assert_eq!([0.0, fifteenth, fifteenth + 1e-9, 0.999, 1.0].map(bin), [0, 0, 1, 14, 14]);
    }
}
