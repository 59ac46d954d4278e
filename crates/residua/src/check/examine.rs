//! One model, from its file to a report.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Result};
use residua_emit::onnx::{self, OnnxOptions};
use residua_formats::Container;
use residua_import::{ImportError, Opened};
use residua_ir::{Code, Finding, Level, Shown, in_full};
use residua_resnet::anatomy;
use residua_verify::targets::Takes;
use residua_verify::{AskedBy, OnnxText, Subject, identity, numbers};

use super::{Check, Report, against};
use crate::golden::{self, Held};
use crate::known::{KnownWeights, NotThose, Table};
use crate::manifest;
use crate::model::Model;
use crate::options::Dtype;
use crate::pooling;
use crate::proof::{self, Verdict};

/// Checks one model; what cannot be done is part of the report.
pub fn examine(file: &Path, settings: &Check) -> Report {
    let start = Instant::now();
    let mut report = Report::new(file.to_owned(), settings.fail_on);
    report.applied = applied(settings);
    report.config.clone_from(&settings.config);
    report.problem = fill(&mut report, settings).err();
    report.findings = settings.leveled(report.findings);
    report.seconds = start.elapsed().as_secs_f64();
    report
}

/// What came of replaying a manifest, as a report about the output.
pub fn of_manifest(held: &manifest::Held, settings: &Check) -> Report {
    let mut report = Report::new(held.output().to_owned(), settings.fail_on);
    report.applied = residua_verify::manifest::CODES.to_vec();
    report.findings = settings.leveled(held.findings());
    report
}

/// The kinds of findings that are looked for, but for those that the user does not want.
fn applied(settings: &Check) -> Vec<&'static Code> {
    let asked = |code: &'static Code| match AskedBy::of(code) {
        AskedBy::Always => true,
        AskedBy::Expectation => settings.expect.is_some(),
        AskedBy::FloatType => settings.dtype == Some(Dtype::F16),
        AskedBy::Target => !settings.target.is_empty(),
        AskedBy::Golden => settings.golden.is_some(),
        AskedBy::Reference => settings.against.is_some(),
        // Replaying one is another command.
        AskedBy::Manifest => false,
    };
    let wanted = |code: &Code| settings.levels.get(code.id).is_none_or(Option::is_some);
    residua_verify::codes().into_iter().filter(|code| asked(code) && wanted(code)).collect()
}

fn fill(report: &mut Report, settings: &Check) -> Result<()> {
    let name = report.name();
    let opened = match Opened::open(&report.file) {
        Ok(opened) => Arc::new(opened),
        Err(error) => {
            report.findings = unread(error.into(), onnx_text(&report.file).as_ref(), settings)?;
            return Ok(());
        }
    };
    let text = text_of(&opened);
    match Model::of_opened(Arc::clone(&opened), &settings.open) {
        Ok(model) => {
            let model = pooling::as_golden(model, settings.golden.as_deref(), &settings.open)?;
            judge(report, &model, text, settings)
        }
        Err(error) => {
            report.findings = match error.invalid() {
                Some(invalid) => {
                    let anatomy = anatomy::analyse(&invalid.typed);
                    let subject = Subject::of_invalid(invalid, &anatomy, settings.expect.as_deref());
                    found(subject.called(&name), text.as_ref().map(Ok), settings)
                }
                None => unread(error, text.as_ref(), settings)?,
            };
            Ok(())
        }
    }
}

