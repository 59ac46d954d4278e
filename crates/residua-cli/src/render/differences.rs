//! The difference of two models as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::diff::Differences;
use residua::ir::Shown;
use residua::render::differences::{LISTED, parts, summary};

use super::table;
use crate::console::Style;

/// Writes what differs, to be read.
pub(crate) fn text(out: &mut dyn Write, style: Style, differences: &Differences) -> Result<()> {
    if differences.verdict == "same" {
        writeln!(out, "{}  {}", style.good("same"), summary(differences))?;
        return Ok(());
    }
    writeln!(out, "{}  A is {}, B is {}", style.error("different"), differences.a.shown(), differences.b.shown())?;
    for part in parts(differences).into_iter().filter(|part| !part.rows.is_empty()) {
        writeln!(out)?;
        if !part.title.is_empty() {
            writeln!(out, "{}", style.bold(&format!("{} ({})", part.title, part.rows.len())))?;
        }
        let more = part.more();
        table::write(out, &part.columns, part.rows.into_iter().take(LISTED).collect())?;
        if let Some(more) = more {
            writeln!(out, "… and {more} more; --format json has all of them")?;
        }
    }
    writeln!(out, "\n{}.", summary(differences))?;
    Ok(())
}
