//! What a classifier gives for an image: probabilities, or scores that become them by a softmax, told by its last operator.

use residua_exec::Array;
use residua_ir::{Activation, Checked, Op, ValueId};
use serde::Serialize;

use crate::error::{Context, Result, bail, ensure};
use crate::model::Model;

/// What the numbers of an output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// A softmax: they are probabilities.
    Softmax,
    /// The last operator is none of the others: a softmax makes them probabilities.
    Logits,
    /// One number, a sigmoid: the probability of the second of two classes.
    Binary,
    /// Sigmoids, a class each: probabilities that do not depend on each other.
    Sigmoids,
}

/// What a classifier gives for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scores {
    /// What the numbers are.
    pub kind: ScoreKind,
    /// How many classes there are.
    pub classes: usize,
}

impl Scores {
    /// Of the first output of a model.
    ///
    /// # Errors
    /// Where that is no row of numbers, one a class, for each image.
    pub fn of(model: &Model) -> Result<Self> {
        let checked = &model.checked;
        let graph = checked.graph();
        let &output = graph.outputs().first().context("the model has no output")?;
        let name = &graph.value(output).name;
        let shape = checked.shape_of(output).with_context(|| format!("output `{name}` has no shape"))?;
        let expected = || format!("output `{name}` has shape {shape}, expected a row of classes for each image");
        let Some((_, rest)) = shape.dims().split_first() else { bail!("{}", expected()) };
        let sizes: Option<Vec<usize>> = rest.iter().map(residua_ir::Dim::fixed).collect();
        // [N, K], or the same with axes of size 1 around it.
        let sizes = sizes.with_context(expected)?;
        let classes = match sizes.iter().filter(|&&size| size != 1).collect::<Vec<_>>()[..] {
            [] if !sizes.is_empty() => 1,
            [&classes] if classes > 0 => classes,
            _ => bail!("{}: {}", expected(), headless(checked)),
        };
        let kind = kind(checked, output);
        match (kind, classes) {
            (ScoreKind::Sigmoids, 1) => Ok(Self { kind: ScoreKind::Binary, classes: 2 }),
            (_, 1) => bail!("output `{name}` has one number for each image and no sigmoid: that is no classifier"),
            (kind, classes) => Ok(Self { kind, classes }),
        }
    }

    /// The numbers for each of so many images, one a class.
    ///
    /// # Errors
    /// Where there are not as many.
    pub fn rows(self, array: &Array, images: usize) -> Result<Vec<Vec<f64>>> {
        let values = array.to_f64();
        let each = if self.kind == ScoreKind::Binary { 1 } else { self.classes };
        ensure!(
            Some(values.len()) == images.checked_mul(each),
            "the model gave {} numbers for {images} images of {each} scores",
            values.len()
        );
        let row = |row: &[f64]| match (self.kind, row) {
            (ScoreKind::Binary, [second]) => vec![1.0 - second, *second],
            _ => row.to_vec(),
        };
        Ok(values.chunks_exact(each).map(row).collect())
    }

    /// Probabilities of the classes, of their numbers.
    #[must_use]
    pub fn probabilities(self, row: &[f64]) -> Vec<f64> {
        match self.kind {
            ScoreKind::Softmax | ScoreKind::Binary | ScoreKind::Sigmoids => row.to_vec(),
            ScoreKind::Logits => {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = row.iter().map(|score| (score - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| power / sum).collect()
            }
        }
    }
}

/// Whether a value is a softmax or a sigmoid, looking through what only moves elements.
fn kind(model: &Checked, mut value: ValueId) -> ScoreKind {
    let graph = model.graph();
    while let Some(node) = graph.producer(value).map(|node| graph.node(node)) {
        match &node.op {
            Op::Softmax { .. } => return ScoreKind::Softmax,
            Op::Activation(Activation::Sigmoid) => return ScoreKind::Sigmoids,
            Op::Identity(_)
            | Op::Cast { .. }
            | Op::Reshape { .. }
            | Op::Flatten { .. }
            | Op::Squeeze { .. }
            | Op::Unsqueeze { .. } => match node.inputs.first() {
                Some(&before) => value = before,
                None => break,
            },
            _ => break,
        }
    }
    ScoreKind::Logits
}

/// What to do about a network that ends in features.
fn headless(model: &Checked) -> &'static str {
    let maps = model.graph().outputs().first().and_then(|&output| model.shape_of(output)).map(residua_ir::Shape::rank);
    if maps == Some(4) { "these are features, the network has no classifier" } else { "that is no classifier" }
}

/// Classes from the best to the worst, of equal scores the first; [`None`] where a score is infinite or NaN.
#[must_use]
pub fn ranked(row: &[f64], count: usize) -> Option<Vec<usize>> {
    if row.iter().any(|score| !score.is_finite()) {
        return None;
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    let better = |&a: &usize, &b: &usize| row[b].total_cmp(&row[a]).then(a.cmp(&b));
    let count = count.min(order.len());
    if count < order.len() {
        order.select_nth_unstable_by(count, better);
        order.truncate(count);
    }
    order.sort_by(better);
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_probabilities_and_probabilities_stay() {
        let logits = Scores { kind: ScoreKind::Logits, classes: 3 };
        // scipy.special.softmax([1000, 1001, 999])
        let expected = [0.244_728_471_054_797_65, 0.665_240_955_774_821_9, 0.090_030_573_170_380_46];
        let found = logits.probabilities(&[1000.0, 1001.0, 999.0]);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
        let softmax = Scores { kind: ScoreKind::Softmax, classes: 2 };
        assert_eq!(softmax.probabilities(&[0.25, 0.75]), [0.25, 0.75]);
    }

    #[test]
    fn one_sigmoid_is_the_probability_of_the_second_class() {
        let binary = Scores { kind: ScoreKind::Binary, classes: 2 };
        let array = Array::new(vec![2, 1], vec![0.25_f32, 1.0]).unwrap();
        assert_eq!(binary.rows(&array, 2).unwrap(), [[0.75, 0.25], [0.0, 1.0]]);
        assert!(binary.rows(&array, 3).is_err());
    }

    #[test]
    fn of_equal_scores_the_first_class_is_the_best_and_nan_ranks_nothing() {
        assert_eq!(ranked(&[0.1, 0.4, 0.4, 0.1], 3), Some(vec![1, 2, 0]));
        assert_eq!(ranked(&[0.1, 0.4], 5), Some(vec![1, 0]));
        assert_eq!(ranked(&[0.1, f64::NAN], 1), None);
    }
}
