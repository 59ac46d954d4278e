//! Running a model: [`Engine`], with inputs and results in the axis order of the source.

mod values;

use std::path::Path;
use std::time::{Duration, Instant};

use residua_exec::{Array, Data, Executor, Options, Precision, order};
use residua_ir::{Checked, DType, Graph, Hint, ValueId};
use residua_resnet::preprocessing::Known;
use serde::Serialize;

use crate::error::{Error, Result, bail};
use crate::input;
use crate::labels::Labels;
use crate::model::Model;
#[cfg(feature = "writers")]
use crate::output;
use crate::suggest;
pub use values::{Top, Values, best, non_finite};

/// How a model is run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The fast engine, or the reference, which computes in double precision.
    pub precision: Precision,
    /// Threads to run on; all processors where it is `None`.
    pub threads: Option<usize>,
    /// Layers whose results are kept, by name.
    pub taps: Vec<String>,
    /// Whether reals keep the type that was computed in, instead of that of the model's output.
    pub computed_dtype: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { precision: Precision::F32, threads: None, taps: Vec::new(), computed_dtype: false }
    }
}

/// A model whose weights lie as the engine wants them.
///
/// ```
/// use residua::Model;
/// use residua::exec::Array;
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let model = Model::open(digits)?;
/// let image = Array::new(vec![1, 1, 32, 32], vec![0.5_f32; 1024])?;
/// let results = model.engine()?.run(&[image])?;
/// assert_eq!(results[0].array.shape(), [1, 10]);
/// let sum: f32 = results[0].array.to_f32().iter().sum();
/// assert!((sum - 1.0).abs() < 1e-5); // a softmax
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug)]
pub struct Engine<'m> {
    model: &'m Model,
    executor: Executor,
    taps: Vec<(String, ValueId)>,
    computed_dtype: bool,
}

/// A result under its name, in the source's axis order, its elements rounded to their type.
#[derive(Debug, Clone)]
pub struct Named {
    /// Of the output, or what was asked for as a tap.
    pub name: String,
    /// Whether it is a tap.
    pub tap: bool,
    /// Type of its elements.
    pub dtype: DType,
    /// The elements.
    pub array: Array,
}

impl Model {
    /// The model, ready to be run by the fast engine.
    ///
    /// # Errors
    /// Where the engine cannot run it, or it takes more than a run may.
    pub fn engine(&self) -> Result<Engine<'_>> {
        Engine::new(self, &EngineOptions::default())
    }
}

impl<'m> Engine<'m> {
    /// The model, ready to be run.
    ///
    /// # Errors
    /// Where the engine cannot run it, it takes more than a run may, or there is no layer of a name that was asked for.
    pub fn new(model: &'m Model, options: &EngineOptions) -> Result<Self> {
        let graph = model.checked.graph();
        let taps = taps(graph, options)?;
        let keep = taps.iter().map(|&(_, value)| value).collect();
        let wanted = Options { precision: options.precision, threads: options.threads, keep, ..Options::default() };
        let executor = Executor::new(&model.checked, &wanted)?;
        Ok(Self { model, executor, taps, computed_dtype: options.computed_dtype })
    }

    /// Whether there is a layer for each tap.
    ///
    /// # Errors
    /// Where there is none; with what was probably meant.
    pub fn check_taps(model: &Model, options: &EngineOptions) -> Result<()> {
        taps(model.checked.graph(), options).map(|_| ())
    }

    /// Runs it on an array for each input, channels first as the graph has them ([`crate::input::gather`] makes such
    /// arrays); gives all outputs, then all taps.
    ///
    /// # Errors
    /// Where an array does not fit its input.
    pub fn run(&self, inputs: &[Array]) -> Result<Vec<Named>> {
        let found = self.executor.run(inputs)?;
        let graph = self.model.checked.graph();
        let mut results = Vec::new();
        for (&id, array) in graph.outputs().iter().zip(&found.outputs) {
            results.push(self.named(graph.value(id).name.raw(), id, false, array)?);
        }
        for (name, value) in &self.taps {
            let Some(array) = found.kept(*value) else { bail!("layer `{name}` was not computed") };
            results.push(self.named(name, *value, true, array)?);
        }
        Ok(results)
    }

    /// Median time of so many runs.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn median(&self, inputs: &[Array], count: u32) -> Result<Duration> {
        let timed = |_| {
            let started = Instant::now();
            self.executor.run(inputs)?;
            Ok(started.elapsed())
        };
        let mut times = (0..count.max(1)).map(timed).collect::<Result<Vec<Duration>>>()?;
        times.sort();
        Ok(times[times.len() / 2])
    }

    /// What was computed for a value.
    fn named(&self, name: &str, value: ValueId, tap: bool, array: &Array) -> Result<Named> {
        let model: &Checked = &self.model.checked;
        let array = order::to_source(array, &model.graph().value(value).order)?;
        let computed = match array.data() {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
        };
        let dtype = match (self.computed_dtype, model.source_dtype_of(value)) {
            // Only reals are computed in another type than they have.
            (true, Some(dtype)) if !dtype.is_float() => dtype,
            (true, Some(_)) | (_, None) => computed,
            (false, Some(dtype)) => dtype,
        };
        let array = if dtype == computed {
            array
        } else {
            let mut values = array.to_f64();
            dtype.round(&mut values);
            Array::new(array.shape().to_vec(), values)?
        };
        Ok(Named { name: name.to_owned(), tap, dtype, array })
    }
}

