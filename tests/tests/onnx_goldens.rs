//! Every ONNX model that a framework exported is read whole, computes what ONNX Runtime computes, and is written again as
//! it was: the same numbers bit for bit, and the same bytes when it is written once more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

use std::fs;
use std::path::Path;

use onnx_protobuf::Message as _;
use prost::Message as _;
use residua_emit::onnx::{self, OnnxOptions, natural_float, natural_opset};
use residua_exec::{Array, Executor, Options, Precision};
use residua_formats::onnx::schema::ModelProto;
use residua_ir::{Checked, DType, Op, ValueKind, validate};
use residua_tests::{Fixture, Table};

/// ONNX Runtime rounds in f32, in an order of its own.
const TOLERANCE: f64 = 1e-5;
/// It also does so after each operator where a model is of halves.
const HALF_TOLERANCE: f64 = 5e-3;

fn read(path: &Path) -> Result<Checked, String> {
    validate(residua_import::load(path).map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

fn arrays(fixture: &Fixture, prefix: &str) -> Vec<Array> {
    let arrays = fixture.arrays(prefix).into_iter();
    arrays.map(|(_, shape, values)| Array::new(shape, values).unwrap()).collect()
}

fn run(model: &Checked, precision: Precision, inputs: &[Array]) -> Result<Vec<Array>, String> {
    let options = Options { precision, ..Options::default() };
    let executor = Executor::new(model, &options).map_err(|error| error.to_string())?;
    Ok(executor.run(inputs).map_err(|error| error.to_string())?.outputs)
}

/// The golden's input as this file takes it: some of Keras's were exported with channels first.
fn inputs(fixture: &Fixture) -> Vec<Array> {
    let turned = fixture.encoding.contains("nchw");
    let arrays = arrays(fixture, "input/").into_iter();
    arrays.map(|array| if turned { channels_first(&array) } else { array }).collect()
}

fn channels_first(array: &Array) -> Array {
    let &[n, h, w, c] = array.shape() else { panic!("an image") };
    let values = array.to_f32();
    let at = |index: usize| {
        let (rest, x) = (index / w, index % w);
        let (rest, y) = (rest / h, rest % h);
        values[((rest / c * h + y) * w + x) * c + rest % c]
    };
    Array::new(vec![n, c, h, w], (0..n * c * h * w).map(at).collect::<Vec<f32>>()).unwrap()
}

/// Largest difference, relative to the largest value.
fn difference(expected: &[Array], found: &[Array]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let pairs = expected.iter().zip(found).map(|(expected, found)| {
        assert_eq!(expected.shape(), found.shape());
        let (expected, found) = (expected.to_f64(), found.to_f64());
        let scale = expected.iter().fold(1e-30f64, |largest, value| largest.max(value.abs()));
        expected.iter().zip(&found).fold(0f64, |most, (a, b)| most.max((a - b).abs() / scale))
    });
    pairs.fold(0.0, f64::max)
}

fn nothing_that_a_framework_exports_is_unknown(fixture: &Fixture) -> Result<(), String> {
    let model = read(&fixture.path)?;
    let unknown: Vec<String> = model
        .opaque_nodes()
        .filter_map(|id| match &model.graph().node(id).op {
            Op::Opaque(opaque) => Some(format!("{}: {}", opaque.op_type, opaque.reason)),
            _ => None,
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown.join("; ")) }
}

fn both_engines_compute_what_onnx_runtime_computes(fixture: &Fixture) -> Result<(), String> {
    let model = read(&fixture.path)?;
    let half = model
        .graph()
        .inputs()
        .iter()
        .any(|&id| matches!(&model.graph().value(id).kind, ValueKind::Input(input) if input.dtype == DType::F16));
    let expected = arrays(fixture, &format!("ort/{}/", fixture.encoding.trim_end_matches(".onnx")));
    assert!(!expected.is_empty(), "{} has no golden", fixture.label());
    for precision in [Precision::F32, Precision::F64] {
        let gap = difference(&expected, &run(&model, precision, &inputs(fixture))?);
        if gap > if half { HALF_TOLERANCE } else { TOLERANCE } {
            return Err(format!("{precision:?} differs by {gap:e}"));
        }
    }
    Ok(())
}

/// A reader that shares no code with ours finds the same content in a file: what it writes of it is read here as that is.
fn understood_elsewhere(path: &Path) -> Result<(), String> {
    let bytes = fs::read(path).unwrap();
    let theirs = onnx_protobuf::ModelProto::parse_from_bytes(&bytes).map_err(|error| error.to_string())?;
    if theirs.special_fields.unknown_fields().iter().count() > 0 {
        return Err("onnx-protobuf does not know all of its fields".to_owned());
    }
    let again = theirs.write_to_bytes().map_err(|error| error.to_string())?;
    let [again, ours] = [again, bytes].map(|bytes| {
        let mut model = ModelProto::decode(&bytes[..]).unwrap();
        // It was made for the dialect of protobuf that leaves zeros out.
        for attribute in model.graph.iter_mut().flat_map(|graph| &mut graph.node).flat_map(|node| &mut node.attribute) {
            attribute.i = attribute.i.filter(|&i| i != 0);
            attribute.f = attribute.f.filter(|&f| f != 0.0);
        }
        model
    });
    if again == ours { Ok(()) } else { Err("onnx-protobuf reads something else".to_owned()) }
}

fn what_is_written_is_read_as_it_was_and_written_again_as_the_same_bytes(fixture: &Fixture) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let model = read(&fixture.path)?;
    let write = |model: &Checked, name: &str| {
        let graph = model.graph();
        let options =
            OnnxOptions { opset: natural_opset(graph), float: natural_float(graph), ..OnnxOptions::default() };
        let path = folder.path().join(name);
        onnx::write(model, &options, &path).map_err(|error| error.to_string())?;
        let wanted = onnx::representable(model, &options).map_err(|error| error.to_string())?;
        Ok::<_, String>((path, validate(wanted).map_err(|error| error.to_string())?))
    };
    let (once, wanted) = write(&model, "once.onnx")?;
    understood_elsewhere(&once)?;
    let read_back = read(&once)?;
    let inputs = inputs(fixture);
    let (expected, found) = (run(&wanted, Precision::F64, &inputs)?, run(&read_back, Precision::F64, &inputs)?);
    if difference(&expected, &found) != 0.0 {
        return Err(format!("what is read back differs by {:e}", difference(&expected, &found)));
    }
    let (twice, _) = write(&read_back, "twice.onnx")?;
    let same = fs::read(&once).unwrap() == fs::read(&twice).unwrap();
    if same { Ok(()) } else { Err("written twice, it is not the same bytes".to_owned()) }
}

fn main() {
    let mut table = Table::new();
    table = table.fixtures(
        "nothing_that_a_framework_exports_is_unknown",
        residua_tests::onnx(),
        nothing_that_a_framework_exports_is_unknown,
    );
    table = table.fixtures(
        "both_engines_compute_what_onnx_runtime_computes",
        residua_tests::onnx(),
        both_engines_compute_what_onnx_runtime_computes,
    );
    table = table.fixtures(
        "what_is_written_is_read_as_it_was_and_written_again_as_the_same_bytes",
        residua_tests::onnx(),
        what_is_written_is_read_as_it_was_and_written_again_as_the_same_bytes,
    );
    table.run()
}
