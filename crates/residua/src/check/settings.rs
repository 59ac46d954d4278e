//! What is asked of a model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residua_ir::{Finding, Level};
use residua_verify::targets::Runtime;

use crate::options::{Dtype, FailOn, OpenOptions};
use crate::watch::Watch;

/// What is asked of one model.
#[derive(Debug, Clone, Default)]
pub struct Check {
    /// The architecture that it must be.
    pub expect: Option<String>,
    /// Runtimes that it must run under.
    pub target: Vec<&'static Runtime>,
    /// The float type that its weights are to be kept in.
    pub dtype: Option<Dtype>,
    /// Outputs that it must reproduce.
    pub golden: Option<PathBuf>,
    /// The model that it must be the same as.
    pub against: Option<PathBuf>,
    /// Replaces derived bounds.
    pub tolerance: Option<f64>,
    /// What fails it.
    pub fail_on: FailOn,
    /// Other levels of findings, by the id of their code; none where they are left out.
    pub levels: BTreeMap<&'static str, Option<Level>>,
    /// Findings that were accepted.
    pub baseline: Option<PathBuf>,
    /// How it is read.
    pub open: OpenOptions,
    /// Where all that comes from, beside the command line.
    pub config: Option<PathBuf>,
    /// Threads to run it on; all processors where it is `None`.
    pub threads: Option<usize>,
    /// Who watches.
    pub watch: Watch,
}

impl Check {
    /// Also what this runtime cannot load or would compute differently.
    #[must_use]
    pub fn target(mut self, runtime: &'static Runtime) -> Self {
        self.target.push(runtime);
        self
    }

    /// Findings at the levels that are wanted.
    pub fn leveled(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let leveled = |finding: Finding| match self.levels.get(finding.code.id) {
            None => Some(finding),
            Some(level) => level.map(|level| finding.leveled(level)),
        };
        findings.into_iter().filter_map(leveled).collect()
    }
}
