//! Exit statuses, and how an error is told.
//!
//! Invariant: an error is printed once, as `error: …` on stderr with its causes below it.

use std::io::Write;
use std::process::ExitCode;

use residua::check::Verdict;
use residua::error::{Error, messages};
use residua::ir::{Finding, Level};

use crate::console::Style;

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything that was asked to hold holds.
    Holds,
    /// The model does not hold.
    Fails,
    /// Something could not be done, and was told.
    Undone,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Holds => ExitCode::SUCCESS,
            Outcome::Fails => ExitCode::from(1),
            Outcome::Undone => could_not(),
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Holds,
            Verdict::Fail => Self::Fails,
            Verdict::Error => Self::Undone,
        }
    }
}

/// The tool could not do it.
pub(crate) fn could_not() -> ExitCode {
    ExitCode::from(2)
}

/// Prints an error and gives the status: a model that does not hold together is not the tool's failure.
pub(crate) fn report(error: &anyhow::Error, style: Style, to: &mut dyn Write) -> ExitCode {
    if let Some(findings) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()?.findings()) {
        report_findings(findings, style, to);
        return Outcome::Fails.into();
    }
    report_chain(error, style, to);
    could_not()
}

/// Prints the errors among findings, with what to do about them.
pub(crate) fn report_findings(findings: &[Finding], style: Style, to: &mut dyn Write) {
    for finding in findings.iter().filter(|finding| finding.level == Level::Error) {
        let node = finding.node.as_ref().map_or_else(String::new, |node| format!("{node}: "));
        let head = style.error(&format!("error {}:", finding.code.id));
        let text = format!("{head} {node}{}\n  {} {}\n", finding.message, style.dim("help:"), finding.help);
        let _ = to.write_all(text.as_bytes());
    }
    let _ = to.flush();
}

/// Prints an error with its causes.
fn report_chain(error: &anyhow::Error, style: Style, to: &mut dyn Write) {
    report_lines(&chain(error), style, to);
}

/// Prints an error and its causes, a line each.
pub(crate) fn report_lines(lines: &[String], style: Style, to: &mut dyn Write) {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let head = if index == 0 { style.error("error:") } else { format!("  {}", style.dim("because:")) };
        text.push_str(&format!("{head} {line}\n"));
    }
    // There is nowhere left to tell that stderr is closed.
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}

/// An error and its causes, as they may be shown.
pub(crate) fn chain(error: &anyhow::Error) -> Vec<String> {
    messages(error.as_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_listed_once() {
        let error = Err::<(), _>(anyhow::anyhow!("unexpected end at byte 512"))
            .context("reading the superblock: unexpected end at byte 512")
            .context("cannot read a.h5")
            .unwrap_err();
        let mut text = Vec::new();
        report_chain(&error, Style::plain(), &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "error: cannot read a.h5\n  because: reading the superblock: unexpected end at byte 512\n"
        );
    }
}
