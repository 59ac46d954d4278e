//! Every Keras fixture, written as ONNX and as safetensors and read back, computes the same numbers, bit for bit, unless
//! the writer says that it had to rearrange an operator.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is how a test fails")]

use std::path::Path;

use residua_emit::onnx::{InputLayout, OnnxOptions, representable};
use residua_emit::safetensors::{SafetensorsOptions, TensorLayout};
use residua_emit::{Exactness, onnx, safetensors};
use residua_exec::{Array, Executor, Options, Precision};
use residua_formats::Container;
use residua_ir::{Checked, validate};
use residua_tests::{Fixture, Table};

/// Runs a model on these inputs in its graph's order.
fn run(model: &Checked, inputs: &[Array]) -> Result<Vec<Array>, String> {
    let options = Options { precision: Precision::F64, ..Options::default() };
    let executor = Executor::new(model, &options).map_err(|error| error.to_string())?;
    Ok(executor.run(inputs).map_err(|error| error.to_string())?.outputs)
}

fn read(path: &Path) -> Result<Checked, String> {
    validate(residua_import::load(path).map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

/// Pseudo-random inputs; free sizes are small.
fn inputs(model: &Checked) -> Vec<Array> {
    let free = [2, 16, 16, 16, 16];
    let inputs = model.graph().inputs().iter().map(|&id| {
        let dims = model.shape_of(id).unwrap().dims().iter().enumerate();
        let shape: Vec<usize> = dims.map(|(axis, dim)| dim.fixed().unwrap_or(free[axis.min(4)])).collect();
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 2_654_435_761 % 1009) as f32) / 504.5 - 1.0).collect();
        Array::new(shape, values).unwrap()
    });
    inputs.collect()
}

fn largest_difference(a: &[Array], b: &[Array]) -> f64 {
    let pairs = a.iter().zip(b).map(|(a, b)| {
        assert_eq!(a.shape(), b.shape());
        let (a, b) = (a.to_f64(), b.to_f64());
        let scale = a.iter().fold(1e-30f64, |largest, value| largest.max(value.abs()));
        a.iter()
            .zip(&b)
            .fold(0f64, |m, (x, y)| if x.to_bits() == y.to_bits() { m } else { m.max((x - y).abs() / scale) })
    });
    pairs.fold(0.0, f64::max)
}

fn every_fixture_survives_the_way_there_and_back(fixture: &Fixture) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = read(&fixture.path)?;
    let inputs = inputs(&model);
    let expected = run(&model, &inputs)?;

    let path = folder.join("model.safetensors");
    let options = SafetensorsOptions { layout: TensorLayout::Source, float: None };
    safetensors::write(&model, &options, &path).map_err(|error| error.to_string())?;
    let difference = largest_difference(&expected, &run(&read(&path)?, &inputs)?);
    if difference != 0.0 {
        return Err(format!("safetensors differs by {difference:e}"));
    }

    let options = OnnxOptions { input_layout: InputLayout::Nchw, ..OnnxOptions::default() };
    let path = folder.join("model.onnx");
    let emitted = onnx::write(&model, &options, &path).map_err(|error| error.to_string())?;
    let wanted = representable(&model, &options).map_err(|error| error.to_string())?;
    let wanted = validate(wanted).map_err(|error| error.to_string())?;
    let difference = largest_difference(&run(&wanted, &inputs)?, &run(&read(&path)?, &inputs)?);
    let bound = if emitted.exactness == Exactness::Identical { 0.0 } else { 1e-6 };
    if difference > bound {
        return Err(format!("ONNX differs by {difference:e}: {:?}", emitted.exactness));
    }
    Ok(())
}

fn main() {
    // Files that hold code, or compression of h5py's own, which are refused; weights alone have tests of their own.
    let refused = ["lambda", "custom", "subclassed"];
    let whole = |fixture: &Fixture| match residua_formats::open(&fixture.path).unwrap() {
        Container::Keras(file) => file.config.is_some(),
        Container::Onnx(_) | Container::Safetensors(_) | Container::Torch(_) => true,
    };
    let fixtures: Vec<&Fixture> = residua_tests::all()
        .iter()
        .filter(|fixture| !refused.contains(&fixture.name.as_str()) && !fixture.encoding.contains("lzf"))
        .filter(|fixture| whole(fixture))
        .collect();
    assert!(fixtures.len() >= 180, "only {} fixtures were found", fixtures.len());
    Table::new()
        .fixtures(
            "every_fixture_survives_the_way_there_and_back",
            fixtures,
            every_fixture_survives_the_way_there_and_back,
        )
        .run()
}
