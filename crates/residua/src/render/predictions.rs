//! Predictions as they come: JSON and CSV that are written image by image, so that none has to be kept.

use std::io::Write;

use crate::error::Result;
use crate::predict::{Best, Predicted, Predictions, Predictor};

use super::json::{entry, value};
use super::table;

/// Writes one JSON document, `residua.predict/1`, an image at a time.
pub struct Json<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl<'a> Json<'a> {
    /// Begins the document.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn begin(out: &'a mut dyn Write, predictor: &Predictor) -> Result<Self> {
        write!(out, "{{\n  \"schema\": \"residua.predict/1\"")?;
        let model = predictor.model();
        entry(out, "model", &model.path().to_string_lossy())?;
        entry(out, "scores", &predictor.kind())?;
        entry(out, "preparation", predictor.preparation())?;
        entry(out, "upright", &predictor.upright())?;
        entry(out, "notes", &predictor.notes())?;
        entry(out, "source_notes", &model.told())?;
        write!(out, ",\n  \"pictures\": [")?;
        Ok(Self { out, first: true })
    }

    /// Writes an image.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn image(&mut self, image: &Predicted) -> Result<()> {
        let before = if self.first { "\n    " } else { ",\n    " };
        self.first = false;
        write!(self.out, "{before}")?;
        value(self.out, image, "    ")
    }

    /// Ends the document.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn end(self, all: &Predictions) -> Result<()> {
        write!(self.out, "{}]", if self.first { "" } else { "\n  " })?;
        entry(self.out, "count", &all.count)?;
        entry(self.out, "failed", &all.failed)?;
        entry(self.out, "turned", &all.turned)?;
        writeln!(self.out, "\n}}")?;
        Ok(())
    }
}

/// The columns of CSV: a row for each class of an image, one without a class for an image that could not be read.
const COLUMNS: [&str; 7] = ["file", "rank", "class", "label", "score", "probability", "error"];

/// Writes the head of CSV.
///
/// # Errors
/// Those of the writer.
pub fn csv_head(out: &mut dyn Write) -> Result<()> {
    Ok(table::csv(out, &COLUMNS, &[])?)
}

/// Writes the rows of an image.
///
/// # Errors
/// Those of the writer.
pub fn csv_image(out: &mut dyn Write, image: &Predicted) -> Result<()> {
    let file = || image.file.to_string_lossy().into_owned();
    let row = |(rank, best): (usize, &Best)| {
        let label = best.label.clone().unwrap_or_default();
        let numbers = [best.score.to_string(), best.probability.to_string()];
        let [score, probability] = numbers;
        vec![file(), (rank + 1).to_string(), best.class.to_string(), label, score, probability, String::new()]
    };
    let mut rows: Vec<Vec<String>> = image.top.iter().enumerate().map(row).collect();
    if let Some(error) = &image.error {
        let mut row = vec![String::new(); COLUMNS.len()];
        (row[0], row[6]) = (file(), error.clone());
        rows.push(row);
    }
    Ok(table::csv_rows(out, &rows)?)
}
