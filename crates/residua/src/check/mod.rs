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

use residua_ir::{Code, Finding, Level};
use serde::Serialize;

use crate::error::Error;
use crate::golden::Held;
use crate::known::KnownWeights;
use crate::options::FailOn;
use crate::proof::Verification;

pub use baseline::{Baseline, Entry};
pub use config::Configs;
pub use examine::{examine, of_manifest};
pub use fingerprint::fingerprint;
pub use settings::Check;

/// What came of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing that fails it.
    Pass,
    /// A finding that fails it.
    Fail,
    /// It could not be checked.
    Error,
}

/// A model against a reference.
#[derive(Debug, Serialize)]
pub struct Against {
    /// The reference.
    pub file: String,
    /// In what it is built otherwise, a sentence each.
    pub structure: Vec<String>,
    /// What was found when both were run.
    #[serde(flatten)]
    pub verification: Verification,
}

/// What was found out about one model.
///
/// ```
/// use residua::check::Verdict;
/// use residua::{Check, Model, render::report};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let found = Model::open(digits)?.check(&Check::default())?;
/// assert_eq!(found.verdict(), Verdict::Pass);
/// let mut sarif = Vec::new();
/// report::sarif(&mut sarif, &[found])?;
/// assert!(sarif.starts_with(b"{"));
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug)]
pub struct Report {
    /// Where the model is, as the user named it.
    pub file: PathBuf,
    /// What it is called, where it is known.
    pub architecture: Option<String>,
    /// How it was told, and what was taken where the file leaves it open.
    pub told: Vec<String>,
    /// The published weights that it is, byte for byte.
    pub weights: Option<KnownWeights>,
    /// What of it would have run code elsewhere.
    pub dangers: Vec<String>,
    /// Findings, at the levels that the user wants.
    pub findings: Vec<Finding>,
    /// The model against each golden set.
    pub golden: Vec<Held>,
    /// The model against the reference.
    pub against: Option<Against>,
    /// Findings that a baseline knows.
    pub known: Vec<Finding>,
    /// What it knows and is not there any more.
    pub gone: Vec<Entry>,
    /// That baseline.
    pub baseline: Option<PathBuf>,
    /// Where its settings come from, beside the command line.
    pub config: Option<PathBuf>,
    /// Kinds of findings that were looked for.
    pub applied: Vec<&'static Code>,
    /// What fails it.
    pub fail_on: FailOn,
    /// Why it could not be checked.
    pub problem: Option<Error>,
    /// What the check took.
    pub seconds: f64,
}

impl Report {
    /// Of a model about which nothing is known yet.
    pub fn new(file: PathBuf, fail_on: FailOn) -> Self {
        Self {
            file,
            architecture: None,
            told: Vec::new(),
            weights: None,
            dangers: Vec::new(),
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

    /// What the model is called where it has no name of its own.
    fn name(&self) -> String {
        self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether it is good enough.
    pub fn verdict(&self) -> Verdict {
        if self.problem.is_some() {
            Verdict::Error
        } else if self.findings.iter().any(|finding| self.fail_on.fails(finding.level)) {
            Verdict::Fail
        } else {
            Verdict::Pass
        }
    }

    /// Findings of a level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Of all models together: one that could not be checked outweighs those that fail.
pub fn verdict(reports: &[Report]) -> Verdict {
    let has = |verdict: Verdict| reports.iter().any(|report| report.verdict() == verdict);
    [Verdict::Error, Verdict::Fail].into_iter().find(|&verdict| has(verdict)).unwrap_or(Verdict::Pass)
}
