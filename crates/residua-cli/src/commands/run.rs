//! `run`: executes a model on arrays or images.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use residua::exec::Precision;
use residua::input::{self, Fed};
use residua::ir::Shown;
use residua::model::Model;
use residua::run::{self, Document, Engine, EngineOptions, Times};
use residua::{output, render::json};

use crate::args::{Format, OutputDtype, PrecisionChoice, RunArgs};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render::values;

/// What kind of file the results go to.
enum Target<'a> {
    Npy(&'a Path),
    Npz(&'a Path),
}

fn target(path: &Path) -> Result<Target<'_>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => Ok(Target::Npy(path)),
        Some("npz") => Ok(Target::Npz(path)),
        Some(_) | None => bail!("--output {}: expected .npy (the first output) or .npz (all)", path.shown()),
    }
}

pub(super) fn run(args: &RunArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let target = args.output.as_deref().map(target).transpose()?;
    let images = args.image.options()?;
    let started = Instant::now();
    let model = Model::open_strict(&args.model.path, &args.model.options())?;
    let opened = started.elapsed();
    console.tell(&model);
    if let Some(path) = &args.output {
        let files = args.input.iter().map(|text| text.split_once('=').map_or(text.as_str(), |(_, file)| file));
        let read = files.map(Path::new).chain(args.labels.as_deref()).chain([model.path()]);
        output::refuse(&[path], read)?;
    }
    let precision = match args.precision {
        PrecisionChoice::F32 => Precision::F32,
        PrecisionChoice::F64 => Precision::F64,
    };
    let computed_dtype = args.output_dtype == OutputDtype::Computed;
    let options = EngineOptions { precision, threads, taps: args.tap.clone(), computed_dtype };
    Engine::check_taps(&model, &options)?;
    let fed = match args.random {
        Some(seed) => Fed::of(input::random(model.graph(), seed)?),
        None => input::gather(&model, &args.input, &images)?,
    };
    for note in &fed.notes {
        console.note(note);
    }
    let progress = Progress::start(console, "running");
    let started = Instant::now();
    let engine = Engine::new(&model, &options)?;
    let load_seconds = (opened + started.elapsed()).as_secs_f64();
    let results = engine.run(&fed.arrays)?;
    let seconds = started.elapsed().as_secs_f64();
    let median = args.repeat.map(|count| engine.median(&fed.arrays, count)).transpose()?;
    let times = Times { load_seconds, seconds, median_seconds: median.map(|median| median.as_secs_f64()) };
    drop(progress);
    for result in results.iter().filter(|result| run::non_finite(&result.array) > 0) {
        console.warn(format!("`{}` holds numbers that are infinite or NaN", result.name));
    }
    let top = |count: u32| run::top(&results, count as usize, args.labels.as_deref(), &fed.rows);
    let top = args.top.map(top).transpose()?;
    match target {
        Some(Target::Npy(path)) => run::write_npy(path, &results)?,
        Some(Target::Npz(path)) => run::write_npz(path, &results)?,
        None => {}
    }
    match args.format {
        Format::Json => {
            json(console.out(), &Document::new(&model, &fed, precision, &times, &results, top.as_deref()))?;
        }
        Format::Text => {
            let style = console.style();
            values::text(console.out(), style, &run::figures(&results), top.as_deref())?;
            if let (Some(count), Some(median)) = (args.repeat, times.median_seconds) {
                writeln!(console.out(), "\nloaded in {:.2} ms", times.load_seconds * 1e3)?;
                writeln!(console.out(), "median of {count} further runs: {:.2} ms", median * 1e3)?;
            }
        }
    }
    Ok(Outcome::Holds)
}
