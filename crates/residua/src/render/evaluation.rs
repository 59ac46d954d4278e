//! An evaluation as CSV: timm's row, and a row for each image.

use std::io::Write;

use super::table;
use crate::error::Result;
use crate::evaluate::{Document, ROW, Row, TIMM};

/// Writes the row that timm's `validate.py` writes, under its head.
///
/// # Errors
/// Those of the writer.
pub fn csv(out: &mut dyn Write, document: &Document) -> Result<()> {
    Ok(table::csv(out, &TIMM, &[document.timm()])?)
}

/// Writes the head of a table with a row for each image.
///
/// # Errors
/// Those of the writer.
pub fn csv_head(out: &mut dyn Write) -> Result<()> {
    Ok(table::csv(out, &ROW, &[])?)
}

/// Writes the row of an image.
///
/// # Errors
/// Those of the writer.
pub fn csv_row(out: &mut dyn Write, row: &Row) -> Result<()> {
    Ok(table::csv_rows(out, &[row.cells()])?)
}