/// The values that layers of these names give, under the names that were asked for.
fn taps(graph: &Graph, options: &EngineOptions) -> Result<Vec<(String, ValueId)>> {
    let tap = |name: &String| match tap(graph, name) {
        // What is refused is told with the option that asked for it.
        Err(Error::Refused(said)) => bail!("{}: {said}", Hint::Taps),
        found => Ok((name.clone(), found?)),
    };
    options.taps.iter().map(tap).collect()
}

/// The value that a layer of this name gives.
pub(crate) fn tap(graph: &Graph, wanted: &str) -> Result<ValueId> {
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
            bail!("the model has no layer `{wanted}`{}", suggest::hint(wanted, names))
        }
        [only] => match of_layer(only) {
            Some(value) => Ok(value),
            None => bail!("layer `{}` computes nothing", layers[only].name),
        },
        _ => {
            let names: Vec<&str> = within.iter().map(|&index| layers[index].name.raw()).collect();
            bail!("`{wanted}` may be `{}`", names.join("` or `"))
        }
    }
}

/// The best classes of the first output, for each row of the batch; `rows` are the files that they come from.
///
/// # Errors
/// Where the first output is no row of scores a batch, or labels do not fit it.
pub fn top(results: &[Named], count: usize, labels: Option<&Path>, rows: &[String]) -> Result<Vec<Top>> {
    let Some(first) = results.first() else { bail!("{}: the model has no output", Hint::Top) };
    let shape = first.array.shape();
    let Some(&classes) = shape.last().filter(|&&classes| classes > 0 && shape.len() >= 2) else {
        bail!("{}: output `{}` has shape {shape:?}, expected a row of classes for each input", Hint::Top, first.name);
    };
    let labels = match labels {
        Some(path) => Labels::read(path, classes)?,
        None => Labels::standard(classes),
    };
    Ok(best(&first.array, classes, count, &labels, rows))
}

/// Writes the first result as `.npy`.
///
/// # Errors
/// Where there is none, or the file cannot be written.
#[cfg(feature = "writers")]
pub fn write_npy(path: &Path, results: &[Named]) -> Result<()> {
    let Some(first) = results.first() else { bail!("the model has no output") };
    let values = first.array.to_f64();
    output::write_whole(path, |file| Ok(input::write_npy(file, first.dtype, first.array.shape(), &values)?))
}

/// Writes all results as `.npz`, each under its name.
///
/// # Errors
/// Where the file cannot be written.
#[cfg(feature = "writers")]
pub fn write_npz(path: &Path, results: &[Named]) -> Result<()> {
    let mut arrays: Vec<(&Named, Vec<f64>)> = Vec::new();
    for result in results {
        if arrays.iter().all(|(other, _)| other.name != result.name) {
            arrays.push((result, result.array.to_f64()));
        }
    }
    let named = arrays.iter().map(|(result, values)| -> input::NamedArray<'_> {
        (&result.name, result.dtype, result.array.shape(), values)
    });
    output::write_whole(path, |file| input::write_npz(file, named))
}

/// How long a run took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Times {
    /// From opening the file until all weights lie as the engine wants them.
    pub load_seconds: f64,
    /// What of this the engine took, and the first run.
    pub seconds: f64,
    /// Of further runs, where some were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<f64>,
}

/// The document of a run; the schema is `residua.run/1`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    file: String,
    precision: &'static str,
    #[serde(flatten)]
    times: &'a Times,
    notes: &'a [String],
    /// How images were prepared, and from where each part of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    preparation: Option<&'a Known>,
    /// How the network was told, and what was taken where the file leaves it open.
    source_notes: &'a [String],
    outputs: Vec<Values<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<&'a [Top]>,
}

impl<'a> Document<'a> {
    /// What a run of `model` on `fed` gave.
    #[must_use]
    pub fn new(
        model: &'a Model,
        fed: &'a input::Fed,
        precision: Precision,
        times: &'a Times,
        results: &'a [Named],
        top: Option<&'a [Top]>,
    ) -> Self {
        Self {
            schema: "residua.run/1",
            file: model.path.to_string_lossy().into_owned(),
            precision: match precision {
                Precision::F32 => "f32",
                Precision::F64 => "f64",
            },
            times,
            notes: &fed.notes,
            preparation: fed.preparation.as_ref(),
            source_notes: model.told(),
            outputs: figures(results),
            top,
        }
    }
}

/// Results in figures.
#[must_use]
pub fn figures(results: &[Named]) -> Vec<Values<'_>> {
    results.iter().map(|result| Values::of(&result.name, result.tap, result.dtype, &result.array)).collect()
}
