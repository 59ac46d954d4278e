//! Reports to be read: of one model its findings and its verdict below them, of several a verdict each with the
//! findings below it, and a line for all of them.

use std::io::Write;

use anyhow::Result;
use residua::check::{Report, Verdict, verdict};
use residua::ir::Shown;
use residua::render::finding::counted;
use residua::render::{plural, said};

use super::{finding, verification};
use crate::console::Style;

pub(crate) fn write(out: &mut dyn Write, style: Style, reports: &[Report]) -> Result<()> {
    if let [only] = reports {
        details(out, style, only)?;
        return line(out, style, only);
    }
    for report in reports {
        line(out, style, report)?;
        let mut text = Vec::new();
        details(&mut text, style, report)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let indent = if line.is_empty() { "" } else { "      " };
            writeln!(out, "{indent}{line}")?;
        }
    }
    let count = |wanted: Verdict| reports.iter().filter(|report| report.verdict() == wanted).count();
    let (passed, failed, unread) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Error));
    let mut parts = vec![format!("{passed} passed")];
    parts.extend((failed > 0).then(|| format!("{failed} failed")));
    parts.extend((unread > 0).then(|| format!("{unread} could not be checked")));
    writeln!(out, "\n{}  {}: {}", word(verdict(reports), style), plural(reports.len(), "model"), parts.join(", "))?;
    Ok(())
}

fn word(verdict: Verdict, style: Style) -> String {
    match verdict {
        Verdict::Pass => style.good("pass"),
        Verdict::Fail => style.error("fail"),
        Verdict::Error => style.error("error"),
    }
}

/// Verdict, model and counts.
fn line(out: &mut dyn Write, style: Style, report: &Report) -> Result<()> {
    let architecture = report.architecture.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let found = match report.problem {
        Some(_) => "could not be checked".to_owned(),
        None => counted(&report.findings),
    };
    writeln!(out, "{}  {}{architecture}: {found}", word(report.verdict(), style), report.file.shown())?;
    Ok(())
}

fn details(out: &mut dyn Write, style: Style, report: &Report) -> Result<()> {
    finding::list(out, style, &report.findings)?;
    for held in &report.golden {
        writeln!(out, "golden outputs ({}):", held.set.shown())?;
        verification::text(out, style, &held.verification)?;
        writeln!(out)?;
    }
    if let Some(against) = &report.against {
        writeln!(out, "against {}:", against.file.shown())?;
        verification::text(out, style, &against.verification)?;
        writeln!(out)?;
    }
    if let Some(baseline) = &report.baseline {
        known(out, style, report, &baseline.shown().to_string())?;
    }
    Ok(())
}

/// At most so many entries that have no finding any more are listed.
const LISTED: usize = 8;

/// What a baseline hides, and what it need not know any more.
fn known(out: &mut dyn Write, style: Style, report: &Report, baseline: &str) -> Result<()> {
    if !report.known.is_empty() {
        let count = plural(report.known.len(), "known finding");
        writeln!(out, "{}", style.dim(&format!("{count} not listed, accepted in {baseline}")))?;
    }
    if !report.gone.is_empty() {
        let count = plural(report.gone.len(), "accepted finding");
        writeln!(out, "{count} of {baseline} not there any more; --update-baseline forgets them:")?;
        for entry in report.gone.iter().take(LISTED) {
            let node = entry.node.as_ref().map_or_else(String::new, |node| format!("{node}: "));
            writeln!(out, "  {} {}", entry.code.shown(), said(&format!("{node}{}", entry.message)))?;
        }
        if report.gone.len() > LISTED {
            writeln!(out, "  … and {} more", report.gone.len() - LISTED)?;
        }
    }
    Ok(())
}
