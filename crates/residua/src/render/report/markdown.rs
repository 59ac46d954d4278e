//! Tables for the summary of a job or a comment on a pull request.

use std::io::Write;

use anyhow::Result;
use residua_ir::Level;

use super::super::table::{self, numbers, words};
use super::super::{finding, plural};
use crate::check::{Report, Verdict};
use crate::exit;

/// At most so many findings of a model are listed; summaries have a limit of their own.
const LISTED: usize = 50;

pub(super) fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
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
        let file = escaped(&report.file.display().to_string());
        vec![verdict.to_owned(), file, escaped(architecture), errors, warnings, notes]
    };
    writeln!(out, "### residua check\n")?;
    table::markdown(out, &columns, reports.iter().map(row).collect())?;
    let known: usize = reports.iter().map(|report| report.known.len()).sum();
    if known > 0 {
        writeln!(out, "\n{} not listed, accepted in the baseline.", plural(known, "known finding"))?;
    }
    for report in reports.iter().filter(|report| report.problem.is_some() || !report.findings.is_empty()) {
        writeln!(out, "\n#### {}\n", escaped(&report.file.display().to_string()))?;
        if let Some(problem) = &report.problem {
            writeln!(out, "{}", escaped(&exit::chain(problem).join(": ")))?;
            continue;
        }
        let mut findings: Vec<_> = report.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let rows = findings.iter().take(LISTED).map(|finding| {
            let node = escaped(finding.node.as_deref().unwrap_or_default());
            let code = format!("{} {}", finding.code, finding.name);
            vec![finding.level.to_string(), code, node, escaped(&finding.message)]
        });
        let columns = [words("Level"), words("Finding"), words("Layer"), words("What")];
        table::markdown(out, &columns, rows.collect())?;
        if findings.len() > LISTED {
            writeln!(out, "\n… and {} more.", findings.len() - LISTED)?;
        }
    }
    Ok(())
}

/// What a file says, so that it stays text: what stands between backticks is code, in the rest nothing is markup. Bars are
/// the table's business.
fn escaped(text: &str) -> String {
    let text = finding::printable(text);
    let parts: Vec<&str> = text.split('`').collect();
    // Backticks that are no pairs are text as well.
    if parts.len().is_multiple_of(2) || text.contains("``") {
        return parts.into_iter().map(without_markup).collect::<Vec<_>>().join("\\`");
    }
    let part = |(index, part): (usize, &str)| if index % 2 == 0 { without_markup(part) } else { format!("`{part}`") };
    parts.into_iter().enumerate().map(part).collect()
}

fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' | '_' | '[' | ']' | '\\' | '#' | '!' | '~' | '@' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_stays_text() {
        assert_eq!(escaped("a_b `c_d<` <img> [x](y)"), "a\\_b `c_d<` &lt;img&gt; \\[x\\](y)");
        assert_eq!(escaped("a` <b>"), "a\\` &lt;b&gt;");
        assert_eq!(escaped("``<b>`` `"), "\\`\\`&lt;b&gt;\\`\\` \\`");
    }
}
