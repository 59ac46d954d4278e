//! What is asked of a model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residua_ir::Level;
use residua_verify::targets::Runtime;

use crate::args::{CheckArgs, Dtype, FailOn, NamedShape, SourceArgs};
use crate::render::FindingRecord;

/// What is asked of one model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Sizes for free dimensions.
    pub(crate) input_shape: Vec<NamedShape>,
    /// The architecture that it must be.
    pub(crate) expect: Option<String>,
    /// Runtimes that it must run under.
    pub(crate) target: Vec<&'static Runtime>,
    /// The float type that its weights are to be kept in.
    pub(crate) dtype: Option<Dtype>,
    /// Outputs that it must reproduce.
    pub(crate) golden: Option<PathBuf>,
    /// The model that it must be the same as.
    pub(crate) against: Option<PathBuf>,
    /// Replaces derived bounds.
    pub(crate) tolerance: Option<f64>,
    /// What fails it.
    pub(crate) fail_on: FailOn,
    /// Other levels of findings, by the id of their code; none where they are left out.
    pub(crate) levels: BTreeMap<&'static str, Option<Level>>,
    /// Findings that were accepted.
    pub(crate) baseline: Option<PathBuf>,
    /// What weights alone leave open.
    pub(crate) source: SourceArgs,
    /// Where all that comes from, beside the command line.
    pub(crate) config: Option<PathBuf>,
}

impl Settings {
    /// As the command line says, and where it says nothing as these settings do.
    pub(crate) fn under(mut self, args: &CheckArgs) -> Self {
        if !args.input_shape.is_empty() {
            self.input_shape.clone_from(&args.input_shape);
        }
        if !args.target.is_empty() {
            self.target.clone_from(&args.target);
        }
        self.levels.extend(args.level.iter().map(|wanted| (wanted.code.id, wanted.level)));
        Self {
            expect: args.expect.clone().or(self.expect),
            dtype: args.dtype.or(self.dtype),
            golden: args.golden.golden.clone().or(self.golden),
            against: args.against.clone().or(self.against),
            tolerance: args.golden.tolerance.or(self.tolerance),
            fail_on: args.fail_on.unwrap_or(self.fail_on),
            baseline: args.baseline.clone().or(self.baseline),
            source: args.source.clone().or(&self.source),
            ..self
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
