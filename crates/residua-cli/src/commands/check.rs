//! `check`: whether models hold together, as findings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use residua::check::{self, Baseline, Check, Configs, Report};
use residua::emit::place::{Out, commit_together};
use residua::error::messages;
use residua::ir::Shown;
use residua::options::OpenOptions;
use residua::render::report as formats;
use residua::resnet::Form;
use residua::{manifest, model, output};

use crate::args::{CheckArgs, CheckFormat};
use crate::console::{Console, Style};
use crate::exit::{self, Outcome};
use crate::progress::Progress;
use crate::render;

pub(super) fn run(args: &CheckArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let models = distinct(&args.models);
    if let Some(path) = &args.manifest {
        refuse_inputs(args, &models, &[])?;
        return hold_manifest(path, &models, args, console);
    }
    if let Some(name) = &args.expect
        && Form::named(name).is_empty()
    {
        bail!(
            "--expect {name}: there is no architecture of this name, expected one such as resnet50v2 or resnet20_cifar"
        );
    }
    let mut asked = settings(args, threads, &models, console)?;
    refuse_inputs(args, &models, &asked)?;
    model::refuse_idle(&args.source.options(), &models)?;
    let mut baselines = Baselines::of(args, &asked)?;

    let progress = Progress::start(console, "checking");
    asked.iter_mut().for_each(|settings| settings.watch = progress.watch());
    let mut reports = Vec::with_capacity(models.len());
    for (index, (file, settings)) in models.iter().zip(&asked).enumerate() {
        if models.len() > 1 {
            progress.step(format!("checking {} ({} of {})", file.shown(), index + 1, models.len()));
        }
        let mut report = check::examine(file, settings);
        console.tell_of(file, &report.dangers, &report.told);
        baselines.sift(&mut report, settings)?;
        reports.push(report);
    }
    drop(progress);
    if args.update_baseline {
        baselines.update(&mut reports, &asked, console)?;
    }
    print(reports, args, console)
}

/// What is asked of each model.
fn settings(args: &CheckArgs, threads: Option<usize>, models: &[&Path], console: &Console) -> Result<Vec<Check>> {
    let mut configs = Configs::default();
    let mut told: Vec<PathBuf> = Vec::new();
    let mut asked = Vec::with_capacity(models.len());
    for model in models {
        let config = match (&args.config, args.no_config) {
            (_, true) => None,
            (Some(path), false) => Some(configs.at(path)?),
            (None, false) => configs.of(model)?,
        };
        let settings = under(config.map(|config| config.settings(model)).unwrap_or_default(), args, threads);
        if let Some(path) = settings.config.iter().find(|path| !told.contains(path)) {
            console.note(format!("settings of {}", path.shown()));
            told.push(path.clone());
        }
        asked.push(settings);
    }
    Ok(asked)
}

/// As the command line says, and where it says nothing as these settings do.
fn under(mut settings: Check, args: &CheckArgs, threads: Option<usize>) -> Check {
    if !args.target.is_empty() {
        settings.target.clone_from(&args.target);
    }
    settings.levels.extend(args.level.iter().map(|wanted| (wanted.code.id, wanted.level)));
    let open = OpenOptions { input_shapes: args.input_shape.clone(), ..args.source.options() };
    Check {
        expect: args.expect.clone().or(settings.expect),
        dtype: args.dtype.or(settings.dtype),
        golden: args.golden.golden.clone().or(settings.golden),
        against: args.against.clone().or(settings.against),
        tolerance: args.golden.tolerance.or(settings.tolerance),
        fail_on: args.fail_on.unwrap_or(settings.fail_on),
        baseline: args.baseline.clone().or(settings.baseline),
        open: open.or(&settings.open),
        threads,
        ..settings
    }
}

/// The baselines of a run, by path.
struct Baselines {
    read: BTreeMap<PathBuf, Baseline>,
}

impl Baselines {
    fn of(args: &CheckArgs, asked: &[Check]) -> Result<Self> {
        let mut read = BTreeMap::new();
        for path in asked.iter().filter_map(|settings| settings.baseline.as_ref()) {
            if !read.contains_key(path) {
                let baseline = if args.update_baseline { Baseline::read_or_new(path) } else { Baseline::read(path) };
                read.insert(path.clone(), baseline?);
            }
        }
        if args.update_baseline && read.is_empty() {
            bail!("--update-baseline: expected the file to write, as --baseline FILE or in residua.toml");
        }
        Ok(Self { read })
    }

