//! Findings about a model beyond what validation already gives: values of weights, residual topology, left-over tensors.
//!
//! One rule is one file under [`rules`]: its [`Code`], whose explanation is what `residua explain` prints, and its
//! check. A rule only adds findings; it never stops the others. What runtimes can load is data, under [`targets`]. Not
//! here: shapes and operands ([`residua_ir::validate()`]), numbers that come out of a run.
//!
//! ```
//! use residua_ir::{Conv, GraphBuilder, Op, Shape, Tensor, validate};
//! use residua_verify::Subject;
//!
//! let mut graph = GraphBuilder::new("one layer");
//! let image = graph.input("image", Shape::batch(&[3, 32, 32]));
//! let kernel = graph.weight("kernel", Tensor::from_f32(vec![8, 3, 3, 3], &[f32::NAN; 216])?);
//! let map = graph.add("conv", Op::Conv(Conv::default()), &[image, kernel]);
//! graph.output(map);
//! let model = validate(graph.finish()?)?;
//!
//! let anatomy = residua_resnet::analyse(&model);
//! let findings = residua_verify::check(&Subject::new(&model, &anatomy, Some("resnet50")));
//! let names: Vec<&str> = findings.iter().map(|finding| finding.code.name).collect();
//! assert!(names.contains(&"unexpected-architecture") && names.contains(&"non-finite-weight"), "{names:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::wildcard_enum_match_arm, reason = "a new operator must not be misread in silence")]

mod dominant;
pub mod identity;
mod majority;
pub mod manifest;
pub mod numbers;
mod onnx;
pub mod rules;
mod subject;
pub mod targets;
mod wiring;

use residua_ir::validate::UNEQUAL_BRANCHES;
use residua_ir::{Code, Finding, Group};

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
        let same = |other: &Finding| other.code == rules::IDENTITY_CHANGES_SHAPE && other.node == finding.node;
        finding.code != &UNEQUAL_BRANCHES || !found.iter().any(same)
    };
    let mut findings: Vec<Finding> = subject.validation.iter().filter(explained).cloned().collect();
    findings.extend(found);
    findings.extend(subject.onnx_file().map(check_text).unwrap_or_default());
    findings
}

/// Findings about the values of the weights alone; what a conversion asks before it writes.
#[must_use]
pub fn check_values(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |code| code.group == Group::Values)
}

/// Findings about sizes that are declared free and are not.
#[must_use]
pub fn check_free_sizes(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |code| code == rules::FREE_SIZES)
}

/// Findings about what the float type that the weights are to be kept in cannot hold.
#[must_use]
pub fn check_float(subject: &Subject) -> Vec<Finding> {
    check_some(subject, |code| rules::OF_FLOATS.contains(&code))
}

fn check_some(subject: &Subject, wanted: impl Fn(&'static Code) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules::ALL.iter().filter(|rule| wanted(rule.code)) {
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
    codes.extend(identity::CODES);
    codes.extend(numbers::CODES);
    codes.sort_unstable();
    codes
}

/// What has to be asked for before findings of a kind are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskedBy {
    /// Nothing: they are looked for in every model.
    Always,
    /// The architecture that it must be ([`Subject::new`]).
    Expectation,
    /// A narrow float type to keep its weights in ([`Subject::in_dtype`]).
    FloatType,
    /// A runtime that it must run under ([`Subject::for_targets`]).
    Target,
    /// Outputs that it must reproduce.
    Golden,
    /// A model that it must be the same as.
    Reference,
    /// The manifest of its conversion.
    Manifest,
}

impl AskedBy {
    /// For findings of this kind.
    #[must_use]
    pub fn of(code: &'static Code) -> Self {
        match code.group {
            Group::Target => Self::Target,
            Group::Manifest => Self::Manifest,
            Group::Numbers if code == &numbers::GOLDEN => Self::Golden,
            Group::Numbers => Self::Reference,
            Group::Topology if code == rules::EXPECTED => Self::Expectation,
            Group::Values if rules::OF_FLOATS.contains(&code) => Self::FloatType,
            Group::Graph | Group::Topology | Group::Values | Group::OnnxText => Self::Always,
        }
    }
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
    fn ids_show_people_the_group() {
        let hundred = |group: Group| 1 + Group::ALL.iter().position(|&other| other == group).unwrap();
        for code in codes() {
            assert!(code.id.starts_with(&format!("R{}", hundred(code.group))), "{}: {:?}", code.id, code.group);
        }
    }

    #[test]
    fn what_is_asked_for_is_told_by_codes_that_are_there() {
        let asked = |by: AskedBy| -> Vec<&str> {
            codes().into_iter().filter(|code| AskedBy::of(code) == by).map(|code| code.id).collect()
        };
        assert_eq!(asked(AskedBy::Expectation), ["R200"]);
        assert_eq!(asked(AskedBy::FloatType), ["R309", "R310"]);
        assert_eq!((asked(AskedBy::Golden), asked(AskedBy::Reference)), (vec!["R700"], vec!["R701", "R702"]));
        assert_eq!(asked(AskedBy::Manifest).len(), manifest::CODES.len());
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
