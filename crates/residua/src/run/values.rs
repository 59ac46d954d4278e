//! What a run gave, in figures: ranges, first values, best classes.

use residua_exec::{Array, Data};
use residua_ir::DType;
use serde::Serialize;

use crate::labels::Labels;

/// How many values of an output are shown.
const SHOWN: usize = 8;

/// An output or tap in figures.
#[derive(Debug, Serialize)]
pub struct Values<'a> {
    /// Of the output, or of the tap.
    pub name: &'a str,
    /// `output` or `tap`.
    pub kind: &'static str,
    /// In the axis order of the source.
    pub shape: &'a [usize],
    /// Of the elements as they are written.
    pub dtype: DType,
    /// Of the finite values; null where there is none.
    pub min: Option<f64>,
    /// The same, the largest.
    pub max: Option<f64>,
    /// The same, their mean.
    pub mean: Option<f64>,
    /// How many values are infinite or NaN.
    pub non_finite: usize,
    /// The first values.
    #[serde(skip)]
    pub first: Vec<f64>,
    /// Whether there are more.
    #[serde(skip)]
    pub more: bool,
}

/// How many values are infinite or no number.
pub fn non_finite(array: &Array) -> usize {
    match array.data() {
        Data::F32(values) => values.iter().filter(|value| !value.is_finite()).count(),
        Data::F64(values) => values.iter().filter(|value| !value.is_finite()).count(),
    }
}

impl<'a> Values<'a> {
    /// Of a result.
    #[expect(clippy::cast_precision_loss, reason = "a mean of fewer than 2^53 values")]
    pub fn of(name: &'a str, tap: bool, dtype: DType, array: &'a Array) -> Self {
        let values = array.to_f64();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let count = finite().count();
        Self {
            name,
            kind: if tap { "tap" } else { "output" },
            shape: array.shape(),
            dtype,
            min: finite().reduce(f64::min),
            max: finite().reduce(f64::max),
            mean: (count > 0).then(|| finite().sum::<f64>() / count as f64),
            non_finite: values.len() - count,
            more: values.len() > SHOWN,
            first: values.into_iter().take(SHOWN).collect(),
        }
    }
}

/// One of the best classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Top {
    /// Row of the batch.
    pub row: usize,
    /// The file that the row comes from, where it is one.
    pub input: Option<String>,
    /// Its index.
    pub class: usize,
    /// Its name, where there are names.
    pub label: Option<String>,
    /// What the output has for it.
    pub score: f64,
}

/// The best classes of each row, the best first; of equals the first. NaN is no score.
pub fn best(array: &Array, classes: usize, count: usize, labels: &Labels, files: &[String]) -> Vec<Top> {
    let values = array.to_f64();
    let mut top = Vec::new();
    for (row, scores) in values.chunks_exact(classes).enumerate() {
        let mut order: Vec<usize> = (0..classes).filter(|&class| !scores[class].is_nan()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        top.extend(order.into_iter().take(count).map(|class| Top {
            row,
            input: files.get(row).cloned(),
            class,
            label: labels.get(class).map(str::to_owned),
            score: scores[class],
        }));
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_classes_are_ordered_and_nan_is_none_of_them() {
        let array = Array::new(vec![2, 3], vec![0.1f32, 0.7, 0.2, f32::NAN, 0.5, 0.5]).unwrap();
        let top = best(&array, 3, 2, &Labels::standard(3), &["a.png".to_owned(), "b.png".to_owned()]);
        let found: Vec<(usize, usize)> = top.iter().map(|entry| (entry.row, entry.class)).collect();
        assert_eq!(found, [(0, 1), (0, 2), (1, 1), (1, 2)]);
        assert_eq!(top[2].input.as_deref(), Some("b.png"));
    }
}
