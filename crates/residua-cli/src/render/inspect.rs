//! `inspect` as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::ir::Name;
use residua::options::{Choice, Column};
use residua::render::inspect::{Layers, facts, layer_rows};
use residua::render::{blocks, columns, said};
use residua::summary::Summary;

use super::{finding, table};
use crate::console::Style;

/// Width of the keys of the summary.
const KEYS: usize = 15;

fn layer_table(out: &mut dyn Write, style: Style, summary: &Summary, layers: Layers) -> Result<()> {
    let Some(mut shown) = layers.columns(summary) else { return Ok(()) };
    let mut hidden = Vec::new();
    if let (Layers::Usual, Some(width)) = (layers, table::terminal_width()) {
        (shown, hidden) = fitting(summary, shown, width);
    }
    let heads: Vec<residua::render::table::Column> = shown.iter().map(|&column| columns::head(column)).collect();
    writeln!(out)?;
    table::write(out, &heads, layer_rows(summary, &shown))?;
    if !hidden.is_empty() {
        let names: Vec<&str> = hidden.into_iter().map(Choice::name).collect();
        writeln!(
            out,
            "{}",
            style.dim(&format!("without {}, for which there is no room; --columns chooses", names.join(", ")))
        )?;
    }
    Ok(())
}

/// The columns that have room on a terminal of this width, and those that have not.
fn fitting(summary: &Summary, mut shown: Vec<Column>, width: usize) -> (Vec<Column>, Vec<Column>) {
    let mut hidden = Vec::new();
    for column in columns::DISPENSABLE {
        let heads: Vec<residua::render::table::Column> = shown.iter().map(|&column| columns::head(column)).collect();
        if table::width_before_last(&heads, &layer_rows(summary, &shown)) + table::LEAST <= width {
            break;
        }
        if let Some(at) = shown.iter().position(|&other| other == column) {
            hidden.push(shown.remove(at));
        }
    }
    (shown, hidden)
}

/// Writes the summary for reading.
pub(crate) fn text(out: &mut dyn Write, style: Style, summary: &Summary, layers: Layers) -> Result<()> {
    writeln!(out, "{}", style.bold(&Name::from(summary.name).to_string()))?;
    writeln!(out)?;
    for (key, lines) in facts(summary) {
        for (index, line) in lines.iter().enumerate() {
            let line = said(line);
            let line = if key == "security" { style.warning(&line) } else { line };
            let key = if index == 0 { key } else { "" };
            writeln!(out, "{}{line}", style.dim(&format!("{key:KEYS$}")))?;
        }
    }
    if !summary.findings.is_empty() {
        writeln!(out)?;
        finding::list(out, style, &summary.findings)?;
    }
    if !summary.blocks.is_empty() {
        writeln!(out)?;
        table::write(out, &blocks::COLUMNS, summary.blocks.iter().map(blocks::row).collect())?;
    }
    layer_table(out, style, summary, layers)
}
