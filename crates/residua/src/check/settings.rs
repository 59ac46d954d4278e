//! What is asked of a model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residua_ir::Level;

use crate::args::{CheckArgs, FailOn, NamedShape, SourceArgs};
use crate::render::FindingRecord;

/// What is asked of one model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Sizes for free dimensions.
    pub(crate) input_shape: Vec<NamedShape>,
    /// The architecture that it must be.
    pub(crate) expect: Option<String>,
    /// Outputs that it must reproduce.
    pub(crate) golden: Option<PathBuf>,
    /// Replaces derived bounds.
    pub(crate) tolerance: Option<f64>,
    /// What fails it.
    pub(crate) fail_on: FailOn,
    /// Other levels of findings, by the id of their code; none where they are left out.
    pub(crate) levels: BTreeMap<&'static str, Option<Level>>,
    /// What weights alone leave open.
    pub(crate) source: SourceArgs,
}

impl Settings {
    /// As the command line says.
    pub(crate) fn of(args: &CheckArgs) -> Self {
        Self {
            input_shape: args.input_shape.clone(),
            expect: args.expect.clone(),
            golden: args.golden.golden.clone(),
            tolerance: args.golden.tolerance,
            fail_on: args.fail_on.unwrap_or_default(),
            levels: args.level.iter().map(|wanted| (wanted.code.id, wanted.level)).collect(),
            source: args.source.clone(),
        }
    }

    /// Findings at the levels that are wanted.
    pub(crate) fn leveled(&self, findings: Vec<FindingRecord>) -> Vec<FindingRecord> {
        let leveled = |finding: FindingRecord| match self.levels.get(finding.code) {
            None => Some(finding),
            Some(level) => level.map(|level| FindingRecord { level, ..finding }),
        };
        findings.into_iter().filter_map(leveled).collect()
    }
}
