//! What came of replaying a manifest, as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::check::{Report, Verdict};
use residua::ir::{Finding, Name, Shown};
use residua::manifest::Held;
use residua::render::finding::counted;
use residua::render::plural;
use residua::render::table::words;

use super::table;
use crate::console::Style;

/// Writes what came of it.
pub(crate) fn text(out: &mut dyn Write, style: Style, held: &Held, report: &Report) -> Result<()> {
    let findings = &report.findings;
    if !findings.is_empty() {
        let columns = [words("code"), words("level"), words("tensor"), words("what")];
        let row = |found: &Finding| {
            let node = found.node.as_ref().map_or("", Name::raw).to_owned();
            let message = found.message.raw().to_owned();
            vec![found.code.id.to_owned(), found.level.to_string(), node, message]
        };
        table::write(out, &columns, findings.iter().map(row).collect())?;
        writeln!(out)?;
    }
    let holds = report.verdict() == Verdict::Pass;
    let verdict = if holds { style.good("pass") } else { style.error("fail") };
    let (source, output) = (held.source().shown(), held.output().shown());
    writeln!(out, "{verdict}  {source} → {output}: {}", counted(findings))?;
    let (repeated, by_hash) = (held.repeated(), held.by_hash());
    writeln!(out, "      {} made again from the source, and the same", plural(repeated, "tensor"))?;
    if by_hash > 0 {
        writeln!(out, "      {by_hash} computed or left out by the source, compared by hash alone")?;
    }
    Ok(())
}