impl Model {
    /// Whether the model holds together, and is what is asked for.
    ///
    /// What makes a network invalid is no finding here but an error of [`Model::open`]; [`examine`] reports both.
    ///
    /// # Errors
    /// Where the model cannot be run on golden inputs or against a reference, or a file of these not be read.
    pub fn check(&self, settings: &Check) -> Result<Report> {
        let start = Instant::now();
        let mut report = Report::new(self.path.clone(), settings.fail_on);
        report.applied = applied(settings);
        report.config.clone_from(&settings.config);
        let text = self.opened().and_then(|opened| text_of(opened));
        judge(&mut report, self, text, settings)?;
        report.findings = settings.leveled(report.findings);
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// What is found in a model that holds together.
fn judge(report: &mut Report, model: &Model, text: Option<OnnxText>, settings: &Check) -> Result<()> {
    let name = report.name();
    report.dangers = model.dangers().to_vec();
    report.told = model.told().to_vec();
    report.architecture = model.anatomy.architecture.as_ref().map(|architecture| architecture.name.clone());
    let takes_onnx = settings.target.iter().any(|runtime| matches!(runtime.takes, Takes::Onnx(_)));
    let text = match text {
        Some(text) => Some(Ok(text)),
        None if takes_onnx => Some(draft(model, settings)),
        None => None,
    };
    let text = text.as_ref().map(|text| text.as_ref().map_err(String::as_str));
    let subject = Subject::new(&model.checked, &model.anatomy, settings.expect.as_deref());
    report.findings = found(subject.called(&name), text, settings);
    if let Some(identity) = model.identity_in(Table::standard())? {
        report.findings.extend(identity.not_those.iter().map(named_otherwise));
        report.told.extend(identity.weights.iter().flat_map(KnownWeights::lines));
        report.weights = identity.weights;
    }
    if let Some(path) = &settings.golden {
        settings.watch.step(&format!("{}: running it on the golden inputs", report.file.shown()))?;
        let how =
            proof::Settings { threads: settings.threads, tolerance: settings.tolerance, ..proof::Settings::default() };
        report.golden = golden::hold(model, path, &how)?;
        let failed = report.golden.iter().filter(|held| held.verification.verdict == Verdict::Different);
        report.findings.extend(failed.map(golden_finding));
    }
    if let Some(path) = &settings.against {
        settings.watch.step(&format!("{}: comparing it with {}", report.file.shown(), path.shown()))?;
        let held = against::hold_against(model, path, settings)?;
        report.findings.extend(against::findings(&held));
        report.against = Some(held);
    }
    Ok(())
}

/// Findings that say why a model cannot be read, where it is known in terms of its graph or text.
///
/// # Errors
/// The error of the reader, where it is not, or where the user wants to hear of none of them.
fn unread(error: Error, text: Option<&OnnxText>, settings: &Check) -> Result<Vec<Finding>> {
    let mut findings = error.import().map(ImportError::findings).unwrap_or_default();
    findings.extend(text.map(residua_verify::check_text).unwrap_or_default());
    let told = settings.leveled(findings.clone()).iter().any(|finding| finding.level == Level::Error);
    if told { Ok(findings) } else { Err(error) }
}

/// What the rules find in a model, and in the ONNX text of it.
fn found(subject: Subject, text: Option<Result<&OnnxText, &str>>, settings: &Check) -> Vec<Finding> {
    let subject = subject.in_dtype(settings.dtype.map(Dtype::of_tensors)).for_targets(&settings.target);
    let subject = match text {
        Some(text) => subject.as_onnx(text),
        None => subject,
    };
    residua_verify::check(&subject)
}

/// The text of an ONNX model that was opened; none of any other.
fn text_of(opened: &Opened) -> Option<OnnxText<'_>> {
    match opened.container() {
        Container::Onnx(file) => Some(OnnxText::of_open(file)),
        Container::Keras(_) | Container::Safetensors(_) | Container::Torch(_) => None,
    }
}

/// The text of an ONNX model that could not be opened; none of any other, nor where it cannot be read, which its reader says.
fn onnx_text(file: &Path) -> Option<OnnxText<'static>> {
    residua_formats::open_onnx(file).ok().flatten().map(OnnxText::of_file)
}

/// What `convert` would write of a model that is no ONNX model, or why it cannot.
fn draft(model: &Model, settings: &Check) -> Result<OnnxText<'static>, String> {
    let float = settings.dtype.map(Dtype::of_tensors).unwrap_or_else(|| onnx::natural_float(model.checked.graph()));
    let options = OnnxOptions { float, ..OnnxOptions::default() };
    let drafted = onnx::opset_for(&model.checked, &options)
        .and_then(|(opset, _)| onnx::draft(&model.checked, &OnnxOptions { opset, ..options }));
    drafted.map(OnnxText::drafted).map_err(|error| in_full(&error))
}

fn named_otherwise(not: &NotThose) -> Finding {
    Finding::new(&identity::NOT_THE_NAMED, not.sentence(), identity::HELP)
}

fn golden_finding(held: &Held) -> Finding {
    // The name alone: a finding is the same one wherever the repository lies.
    let set = Path::new(&held.set).file_name().map_or_else(|| held.set.clone().into(), |name| name.to_string_lossy());
    let message = format!("on the inputs of `{set}`: {}", against::difference(&held.verification));
    let help = "the file is read as another function than the source framework runs, or it is another model";
    Finding::new(&numbers::GOLDEN, message, help)
}
