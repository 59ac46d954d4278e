//! `check`: whether a model holds together, as findings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use residua_ir::{Invalid, Level};
use residua_resnet::{Form, anatomy};
use residua_verify::Subject;
use serde::Serialize;

use crate::args::{CheckArgs, Format};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::Model;
use crate::progress::Progress;
use crate::proof::{self, Settings, Verdict, Verification};
use crate::render::{FindingRecord, finding};
use crate::{input, manifest, render};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    file: String,
    architecture: Option<&'a str>,
    verdict: &'static str,
    findings: &'a [FindingRecord],
    golden: &'a [Verification],
}

/// What was found out.
#[derive(Default)]
struct Report {
    architecture: Option<String>,
    findings: Vec<FindingRecord>,
    golden: Vec<Verification>,
}

impl Report {
    fn outcome(&self) -> Outcome {
        let error = self.findings.iter().any(|finding| finding.level == Level::Error);
        let differs = self.golden.iter().any(|verification| verification.verdict == Verdict::Different);
        if error || differs { Outcome::Fails } else { Outcome::Holds }
    }
}

pub(super) fn run(args: &CheckArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let models: Vec<&Path> = args.models.iter().map(PathBuf::as_path).collect();
    if let Some(path) = &args.manifest {
        if let [only] = models[..] {
            bail!("{}: with --manifest, give the source and the output, or neither", only.display());
        }
        return manifest::check(path, &models, args.format, console);
    }
    let [file] = models[..] else {
        bail!("expected one MODEL, found {}; two are for --manifest", models.len());
    };
    if let Some(target) = args.target.first() {
        bail!("--target {target}: no runtime is known yet; leave the option away");
    }
    if let Some(name) = &args.expect
        && Form::named(name).is_empty()
    {
        bail!(
            "--expect {name}: there is no architecture of this name, expected one such as resnet50v2 or resnet20_cifar"
        );
    }
    let progress = Progress::start(console, "checking");
    let report = examine(file, args, threads, &progress, console)?;
    drop(progress);
    print(file, args, &report, console)?;
    Ok(report.outcome())
}

fn examine(
    file: &Path,
    args: &CheckArgs,
    threads: Option<usize>,
    progress: &Progress,
    console: &Console,
) -> Result<Report> {
    let model = match Model::load(file, &args.input_shape, &args.source) {
        Ok(model) => model,
        Err(error) => {
            let invalid: Invalid = error.downcast()?;
            let anatomy = anatomy::analyse(&invalid.typed);
            let subject = Subject::of_invalid(&invalid, &anatomy, args.expect.as_deref());
            let findings = residua_verify::check(&subject).iter().map(FindingRecord::from).collect();
            return Ok(Report { findings, ..Report::default() });
        }
    };
    model.tell(console);
    let subject = Subject::new(&model.checked, &model.anatomy, args.expect.as_deref());
    let mut report = Report {
        architecture: model.anatomy.architecture.as_ref().map(|architecture| architecture.name.clone()),
        findings: residua_verify::check(&subject).iter().map(FindingRecord::from).collect(),
        golden: Vec::new(),
    };
    if let Some(path) = &args.golden.golden {
        progress.step("running the model on the golden inputs");
        let settings = Settings { threads, tolerance: args.golden.tolerance, ..Settings::default() };
        report.golden = hold_golden(&model, path, &settings)?;
    }
    Ok(report)
}

/// The model on each golden set.
pub(super) fn hold_golden(model: &Model, path: &Path, settings: &Settings) -> Result<Vec<Verification>> {
    input::read_golden(path, &model.checked)?
        .iter()
        .map(|set| {
            proof::golden(&model.checked, set, settings).with_context(|| format!("golden file {}", path.display()))
        })
        .collect()
}

fn print(file: &Path, args: &CheckArgs, report: &Report, console: &mut Console) -> Result<()> {
    let holds = report.outcome() == Outcome::Holds;
    let file = file.display().to_string();
    if args.format == Format::Json {
        let document = Document {
            schema: "residua.check/1",
            file,
            architecture: report.architecture.as_deref(),
            verdict: if holds { "pass" } else { "fail" },
            findings: &report.findings,
            golden: &report.golden,
        };
        return render::json(console.out(), &document);
    }
    let style = console.style();
    let out = console.out();
    finding::list(out, style, &report.findings)?;
    for verification in &report.golden {
        writeln!(out, "golden outputs:")?;
        render::verification::text(out, style, verification)?;
        writeln!(out)?;
    }
    let verdict = if holds { style.good("pass") } else { style.error("fail") };
    let architecture = report.architecture.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    writeln!(out, "{verdict}  {file}{architecture}: {}", finding::counted(&report.findings))?;
    Ok(())
}
