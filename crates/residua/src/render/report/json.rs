//! The document of `check`.
//!
//! `findings` has those of all models, `models` an entry for each. Where only one model was checked, what is known of it
//! stands at the top as well.

use std::io::Write;

use crate::error::Result;
use residua_ir::{Finding, Level};
use serde::Serialize;

use super::super::json;
use crate::check::{Against, Entry, Report, Verdict, fingerprint, verdict};
use crate::error::messages;
use crate::golden::Held;
use crate::known::KnownWeights;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    only: Option<Only<'a>>,
    verdict: Verdict,
    findings: Vec<Found<'a>>,
    models: Vec<Model<'a>>,
}

/// The only model.
#[derive(Serialize)]
struct Only<'a> {
    file: String,
    architecture: Option<&'a str>,
    source_notes: &'a [String],
    golden: &'a [Held],
    against: Option<&'a Against>,
}

#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    file: String,
    fingerprint: String,
}

#[derive(Serialize)]
struct Model<'a> {
    file: String,
    architecture: Option<&'a str>,
    verdict: Verdict,
    /// Why it could not be checked.
    error: Option<String>,
    errors: usize,
    warnings: usize,
    notes: usize,
    /// How it was told, and what was taken where its file leaves it open.
    source_notes: &'a [String],
    /// The published weights that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<&'a KnownWeights>,
    golden: &'a [Held],
    against: Option<&'a Against>,
    /// Where its settings come from, beside the command line.
    config: Option<String>,
    baseline: Option<Baseline<'a>>,
    seconds: f64,
}

/// What was accepted.
#[derive(Serialize)]
struct Baseline<'a> {
    file: String,
    /// Findings that it hides.
    known: &'a [Finding],
    /// Entries without a finding.
    gone: &'a [Entry],
}

/// Writes the document of the reports.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
    let file = |report: &Report| report.file.to_string_lossy().into_owned();
    let only = match reports {
        [report] => {
            let (golden, against) = (&report.golden[..], report.against.as_ref());
            let (architecture, source_notes) = (report.architecture.as_deref(), &report.told[..]);
            Some(Only { file: file(report), architecture, source_notes, golden, against })
        }
        _ => None,
    };
    let found = reports.iter().flat_map(|report| {
        let of_model = move |finding| Found { finding, file: file(report), fingerprint: fingerprint(finding) };
        report.findings.iter().map(of_model)
    });
    let models = reports.iter().map(|report| Model {
        file: file(report),
        architecture: report.architecture.as_deref(),
        verdict: report.verdict(),
        error: report.problem.as_ref().map(|problem| messages(problem).join(": ")),
        errors: report.count(Level::Error),
        warnings: report.count(Level::Warning),
        notes: report.count(Level::Note),
        source_notes: &report.told,
        weights: report.weights.as_ref(),
        golden: &report.golden,
        against: report.against.as_ref(),
        config: report.config.as_ref().map(|path| path.to_string_lossy().into_owned()),
        baseline: report.baseline.as_ref().map(|path| Baseline {
            file: path.to_string_lossy().into_owned(),
            known: &report.known,
            gone: &report.gone,
        }),
        seconds: report.seconds,
    });
    let document = Document {
        schema: "residua.check/1",
        only,
        verdict: verdict(reports),
        findings: found.collect(),
        models: models.collect(),
    };
    json(out, &document)
}
