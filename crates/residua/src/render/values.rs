//! What a run gave: ranges, first values, best classes.

use std::io::Write;

use anyhow::Result;
use residua_exec::{Array, Data};
use residua_ir::{DType, Shown};
use serde::Serialize;

use super::small;
use super::table::{self, numbers, words};
use crate::console::Style;
use crate::labels::Labels;

/// How many values of an output are shown.
const SHOWN: usize = 8;

/// An output or tap in figures.
#[derive(Debug, Serialize)]
pub(crate) struct Values<'a> {
    name: &'a str,
    /// `output` or `tap`.
    kind: &'static str,
    shape: &'a [usize],
    /// Of the elements as they are written.
    dtype: DType,
    /// Of the finite values; null where there is none.
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    non_finite: usize,
    #[serde(skip)]
    first: Vec<f64>,
    #[serde(skip)]
    more: bool,
}

/// How many values are infinite or no number.
pub(crate) fn non_finite(array: &Array) -> usize {
    match array.data() {
        Data::F32(values) => values.iter().filter(|value| !value.is_finite()).count(),
        Data::F64(values) => values.iter().filter(|value| !value.is_finite()).count(),
    }
}

impl<'a> Values<'a> {
    #[expect(clippy::cast_precision_loss, reason = "a mean of fewer than 2^53 values")]
    pub(crate) fn of(name: &'a str, tap: bool, dtype: DType, array: &'a Array) -> Self {
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
pub(crate) struct Top {
    /// Row of the batch.
    row: usize,
    /// The file that the row comes from, where it is one.
    input: Option<String>,
    class: usize,
    label: Option<String>,
    score: f64,
}

/// The best classes of each row, the best first; of equals the first. NaN is no score.
pub(crate) fn best(array: &Array, classes: usize, count: usize, labels: &Labels, files: &[String]) -> Vec<Top> {
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

/// Writes best classes where they were asked for, outputs where they were not, and taps.
pub(crate) fn text(out: &mut dyn Write, style: Style, values: &[Values], top: Option<&[Top]>) -> Result<()> {
    if let Some(top) = top {
        write_top(out, style, top)?;
    }
    for value in values.iter().filter(|value| top.is_none() || value.kind == "tap") {
        let shape: Vec<String> = value.shape.iter().map(usize::to_string).collect();
        writeln!(out, "{}  {} [{}]", style.bold(&value.name.shown().to_string()), value.dtype, shape.join(", "))?;
        if let (Some(min), Some(max), Some(mean)) = (value.min, value.max, value.mean) {
            writeln!(out, "  min {}, max {}, mean {}", small(min), small(max), small(mean))?;
        }
        if value.non_finite > 0 {
            writeln!(out, "  {}", style.warning(&format!("{} values are infinite or NaN", value.non_finite)))?;
        }
        let first: Vec<String> = value.first.iter().map(|&value| small(value)).collect();
        writeln!(out, "  {}{}", first.join("  "), if value.more { "  …" } else { "" })?;
    }
    Ok(())
}

fn write_top(out: &mut dyn Write, style: Style, top: &[Top]) -> Result<()> {
    let rows = top.last().map_or(0, |last| last.row + 1);
    let with_labels = top.iter().any(|entry| entry.label.is_some());
    for row in 0..rows {
        let of_row: Vec<&Top> = top.iter().filter(|entry| entry.row == row).collect();
        if row > 0 {
            writeln!(out)?;
        }
        match of_row.first().and_then(|entry| entry.input.as_ref()) {
            Some(file) => writeln!(out, "{}", style.bold(&file.shown().to_string()))?,
            None if rows > 1 => writeln!(out, "{}", style.bold(&format!("row {row}")))?,
            None => {}
        }
        let mut columns = vec![numbers("class"), numbers("score")];
        if with_labels {
            columns.push(words("label"));
        }
        let cells = of_row.iter().map(|entry| {
            let mut cells = vec![entry.class.to_string(), format!("{:.6}", entry.score)];
            if with_labels {
                cells.push(entry.label.clone().unwrap_or_default());
            }
            cells
        });
        table::write(out, &columns, cells.collect())?;
    }
    Ok(())
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
