//! Findings in words.

use residua_ir::{Finding, Level, Shown};

use super::said;

/// What a finding is about and what it says, in one line.
pub fn headline(finding: &Finding) -> String {
    let node = finding.node.as_ref().map_or_else(String::new, |node| format!("{}: ", node.raw().shown()));
    said(&format!("{node}{}", finding.message.raw()))
}

/// The same with what to do about it.
pub fn in_full(finding: &Finding) -> String {
    match finding.help.raw() {
        "" => headline(finding),
        help => format!("{}\nhelp: {}", headline(finding), said(help)),
    }
}

/// `2 errors, 1 warning`; `no findings` where there are none.
pub fn counted(findings: &[Finding]) -> String {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let parts: Vec<String> = [Level::Error, Level::Warning, Level::Note]
        .into_iter()
        .filter(|&level| count(level) > 0)
        .map(|level| super::plural(count(level), &level.to_string()))
        .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}