    fn sift(&self, report: &mut Report, settings: &Check) -> Result<()> {
        match settings.baseline.as_ref().and_then(|path| self.read.get(path)) {
            Some(baseline) => Ok(baseline.sift(report)?),
            None => Ok(()),
        }
    }

    /// Accepts what was found, and writes all of them.
    fn update(&mut self, reports: &mut [Report], asked: &[Check], console: &Console) -> Result<()> {
        for (report, settings) in reports.iter_mut().zip(asked) {
            let Some(baseline) = settings.baseline.as_ref().and_then(|path| self.read.get_mut(path)) else { continue };
            baseline.accept(report)?;
            report.known.append(&mut report.findings);
            report.gone.clear();
        }
        let read = std::mem::take(&mut self.read);
        let paths: Vec<PathBuf> = read.keys().cloned().collect();
        commit_together(read.into_values().map(Baseline::stage).collect::<residua::error::Result<_>>()?)?;
        for path in paths {
            console.note(format!("wrote {}", path.shown()));
        }
        Ok(())
    }
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

/// Refuses to write in place of what is read.
fn refuse_inputs(args: &CheckArgs, models: &[&Path], asked: &[Check]) -> Result<()> {
    let of_settings = asked.iter().flat_map(|settings| [&settings.golden, &settings.against, &settings.config]);
    let read = of_settings.chain([&args.manifest]).filter_map(|path| path.as_deref()).chain(models.iter().copied());
    let baselines: BTreeSet<&Path> = asked.iter().filter_map(|settings| settings.baseline.as_deref()).collect();
    let reports = args.report.iter().map(|report| report.path.as_path());
    if args.update_baseline {
        output::refuse(&reports.chain(baselines).collect::<Vec<_>>(), read)?;
    } else {
        output::refuse(&reports.collect::<Vec<_>>(), read.chain(baselines))?;
    }
    Ok(())
}

fn hold_manifest(path: &Path, models: &[&Path], args: &CheckArgs, console: &mut Console) -> Result<Outcome> {
    match models[..] {
        [] | [_, _] => {}
        [only] => bail!("{}: with --manifest, give the source and the output, or neither", only.shown()),
        _ => bail!("with --manifest, expected the source and the output, found {} models", models.len()),
    }
    let progress = Progress::start(console, "checking");
    let held = manifest::check(path, models)?;
    drop(progress);
    let report = check::of_manifest(&held, &under(Check::default(), args, None));
    let style = console.style();
    match args.format {
        CheckFormat::Text => render::manifest::text(console.out(), style, &held, &report)?,
        CheckFormat::Json => held.json(console.out(), &report)?,
        CheckFormat::Sarif | CheckFormat::Junit | CheckFormat::Github | CheckFormat::Markdown => {
            write(place(args.format, console), style, args.format, std::slice::from_ref(&report))?;
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
        return Err(problem.into());
    }
    let stderr_style = console.stderr_style();
    for problem in reports.iter().filter_map(|report| report.problem.as_ref()) {
        exit::report_lines(&messages(problem), stderr_style, &mut console.err());
    }
    let style = console.style();
    write(place(args.format, console), style, args.format, &reports)?;
    write_files(args, &reports)?;
    Ok(check::verdict(&reports).into())
}

/// Writes the reports of all models that were checked.
fn write(out: &mut dyn Write, style: Style, format: CheckFormat, reports: &[Report]) -> Result<()> {
    match format {
        CheckFormat::Text => render::report::write(out, style, reports)?,
        CheckFormat::Json => formats::json(out, reports)?,
        CheckFormat::Sarif => formats::sarif(out, reports)?,
        CheckFormat::Junit => formats::junit(out, reports)?,
        CheckFormat::Github => formats::github(out, reports)?,
        CheckFormat::Markdown => formats::markdown(out, reports)?,
    }
    Ok(())
}

/// Where reports are printed.
fn place(format: CheckFormat, console: &mut Console) -> &mut dyn Write {
    match format {
        CheckFormat::Github => console.out_for_runner(),
        CheckFormat::Text | CheckFormat::Json | CheckFormat::Sarif | CheckFormat::Junit | CheckFormat::Markdown => {
            console.out()
        }
    }
}

fn write_files(args: &CheckArgs, reports: &[Report]) -> Result<()> {
    let files = args.report.iter().map(|file| {
        let mut text = Vec::new();
        write(&mut text, Style::plain(), file.format, reports)?;
        Ok((&*file.path, move |out: &mut dyn Out| Ok(out.write_all(&text)?)))
    });
    Ok(output::write_together(files.collect::<Result<Vec<_>>>()?)?)
}
