//! What a run gave, as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::ir::Shown;
use residua::render::small;
use residua::render::table::{numbers, words};
use residua::run::{Top, Values};

use super::table;
use crate::console::Style;

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
