//! Tables for the summary of a job or a comment on a pull request.

use std::io::Write;

use crate::error::Result;
use residua_ir::{Level, Name};

use super::super::table::{self, numbers, words};
use super::super::{markdown, plural};
use crate::check::{Report, Verdict};
use crate::error::messages;

/// At most so many findings of a model are listed; summaries have a limit of their own.
const LISTED: usize = 50;

/// Writes a table of the models, and one of the findings of each.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
    let columns = [
        words("Verdict"),
        words("Model"),
        words("Architecture"),
        numbers("Errors"),
        numbers("Warnings"),
        numbers("Notes"),
    ];
    let row = |report: &Report| {
        let verdict = match report.verdict() {
            Verdict::Pass => "✅ pass",
            Verdict::Fail => "❌ fail",
            Verdict::Error => "⛔ error",
        };
        let architecture = report.architecture.as_deref().unwrap_or_default();
        let count = |level| report.count(level).to_string();
        let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
        let file = markdown::report(&report.file.to_string_lossy());
        let [verdict, errors, warnings, notes] = [verdict, &errors, &warnings, &notes].map(markdown::text);
        vec![verdict, file, markdown::report(architecture), errors, warnings, notes]
    };
    writeln!(out, "### residua check\n")?;
    table::markdown(out, &columns, reports.iter().map(row).collect())?;
    let known: usize = reports.iter().map(|report| report.known.len()).sum();
    if known > 0 {
        writeln!(out, "\n{} not listed, accepted in the baseline.", plural(known, "known finding"))?;
    }
    for report in reports.iter().filter(|report| report.problem.is_some() || !report.findings.is_empty()) {
        writeln!(out, "\n#### {}\n", markdown::report(&report.file.to_string_lossy()))?;
        if let Some(problem) = &report.problem {
            writeln!(out, "{}", markdown::report(&messages(problem).join(": ")))?;
            continue;
        }
        let mut findings: Vec<_> = report.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let rows = findings.iter().take(LISTED).map(|finding| {
            let node = markdown::report(finding.node.as_ref().map_or("", Name::raw));
            let code = markdown::text(&format!("{} {}", finding.code.id, finding.code.name));
            vec![markdown::text(&finding.level.to_string()), code, node, markdown::report(finding.message.raw())]
        });
        let columns = [words("Level"), words("Finding"), words("Layer"), words("What")];
        table::markdown(out, &columns, rows.collect())?;
        if findings.len() > LISTED {
            writeln!(out, "\n… and {} more.", findings.len() - LISTED)?;
        }
    }
    Ok(())
}
