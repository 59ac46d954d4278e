//! Findings about a model beyond what validation already gives: values of weights, residual topology, left-over tensors.
//!
//! One rule is one file under [`rules`]: its [`Code`], whose explanation is what `residua explain` prints, and its
//! check. A rule only adds findings; it never stops the others. What runtimes can load is data, under [`targets`]. Not
//! here: shapes and operands ([`residua_ir::validate()`]), numbers that come out of a run.

#![deny(clippy::wildcard_enum_match_arm, reason = "a new operator must not be misread in silence")]

mod dominant;
pub mod manifest;
pub mod numbers;
mod onnx;
pub mod rules;
mod subject;
pub mod targets;
mod wiring;

use residua_ir::{Code, Finding};

pub use onnx::OnnxText;
pub use subject::Subject;

/// One rule.
pub struct Rule {
    /// What its findings carry.
    pub code: &'static Code,
    /// Adds what it finds.
    pub check: fn(&Subject, &mut Vec<Finding>),
}

/// One rule about the text of an ONNX file, which needs no model that can be read.
pub struct TextRule {
    /// What its findings carry.
    pub code: &'static Code,
    /// Adds what it finds.
    pub check: fn(&OnnxText, &mut Vec<Finding>),
}

/// Findings about the text of an ONNX file alone, in the order of their codes.
#[must_use]
pub fn check_text(text: &OnnxText) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules::OF_TEXT {
        (rule.check)(text, &mut findings);
    }
    findings
}

/// All findings about a model: validation's, then each rule's, in the order of their codes.
#[must_use]
pub fn check(subject: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules::ALL {
        (rule.check)(subject, &mut found);
    }
    // What the rules know the cause of is not said in general terms as well.
    let explained = |finding: &&Finding| {
        let same = |other: &Finding| other.code.id == "R207" && other.node == finding.node;
        finding.code.id != "R108" || !found.iter().any(same)
    };
    let mut findings: Vec<Finding> = subject.validation.iter().filter(explained).cloned().collect();
    findings.extend(found);
    findings.extend(subject.onnx_file().map(check_text).unwrap_or_default());
    findings
}

/// Findings about the values of the weights alone; what a conversion asks before it writes.
#[must_use]
pub fn check_values(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |id| id.starts_with("R3"))
}

/// Findings about sizes that are declared free and are not.
#[must_use]
pub fn check_free_sizes(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |id| id == "R114")
}

/// Findings about what the float type that the weights are to be kept in cannot hold.
#[must_use]
pub fn check_float(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |id| rules::OF_FLOATS.iter().any(|code| code.id == id))
}

fn check_some(subject: &Subject, wanted: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules::ALL.iter().filter(|rule| wanted(rule.code.id)) {
        (rule.check)(subject, &mut findings);
    }
    findings
}

/// Every code there is, ascending.
#[must_use]
pub fn codes() -> Vec<&'static Code> {
    let mut codes: Vec<&'static Code> = residua_ir::validate::CODES.to_vec();
    codes.extend(residua_ir::faults::CODES);
    codes.extend(rules::ALL.iter().map(|rule| rule.code));
    codes.extend(rules::OF_TEXT.iter().map(|rule| rule.code));
    codes.extend(manifest::CODES);
    codes.extend(numbers::CODES);
    codes.sort_by_key(|code| code.id);
    codes
}

/// The code of this id or name, in any case.
#[must_use]
pub fn code(id: &str) -> Option<&'static Code> {
    codes().into_iter().find(|code| code.id.eq_ignore_ascii_case(id) || code.name.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_what_it_means_why_it_matters_and_how_to_fix_it() {
        for code in codes() {
            let text = code.explanation();
            let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
            assert_eq!(headings, ["## Why it matters", "## Example", "## How to fix it"], "{}", code.id);
            let parts: Vec<&str> = text.split("## ").collect();
            assert!(parts.iter().all(|part| part.lines().count() > 1 || *part == parts[0]), "{}: {text}", code.id);
            assert!(code.summary().ends_with('.') && code.summary().len() > 20, "{}: {}", code.id, code.summary());
        }
    }

    #[test]
    fn a_code_and_a_name_are_used_once() {
        let (mut ids, mut names): (Vec<_>, Vec<_>) = codes().iter().map(|code| (code.id, code.name)).unzip();
        let count = ids.len();
        names.sort_unstable();
        ids.dedup();
        names.dedup();
        assert_eq!((ids.len(), names.len()), (count, count));
    }
}
