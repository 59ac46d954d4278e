//! Quantised networks, and those that ONNX Runtime's optimiser wrote, compute what ONNX Runtime computes: the same integers,
//! and one step beside them at most where it has a function of its own.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use npyz::npz::NpzArchive;
use residua_emit::onnx::{OnnxOptions, write};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Checked, Op, validate};
use residua_resnet::analyse;
use tempfile::TempDir;

/// How many models the archive has.
const MODELS: usize = 26;

struct Case {
    name: String,
    model: Checked,
    input: Array,
    output: Array,
    /// The scale of the output; 0 where it is real.
    step: f64,
    /// How many steps it may be away.
    steps: f64,
}

fn array(path: &Path, name: &str) -> Array {
    let mut archive = NpzArchive::open(path).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    let shape = array.shape().iter().map(|&size| usize::try_from(size).unwrap()).collect();
    Array::new(shape, array.into_vec::<f32>().unwrap()).unwrap()
}

fn checked(path: &Path) -> Checked {
    validate(residua_import::load(path).unwrap()).unwrap()
}

fn cases() -> (TempDir, Vec<Case>) {
    let folder = tempfile::tempdir().unwrap();
    let archive = std::fs::File::open(residua_tests::folder().join("onnx/quantised.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path()).unwrap();
    let facts = std::fs::read(folder.path().join("facts.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let golden = folder.path().join("golden.npz");
    let cases: Vec<Case> = facts
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, facts)| Case {
            name: name.clone(),
            model: checked(&folder.path().join(format!("{name}.onnx"))),
            input: array(&golden, "x"),
            output: array(&golden, name),
            step: facts["step"].as_f64().unwrap(),
            steps: facts["steps"].as_f64().unwrap(),
        })
        .collect();
    assert_eq!(cases.len(), MODELS);
    (folder, cases)
}

fn run(model: &Checked, input: &Array, precision: Precision) -> Array {
    let executor = Executor::new(model, &Options { precision, ..Options::default() }).unwrap();
    executor.run(std::slice::from_ref(input)).unwrap().outputs.remove(0)
}

/// Largest difference in steps; of real outputs, in hundred-thousandths of the largest one.
fn off(case: &Case, found: &Array) -> f64 {
    assert_eq!(found.shape(), case.output.shape(), "{}", case.name);
    let (expected, found) = (case.output.to_f64(), found.to_f64());
    let unit = match case.step {
        0.0 => 1e-5 * expected.iter().fold(0.0f64, |most, value| most.max(value.abs())),
        step => step,
    };
    expected.iter().zip(&found).map(|(a, b)| (a - b).abs() / unit).fold(0.0, f64::max)
}

/// What may be between the product of a step and an integer of 16 bits in f32 and in f64, in steps: half a last place.
const ROUNDED: f64 = 2e-3;

#[test]
fn every_form_computes_what_onnx_runtime_computes_in_both_engines() {
    let (_folder, cases) = cases();
    let mut failures = Vec::new();
    for case in &cases {
        for precision in [Precision::F32, Precision::F64] {
            let off = off(case, &run(&case.model, &case.input, precision));
            let limit = if case.step == 0.0 { 1.0 } else { case.steps + ROUNDED };
            if off > limit {
                failures.push(format!("{} in {precision:?}: {off} steps", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn convolutions_and_shortcuts_give_the_bits_of_onnx_runtime() {
    let (_folder, cases) = cases();
    let case = cases.iter().find(|case| case.name == "sums.real").unwrap();
    let found = run(&case.model, &case.input, Precision::F32).to_f64();
    let differ = case.output.to_f64().iter().zip(&found).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "of {}", found.len());
}

#[test]
fn a_resnet18_is_one_however_it_was_quantised_or_optimised() {
    let (_folder, cases) = cases();
    for case in cases.iter().filter(|case| case.name.starts_with("resnet18")) {
        let anatomy = analyse(&case.model);
        let kinds: Vec<_> = anatomy.blocks.iter().map(|block| (block.kind, block.activation, block.shortcut)).collect();
        let widths: Vec<_> = anatomy.stages.iter().map(|stage| (stage.blocks.len(), stage.width)).collect();
        assert_eq!(widths, [(2, 4), (2, 8), (2, 16), (2, 32)], "{}: {kinds:?}", case.name);
        assert_eq!(anatomy.head.classes, Some(10), "{}", case.name);
        assert_eq!(anatomy.depth(), 18, "{}", case.name);
    }
}

#[test]
fn what_is_written_computes_the_same_integers() {
    let (folder, cases) = cases();
    for case in &cases {
        let path = folder.path().join("written.onnx");
        let opset = if case.name.ends_with("16") { 21 } else { 17 };
        let emitted = write(&case.model, &OnnxOptions { opset, ..OnnxOptions::default() }, &path).unwrap();
        let again = checked(&path);
        let [before, after] = [&case.model, &again].map(|model| run(model, &case.input, Precision::F64).to_f64());
        let same = before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1e-3));
        assert!(same, "{}", case.name);
        // What was an operator of integers is said to be several now.
        let integers = case.model.graph().layers().iter().any(|layer| layer.kind.raw().starts_with("QLinear"));
        assert_eq!(
            integers,
            emitted.notes.iter().any(|note| note.contains("QLinear")),
            "{}: {:?}",
            case.name,
            emitted.notes
        );
        let quantized =
            |model: &Checked| model.graph().nodes().iter().filter(|n| matches!(n.op, Op::Quantize(_))).count();
        assert_eq!(quantized(&case.model), quantized(&again), "{}", case.name);
    }
}
