//! Findings as text for a terminal.

use std::io::Write;

use anyhow::Result;
use residua::ir::{Code, Finding, Level, Shown};
use residua::render::said;

use crate::console::Style;

/// At most so many findings of one code are listed one by one in text; the JSON has all.
const LISTED: usize = 8;

/// Messages of more characters are broken into lines.
const LONG: usize = 120;

/// The level in its colour.
fn painted(level: Level, style: Style, text: &str) -> String {
    match level {
        Level::Error => style.error(text),
        Level::Warning => style.warning(text),
        Level::Note => style.dim(text),
    }
}

/// Findings by code, the worst first; what is common to all of a code is said once.
pub(crate) fn list(out: &mut dyn Write, style: Style, findings: &[Finding]) -> Result<()> {
    let mut codes: Vec<(&Code, Level)> = findings.iter().map(|f| (f.code, f.level)).collect();
    codes.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    codes.dedup();
    for (code, level) in codes {
        let of_code: Vec<&Finding> = findings.iter().filter(|f| (f.code, f.level) == (code, level)).collect();
        let head = painted(level, style, &format!("{level} {}", code.id));
        writeln!(out, "{head} {}", style.bold(code.name))?;
        for finding in of_code.iter().take(LISTED) {
            let node = finding.node.as_ref().map(|node| node.raw().shown().to_string());
            let node = node.map_or_else(String::new, |node| format!("{}: ", style.bold(&node)));
            writeln!(out, "  {node}{}", in_lines(&said(finding.message.raw())))?;
        }
        if of_code.len() > LISTED {
            writeln!(out, "  … and {} more; --format json has all of them", of_code.len() - LISTED)?;
        }
        if let Some(first) = of_code.first().filter(|first| !first.help.is_empty()) {
            writeln!(out, "  {} {}", style.dim("help:"), said(first.help.raw()))?;
        }
    }
    Ok(())
}

/// A long message that lists things, a line each.
fn in_lines(message: &str) -> String {
    let parts: Vec<&str> = message.split("; ").collect();
    if message.chars().count() <= LONG || parts.len() < 3 {
        return message.to_owned();
    }
    let mut lines: Vec<String> = parts.iter().take(LISTED).map(|&part| part.to_owned()).collect();
    if parts.len() > LISTED {
        lines.push(format!("… and {} more", parts.len() - LISTED));
    }
    lines.join("\n    ")
}
