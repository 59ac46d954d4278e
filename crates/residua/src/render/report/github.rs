//! Annotations of a GitHub workflow: commands that the runner reads from the log, one a finding, the worst first.
//!
//! The form is `::error file=…,title=…::message`; in properties and messages the characters that would end them are
//! percent-encoded (GitHub Docs, "Workflow commands").

use std::io::Write;

use crate::error::Result;
use residua_ir::name::{printable, printable_lines};
use residua_ir::{Level, Shown};

use super::super::finding;
use crate::check::{Report, Verdict};
use crate::error::messages;
use crate::paths;

/// Writes an annotation a finding.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
    let mut annotations: Vec<(Level, String)> = Vec::new();
    for report in reports {
        let file = paths::in_repository(&report.file);
        if let Some(problem) = &report.problem {
            let text = command(Level::Error, &file, "could not be checked", &messages(problem).join("\n"));
            annotations.push((Level::Error, text));
        }
        annotations.extend(report.findings.iter().map(|found| {
            let title = format!("{} {}", found.code.id, found.code.name);
            (found.level, command(found.level, &file, &title, &finding::in_full(found)))
        }));
    }
    // GitHub shows the first ten of a step.
    annotations.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    for (_, text) in annotations {
        writeln!(out, "{text}")?;
    }
    for report in reports {
        let verdict = match report.verdict() {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Error => "error",
        };
        let file = report.file.shown();
        writeln!(out, "{verdict}  {file}: {}", finding::counted(&report.findings))?;
    }
    Ok(())
}

fn command(level: Level, file: &str, title: &str, message: &str) -> String {
    let name = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    format!("::{name} file={},title={}::{}", property(file), property(title), data(message))
}

/// A message, of lines of ours.
fn data(text: &str) -> String {
    encoded(&printable_lines(text, &[]))
}

/// A property, which is one line.
fn property(text: &str) -> String {
    encoded(&printable(text)).replace(':', "%3A").replace(',', "%2C")
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_file_says_ends_a_command_or_begins_another() {
        let text = command(Level::Warning, "a,b:c.onnx", "R301: x", "100%\n::error::owned\r\n");
        assert_eq!(text, "::warning file=a%2Cb%3Ac.onnx,title=R301%3A x::100%25%0A\\u{3a}:error::owned\\r%0A");
    }
}
