//! Findings as scripts see them, and in words.

use residua_ir::{Finding, Level, Shown};
use serde::Serialize;

use super::said;

/// A finding as scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct FindingRecord {
    /// The id of its code.
    pub code: &'static str,
    /// The name of its code.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, and what was expected.
    pub message: String,
    /// The layer that it is about.
    pub node: Option<String>,
    /// The tensor that it is about.
    pub tensor: Option<String>,
    /// What to do about it.
    pub help: String,
}

impl From<&Finding> for FindingRecord {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.id,
            name: finding.code.name,
            level: finding.level,
            message: finding.message.clone().into_raw(),
            node: finding.node.as_ref().map(|node| node.raw().to_owned()),
            tensor: finding.tensor.as_ref().map(|tensor| tensor.raw().to_owned()),
            help: finding.help.clone().into_raw(),
        }
    }
}

/// What a finding is about and what it says, in one line.
pub fn headline(finding: &FindingRecord) -> String {
    let node = finding.node.as_ref().map_or_else(String::new, |node| format!("{}: ", node.shown()));
    said(&format!("{node}{}", finding.message))
}

/// The same with what to do about it.
pub fn in_full(finding: &FindingRecord) -> String {
    match finding.help.as_str() {
        "" => headline(finding),
        help => format!("{}\nhelp: {}", headline(finding), said(help)),
    }
}

/// `2 errors, 1 warning`; `no findings` where there are none.
pub fn counted(findings: &[FindingRecord]) -> String {
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let parts: Vec<String> = [Level::Error, Level::Warning, Level::Note]
        .into_iter()
        .filter(|&level| count(level) > 0)
        .map(|level| super::plural(count(level), &level.to_string()))
        .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}
