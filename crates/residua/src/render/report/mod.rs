//! Reports of checks, in each format.

mod github;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::io::Write;

use anyhow::Result;

use crate::args::CheckFormat;
use crate::check::Report;
use crate::console::Style;

/// Writes the reports of all models that were checked.
pub(crate) fn write(out: &mut dyn Write, style: Style, format: CheckFormat, reports: &[Report]) -> Result<()> {
    match format {
        CheckFormat::Text => text::write(out, style, reports),
        CheckFormat::Json => json::write(out, reports),
        CheckFormat::Sarif => sarif::write(out, reports),
        CheckFormat::Junit => junit::write(out, reports),
        CheckFormat::Github => github::write(out, reports),
        CheckFormat::Markdown => markdown::write(out, reports),
    }
}
