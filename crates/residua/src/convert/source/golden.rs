//! What the golden test of a crate holds: the framework's own outputs, or those of the reference.

use residua_emit::place::StagedFolder;
use residua_exec::compare::max_abs;
use residua_exec::{Array, Executor, Options, Precision, order};
use residua_ir::{Checked, DType, Shape, Tensor, ValueId, validate};
use residua_source::package::Golden;

use super::Writer;
use crate::error::{Context, Result};
use crate::golden;
use crate::input;
use crate::model::Model;
use crate::proof::{Settings, Verification, uniform};

/// What a network may be off by where nothing else is known, relative to the largest value.
const TOLERANCE: f64 = 1e-5;
/// The most that rounding noise may make of it.
const MOST: f64 = 1e-3;
/// How many times the noise of f32 another order of sums may be off by.
const FACTOR: f64 = 8.0;
/// Side of an image where the model takes any.
const SIDE: usize = 64;
/// The seed of inputs that are made.
const SEED: u64 = 0x7265_7369_6475_6131;

/// What is written for the test.
pub(super) struct Made {
    pub(super) about: Golden,
    pub(super) tensors: Vec<(String, Tensor)>,
}

impl Made {
    /// The arrays that are inputs, or outputs.
    fn of_kind(&self, kind: &str) -> Vec<&Tensor> {
        self.tensors.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, tensor)| tensor).collect()
    }

    /// Shapes of inputs and outputs.
    pub(super) fn shapes(&self) -> [Vec<Vec<usize>>; 2] {
        ["input", "output"].map(|kind| self.of_kind(kind).iter().map(|array| array.shape().to_vec()).collect())
    }

    /// Writes each array as its numbers alone, 4 bytes each, the lowest first.
    pub(super) fn write_arrays(&self, staged: &mut StagedFolder) -> Result<()> {
        for (name, tensor) in &self.tensors {
            let mut bytes = Vec::new();
            tensor.append_le_bytes(&mut bytes)?;
            staged.write(&format!("tests/{name}.f32"), &bytes)?;
        }
        Ok(())
    }
}

/// Inputs and outputs in NCHW, and what was found where the source was held against those of its framework.
pub(super) fn make(writer: &Writer, model: &Model, written: &Checked) -> Result<(Made, Vec<Verification>)> {
    let mut held = Vec::new();
    if let Some(path) = &writer.proof.golden {
        writer.options.watch.step("running the source on the golden inputs")?;
        let settings =
            Settings { threads: writer.proof.threads, tolerance: writer.proof.tolerance, ..Settings::default() };
        held = golden::hold(writer.given, path, &settings)?.into_iter().map(|held| held.verification).collect();
        let sets = input::read_golden(path, &writer.given.checked)?;
        // Rounded weights give other outputs than the framework's.
        if let Some(set) = sets.into_iter().next().filter(|_| writer.options.dtype.is_none()) {
            let inputs = channels_first(model, model.checked.graph().inputs(), &set.inputs)?;
            let outputs = channels_first(model, model.checked.graph().outputs(), &set.outputs)?;
            let (_, noise) = run(written, &inputs)?;
            let about = "The network gives what the framework of its source gave.".to_owned();
            return Ok((made(about, noise, &inputs, &outputs)?, held));
        }
    }
    let inputs = inputs(model, written)?;
    let (outputs, noise) = run(written, &inputs)?;
    let about = "The network gives what residua's reference gives, which computes in f64, for numbers made of a seed."
        .to_owned();
    Ok((made(about, noise, &inputs, &outputs)?, held))
}

fn channels_first(model: &Model, ids: &[ValueId], arrays: &[Array]) -> Result<Vec<Array>> {
    let graph = model.checked.graph();
    let turned = ids.iter().zip(arrays).map(|(&id, array)| order::from_source(array, &graph.value(id).order));
    Ok(turned.collect::<std::result::Result<_, _>>()?)
}

/// Numbers in the range of prepared images, for a batch of one.
fn inputs(model: &Model, written: &Checked) -> Result<Vec<Array>> {
    let (least, most) = model.input_range().unwrap_or((-1.0, 1.0));
    let mut state = SEED;
    let graph = written.graph();
    let inputs = graph.inputs().iter().map(|&id| -> Result<Array> {
        let shape = written.shape_of(id).map_or(&[][..], Shape::dims);
        let size = |(axis, dim): (usize, &residua_ir::Dim)| {
            dim.fixed().unwrap_or(if axis == 0 { 1 } else { model.usual_size().unwrap_or(SIDE) })
        };
        let sizes: Vec<usize> = shape.iter().enumerate().map(size).collect();
        let count = residua_ir::tensor::element_count(&sizes).context("an input of the network")?;
        let values: Vec<f32> = (0..count).map(|_| least + (most - least) * uniform(&mut state)).collect();
        Ok(Array::new(sizes, values)?)
    });
    inputs.collect()
}

/// The outputs in f64, and what rounding to f32 does to them, relative to the largest value.
fn run(written: &Checked, inputs: &[Array]) -> Result<(Vec<Array>, f64)> {
    let shapes: Vec<_> = inputs.iter().map(|array| Some(array.shape().to_vec())).collect();
    let model = validate(written.graph().clone().with_input_shapes(&shapes)?)?;
    let run = |precision| -> Result<Vec<Array>> {
        let executor = Executor::new(&model, &Options { precision, ..Options::default() })?;
        Ok(executor.run(inputs)?.outputs)
    };
    let (exact, rounded) = (run(Precision::F64)?, run(Precision::F32)?);
    let mut noise = 0f64;
    for (exact, rounded) in exact.iter().zip(&rounded) {
        let largest = exact.wide().iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
        noise = noise.max(max_abs(exact, rounded)? / largest);
    }
    Ok((exact, noise))
}

fn made(about: String, noise: f64, inputs: &[Array], outputs: &[Array]) -> Result<Made> {
    let tolerance = (FACTOR * noise).clamp(TOLERANCE, MOST);
    let mut tensors = Vec::new();
    for (kind, arrays) in [("input", inputs), ("output", outputs)] {
        for (at, array) in arrays.iter().enumerate() {
            let tensor = Tensor::from_f32(array.shape().to_vec(), &array.to_f32())?.cast(DType::F32);
            tensors.push((format!("{kind}{at}"), tensor));
        }
    }
    let about = format!("{about} Both round; the tolerance is {FACTOR} times what f32 does to it, at least 1e-5.");
    Ok(Made { about: Golden { about, tolerance }, tensors })
}
