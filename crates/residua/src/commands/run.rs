//! `run`: executes a model on arrays or pictures.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use residua_exec::{Array, Data, Executor, Options, Precision, order};
use residua_ir::{Checked, DType, Graph, Shown, ValueId};
use residua_resnet::preprocessing::Known;
use serde::Serialize;

use crate::args::{Format, OutputDtype, PrecisionChoice, RunArgs};
use crate::console::Console;
use crate::exit::Outcome;
use crate::input::{self, Fed, NamedArray};
use crate::labels::Labels;
use crate::model::Model;
use crate::progress::Progress;
use crate::render::values::{self, Top, Values};
use crate::{output, render, suggest};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    file: String,
    precision: &'static str,
    #[serde(flatten)]
    times: &'a Times,
    notes: &'a [String],
    /// How pictures were prepared, and from where each part of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    preparation: Option<&'a Known>,
    /// How the network was told, and what was taken where the file leaves it open.
    source_notes: &'a [String],
    outputs: Vec<Values<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<&'a [Top]>,
}

/// How long it took.
#[derive(Serialize)]
struct Times {
    /// From opening the file until all weights lie as the engine wants them.
    load_seconds: f64,
    /// What of this the engine took, and the first run.
    seconds: f64,
    /// Of the further runs that --repeat asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    median_seconds: Option<f64>,
}

/// A result under its name, in the source's axis order, its elements rounded to their type.
struct Named {
    name: String,
    tap: bool,
    dtype: DType,
    array: Array,
}

impl Named {
    /// What was computed for a value.
    fn new(model: &Checked, (name, value, tap): (&str, ValueId, bool), array: &Array, args: &RunArgs) -> Result<Self> {
        let array = order::to_source(array, &model.graph().value(value).order)?;
        let computed = match array.data() {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
        };
        let dtype = match (args.output_dtype, model.source_dtype_of(value)) {
            // Only reals are computed in another type than they have.
            (OutputDtype::Computed, Some(dtype)) if !dtype.is_float() => dtype,
            (OutputDtype::Computed, Some(_)) | (_, None) => computed,
            (OutputDtype::Model, Some(dtype)) => dtype,
        };
        let array = if dtype == computed {
            array
        } else {
            let mut values = array.to_f64();
            dtype.round(&mut values);
            Array::new(array.shape().to_vec(), values)?
        };
        Ok(Self { name: name.to_owned(), tap, dtype, array })
    }
}

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
    let started = Instant::now();
    let model = Model::from_args(&args.model)?;
    let opened = started.elapsed();
    model.tell(console);
    if let Some(path) = &args.output {
        let files = args.input.iter().map(|text| text.split_once('=').map_or(text.as_str(), |(_, file)| file));
        let read = files.map(Path::new).chain(args.labels.as_deref()).chain([model.path.as_path()]);
        output::refuse(&[path], read)?;
    }
    let taps = taps(model.checked.graph(), &args.tap)?;
    let fed = match args.random {
        Some(seed) => {
            Fed { arrays: input::random(&model.checked, seed)?, rows: Vec::new(), notes: Vec::new(), preparation: None }
        }
        None => input::gather(&model, &args.input, &args.picture)?,
    };
    for note in &fed.notes {
        console.note(note);
    }
    let progress = Progress::start(console, "running");
    let (results, times) = execute(&model, opened, &fed, &taps, args, threads)?;
    drop(progress);
    for result in results.iter().filter(|result| values::non_finite(&result.array) > 0) {
        console.warn(format!("`{}` holds numbers that are infinite or NaN", result.name));
    }
    let top = args.top.map(|count| best(&results, count as usize, args, &fed)).transpose()?;
    if let Some(target) = target {
        write(&target, &results)?;
    }
    let shown: Vec<Values> =
        results.iter().map(|result| Values::of(&result.name, result.tap, result.dtype, &result.array)).collect();
    match args.format {
        Format::Json => {
            let document = Document {
                schema: "residua.run/1",
                file: model.path.to_string_lossy().into_owned(),
                precision: name(args.precision),
                times: &times,
                notes: &fed.notes,
                preparation: fed.preparation.as_ref(),
                source_notes: model.told(),
                outputs: shown,
                top: top.as_deref(),
            };
            render::json(console.out(), &document)?;
        }
        Format::Text => {
            let style = console.style();
            values::text(console.out(), style, &shown, top.as_deref())?;
            if let (Some(count), Some(median)) = (args.repeat, times.median_seconds) {
                writeln!(console.out(), "\nloaded in {:.2} ms", times.load_seconds * 1e3)?;
                writeln!(console.out(), "median of {count} further runs: {:.2} ms", median * 1e3)?;
            }
        }
    }
    Ok(Outcome::Holds)
}

fn name(precision: PrecisionChoice) -> &'static str {
    match precision {
        PrecisionChoice::F32 => "f32",
        PrecisionChoice::F64 => "f64",
    }
}

