//! `check`: whether models hold together, as findings.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use residua_resnet::Form;

use crate::args::{CheckArgs, CheckFormat};
use crate::check::{self, Report, Settings};
use crate::console::{Console, Style};
use crate::exit::{self, Outcome};
use crate::progress::Progress;
use crate::render::report;
use crate::{manifest, output};

pub(super) fn run(args: &CheckArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let models = distinct(&args.models);
    refuse_models(args, &models)?;
    if let Some(path) = &args.manifest {
        return hold_manifest(path, &models, args, console);
    }
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
    let settings = Settings::of(args);
    let progress = Progress::start(console, "checking");
    let mut reports = Vec::with_capacity(models.len());
    for (index, file) in models.iter().enumerate() {
        if models.len() > 1 {
            progress.step(format!("checking {} ({} of {})", file.display(), index + 1, models.len()));
        }
        reports.push(check::examine(file, &settings, threads, &progress, console));
    }
    drop(progress);
    print(reports, args, console)
}

/// Each model once, in order.
fn distinct(models: &[PathBuf]) -> Vec<&Path> {
    let mut distinct: Vec<&Path> = Vec::new();
    for model in models {
        if !distinct.contains(&model.as_path()) {
            distinct.push(model);
        }
    }
    distinct
}

/// Refuses reports in place of what is checked.
fn refuse_models(args: &CheckArgs, models: &[&Path]) -> Result<()> {
    let golden = args.golden.golden.as_deref();
    let inputs = || models.iter().copied().chain(args.manifest.as_deref()).chain(golden);
    args.report.iter().try_for_each(|report| output::refuse_inputs(&report.path, inputs()))
}

fn hold_manifest(path: &Path, models: &[&Path], args: &CheckArgs, console: &mut Console) -> Result<Outcome> {
    match models[..] {
        [] | [_, _] => {}
        [only] => bail!("{}: with --manifest, give the source and the output, or neither", only.display()),
        _ => bail!("with --manifest, expected the source and the output, found {} models", models.len()),
    }
    let progress = Progress::start(console, "checking");
    let held = manifest::check(path, models)?;
    drop(progress);
    let report = check::of_manifest(&held, &Settings::of(args));
    let style = console.style();
    match args.format {
        CheckFormat::Text => held.text(console.out(), style, &report)?,
        CheckFormat::Json => held.json(console.out(), &report)?,
        CheckFormat::Sarif | CheckFormat::Junit | CheckFormat::Github | CheckFormat::Markdown => {
            report::write(console.out(), style, args.format, std::slice::from_ref(&report))?;
        }
    }
    write_files(args, std::slice::from_ref(&report))?;
    Ok(report.verdict().into())
}

/// Prints reports and writes those that go to files.
fn print(mut reports: Vec<Report>, args: &CheckArgs, console: &mut Console) -> Result<Outcome> {
    let told = matches!(args.format, CheckFormat::Text | CheckFormat::Json);
    // A single model that could not be checked is an error like any other, where no CI system waits for a report.
    let alone = told && args.report.is_empty();
    if let ([Report { problem, .. }], true) = (&mut reports[..], alone)
        && let Some(problem) = problem.take()
    {
        return Err(problem);
    }
    let stderr_style = console.stderr_style();
    for problem in reports.iter().filter_map(|report| report.problem.as_ref()) {
        exit::report_chain(problem, stderr_style, &mut std::io::stderr());
    }
    let style = console.style();
    report::write(console.out(), style, args.format, &reports)?;
    write_files(args, &reports)?;
    Ok(check::verdict(&reports).into())
}

fn write_files(args: &CheckArgs, reports: &[Report]) -> Result<()> {
    args.report.iter().try_for_each(|file| {
        output::write_whole(&file.path, |out| report::write(out, Style::plain(), file.format, reports))
    })
}
