//! Checking models: what is asked of each, what was found out, and whether that is good enough.
//!
//! [`examine`] gives a [`Report`] a model, whatever happens: a model that cannot be read has one too. Renderers
//! (`render::report`) print reports and decide nothing.

mod against;
mod baseline;
mod config;
mod examine;
mod fingerprint;
mod settings;

use std::path::PathBuf;

use residua_ir::{Code, Level};
use serde::Serialize;

use crate::args::FailOn;
use crate::exit::Outcome;
use crate::proof::Verification;
use crate::render::FindingRecord;

pub(crate) use baseline::{Baseline, Entry};
pub(crate) use config::Configs;
pub(crate) use examine::{examine, hold_golden, of_manifest};
pub(crate) use fingerprint::fingerprint;
pub(crate) use settings::Settings;

/// What came of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Nothing that fails it.
    Pass,
    /// A finding that fails it.
    Fail,
    /// It could not be checked.
    Error,
}

/// A model against one set of golden outputs.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// The file or folder that holds the set.
    pub(crate) set: String,
    #[serde(flatten)]
    pub(crate) verification: Verification,
}

/// A model against a reference.
#[derive(Debug, Serialize)]
pub(crate) struct Against {
    /// The reference.
    pub(crate) file: String,
    /// In what it is built otherwise, a sentence each.
    pub(crate) structure: Vec<String>,
    #[serde(flatten)]
    pub(crate) verification: Verification,
}

/// What was found out about one model.
#[derive(Debug)]
pub(crate) struct Report {
    /// Where the model is, as the user named it.
    pub(crate) file: PathBuf,
    /// What it is called, where it is known.
    pub(crate) architecture: Option<String>,
    /// How it was told, and what was taken where the file leaves it open.
    pub(crate) told: Vec<String>,
    /// Findings, at the levels that the user wants.
    pub(crate) findings: Vec<FindingRecord>,
    /// The model against each golden set.
    pub(crate) golden: Vec<Held>,
    /// The model against the reference.
    pub(crate) against: Option<Against>,
    /// Findings that a baseline knows.
    pub(crate) known: Vec<FindingRecord>,
    /// What it knows and is not there any more.
    pub(crate) gone: Vec<Entry>,
    /// That baseline.
    pub(crate) baseline: Option<PathBuf>,
    /// Where its settings come from, beside the command line.
    pub(crate) config: Option<PathBuf>,
    /// Kinds of findings that were looked for.
    pub(crate) applied: Vec<&'static Code>,
    /// What fails it.
    pub(crate) fail_on: FailOn,
    /// Why it could not be checked.
    pub(crate) problem: Option<anyhow::Error>,
    /// What the check took.
    pub(crate) seconds: f64,
}

impl Report {
    /// Of a model about which nothing is known yet.
    pub(crate) fn new(file: PathBuf, fail_on: FailOn) -> Self {
        Self {
            file,
            architecture: None,
            told: Vec::new(),
            findings: Vec::new(),
            golden: Vec::new(),
            against: None,
            known: Vec::new(),
            gone: Vec::new(),
            baseline: None,
            config: None,
            applied: Vec::new(),
            fail_on,
            problem: None,
            seconds: 0.0,
        }
    }

    /// Whether it is good enough.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.problem.is_some() {
            Verdict::Error
        } else if self.findings.iter().any(|finding| self.fail_on.fails(finding.level)) {
            Verdict::Fail
        } else {
            Verdict::Pass
        }
    }

    /// Findings of a level.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Of all models together: one that could not be checked outweighs those that fail.
pub(crate) fn verdict(reports: &[Report]) -> Verdict {
    let has = |verdict: Verdict| reports.iter().any(|report| report.verdict() == verdict);
    [Verdict::Error, Verdict::Fail].into_iter().find(|&verdict| has(verdict)).unwrap_or(Verdict::Pass)
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