/// The values that layers of these names give, under the names that were asked for.
fn taps<'a>(graph: &Graph, names: &'a [String]) -> Result<Vec<(&'a str, ValueId)>> {
    names.iter().map(|name| Ok((name.as_str(), tap(graph, name)?))).collect()
}

fn tap(graph: &Graph, wanted: &str) -> Result<ValueId> {
    let of_layer = |layer: usize| {
        let last = graph.nodes().iter().rev().find(|node| node.layer.index() == layer).map(|node| node.output());
        let input = || graph.inputs().iter().copied().find(|&id| graph.value(id).name == graph.layers()[layer].name);
        last.or_else(input)
    };
    let layers = graph.layers();
    if let Some(value) = layers.iter().position(|layer| layer.name == wanted).and_then(of_layer) {
        return Ok(value);
    }
    if let Some(value) =
        graph.value_ids().find(|&id| graph.value(id).name == wanted && graph.as_parameter(id).is_none())
    {
        return Ok(value);
    }
    // The name within a nested model will do where it is the only one.
    let within: Vec<usize> = (0..layers.len())
        .filter(|&index| layers[index].name.raw().rsplit_once('/').is_some_and(|(_, last)| last == wanted))
        .collect();
    match within[..] {
        [] => {
            let names = layers.iter().map(|layer| layer.name.raw());
            bail!("--tap: the model has no layer `{wanted}`{}", suggest::hint(wanted, names))
        }
        [only] => match of_layer(only) {
            Some(value) => Ok(value),
            None => bail!("--tap: layer `{}` computes nothing", layers[only].name),
        },
        _ => {
            let names: Vec<&str> = within.iter().map(|&index| layers[index].name.raw()).collect();
            bail!("--tap: `{wanted}` may be `{}`", names.join("` or `"))
        }
    }
}

fn execute(
    model: &Model,
    opened: Duration,
    fed: &Fed,
    taps: &[(&str, ValueId)],
    args: &RunArgs,
    threads: Option<usize>,
) -> Result<(Vec<Named>, Times)> {
    let precision = match args.precision {
        PrecisionChoice::F32 => Precision::F32,
        PrecisionChoice::F64 => Precision::F64,
    };
    let keep = taps.iter().map(|&(_, value)| value).collect();
    let options = Options { precision, threads, keep, ..Options::default() };
    let started = Instant::now();
    let executor = Executor::new(&model.checked, &options)?;
    let load_seconds = (opened + started.elapsed()).as_secs_f64();
    let found = executor.run(&fed.arrays)?;
    let seconds = started.elapsed().as_secs_f64();
    let median_seconds = args.repeat.map(|count| median(&executor, &fed.arrays, count)).transpose()?;
    let graph = model.checked.graph();
    let mut results = Vec::new();
    for (&id, array) in graph.outputs().iter().zip(&found.outputs) {
        results.push(Named::new(&model.checked, (graph.value(id).name.raw(), id, false), array, args)?);
    }
    for &(name, value) in taps {
        let Some(array) = found.kept(value) else { bail!("layer `{name}` was not computed") };
        results.push(Named::new(&model.checked, (name, value, true), array, args)?);
    }
    Ok((results, Times { load_seconds, seconds, median_seconds }))
}

/// Median seconds of so many runs.
fn median(executor: &Executor, arrays: &[Array], count: u32) -> Result<f64> {
    let timed = |_| {
        let started = Instant::now();
        executor.run(arrays)?;
        Ok(started.elapsed().as_secs_f64())
    };
    let mut seconds = (0..count).map(timed).collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// The best classes of the first output, for each row of the batch.
fn best(results: &[Named], count: usize, args: &RunArgs, fed: &Fed) -> Result<Vec<Top>> {
    let Some(first) = results.first() else { bail!("--top: the model has no output") };
    let shape = first.array.shape();
    let Some(&classes) = shape.last().filter(|&&classes| classes > 0 && shape.len() >= 2) else {
        bail!("--top: output `{}` has shape {shape:?}, expected a row of classes for each input", first.name);
    };
    let labels = match &args.labels {
        Some(path) => Labels::read(path, classes)?,
        None => Labels::standard(classes),
    };
    Ok(values::best(&first.array, classes, count, &labels, &fed.rows))
}

fn write(target: &Target, results: &[Named]) -> Result<()> {
    match target {
        Target::Npy(path) => {
            let Some(first) = results.first() else { bail!("the model has no output") };
            let values = first.array.to_f64();
            output::write_whole(path, |file| Ok(input::write_npy(file, first.dtype, first.array.shape(), &values)?))
        }
        Target::Npz(path) => {
            let mut arrays: Vec<(&Named, Vec<f64>)> = Vec::new();
            for result in results {
                if arrays.iter().all(|(other, _)| other.name != result.name) {
                    arrays.push((result, result.array.to_f64()));
                }
            }
            let named = arrays.iter().map(|(result, values)| -> NamedArray<'_> {
                (&result.name, result.dtype, result.array.shape(), values)
            });
            output::write_whole(path, |file| input::write_npz(file, named))
        }
    }
}
