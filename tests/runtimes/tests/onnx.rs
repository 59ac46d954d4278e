//! Runtimes in Rust that share no code with this one: they load what is written and compute what its source computed;
//! and what `check --target` says of a model, that it loads or does not, they do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use prost::Message;
use residua_emit::onnx::{self, ExternalData, InputLayout, OnnxOptions};
use residua_formats::onnx::schema::{AttributeProto, AttributeType, ModelProto, NodeProto};
use residua_ir::{DType, Level, validate};
use residua_resnet::anatomy;
use residua_tests::Fixture;
use residua_verify::{OnnxText, Subject, targets};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// A runtime and Keras or PyTorch round in f32, each in its own order.
const TOLERANCE: f32 = 1e-5;

/// Where weights and images are of 16 bits, and each sum of a runtime is, or is not.
const HALF_TOLERANCE: f32 = 1e-2;

/// A shape, and elements.
type Array = (Vec<usize>, Vec<f32>);

/// A runtime whose crate is built here.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Runtime {
    Tract,
    Rten,
}

impl Runtime {
    const ALL: [Self; 2] = [Self::Tract, Self::Rten];

    /// As `check` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Rten => "rten",
        }
    }

    /// What it computes, or why it does not.
    fn run(self, file: &Path, inputs: &[Array]) -> Result<Vec<Array>, String> {
        let run = || match self {
            // Some models it takes only with all sizes fixed, some only with those free that they leave free.
            Self::Tract => tract(file, inputs, Sizes::Fixed)
                .or_else(|_| tract(file, inputs, Sizes::Declared))
                .map_err(|error| format!("{error:#}")),
            Self::Rten => rten(file, inputs),
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panics".to_owned()))
    }
}

/// Whether sizes that a model leaves free are fixed before tract optimises it.
#[derive(Clone, Copy, PartialEq)]
enum Sizes {
    Declared,
    Fixed,
}

fn tract(file: &Path, inputs: &[Array], sizes: Sizes) -> TractResult<Vec<Array>> {
    let mut given = TVec::new();
    let mut network = onnx().model_for_path(file)?;
    for (index, (shape, values)) in inputs.iter().enumerate() {
        let declared = network.input_fact(index)?.datum_type.concretize().unwrap_or(DatumType::F32);
        if sizes == Sizes::Fixed {
            network.set_input_fact(index, declared.fact(shape.as_slice()).into())?;
        }
        given.push(Tensor::from_shape(shape, values)?.cast_to_dt(declared)?.into_owned().into_tvalue());
    }
    let found = network.into_optimized()?.into_runnable()?.run(given)?;
    let array = |value: TValue| {
        let value = value.cast_to::<f32>()?.into_owned();
        Ok((value.shape().to_vec(), value.to_plain_array_view::<f32>()?.iter().copied().collect()))
    };
    found.into_iter().map(array).collect()
}

fn rten(file: &Path, inputs: &[Array]) -> Result<Vec<Array>, String> {
    use rten_tensor::prelude::*;
    let model = rten::Model::load_file(file).map_err(|error| error.to_string())?;
    let tensor = |(shape, values): &Array| rten_tensor::Tensor::from_data(shape, values.clone());
    let given = model.input_ids().iter().zip(inputs).map(|(&id, input)| (id, tensor(input).into())).collect();
    let found = model.run(given, model.output_ids(), None).map_err(|error| error.to_string())?;
    let array = |value: rten::Value| {
        let tensor = rten_tensor::Tensor::<f32>::try_from(value).map_err(|error| error.to_string())?;
        Ok((tensor.shape().to_vec(), tensor.to_vec()))
    };
    found.into_iter().map(array).collect()
}

/// Largest difference from what is expected, relative to the largest value.
fn difference(found: &[Array], expected: &[Array]) -> Result<f32, String> {
    let mut worst = 0f32;
    for ((found_shape, found), (shape, expected)) in found.iter().zip(expected) {
        if found_shape != shape {
            return Err(format!("an output has shape {found_shape:?}, expected {shape:?}"));
        }
        let scale = expected.iter().fold(1e-30f32, |largest, value| largest.max(value.abs()));
        let gap = expected.iter().zip(found).map(|(a, b)| (a - b).abs());
        // NaN is no small difference.
        worst = worst.max(gap.fold(0f32, |most, gap| if gap <= most { most } else { gap }) / scale);
    }
    Ok(worst)
}

fn arrays(fixture: &Fixture, prefix: &str) -> Vec<Array> {
    fixture.arrays(prefix).into_iter().map(|(_, shape, values)| (shape, values)).collect()
}

/// An image of channels last as one of channels first.
fn channels_first((shape, values): Array) -> Array {
    let &[n, h, w, c] = &shape[..] else { return (shape, values) };
    let place = |index: usize| {
        let (rest, x) = (index / w, index % w);
        let (rest, y) = (rest / h, rest % h);
        (((rest / c) * h + y) * w + x) * c + rest % c
    };
    (vec![n, c, h, w], (0..values.len()).map(|index| values[place(index)]).collect())
}

/// The fixture of a name that has golden outputs.
fn named(name: &str) -> &'static Fixture {
    let golden = |fixture: &&Fixture| fixture.name == name && fixture.golden.is_some();
    residua_tests::all().iter().find(golden).unwrap_or_else(|| panic!("there is no fixture {name}"))
}

fn write(fixture: &Fixture, options: &OnnxOptions, path: &Path) {
    let model = validate(residua_import::load(&fixture.path).unwrap()).unwrap();
    onnx::write(&model, options, path).unwrap();
}

#[test]
fn tract_and_rten_compute_what_keras_computed() {
    let networks = [
        "thin50v2",
        "thin50",
        "resnet20v1",
        "resnet29v2",
        "digits",
        "group_norm_resnet",
        "resnet_d",
        "option_a",
        "resnext",
        "se_resnet",
        "transfer_flat",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for fixture in networks.map(named) {
        for input_layout in [InputLayout::Nchw, InputLayout::Source] {
            write(fixture, &OnnxOptions { input_layout, ..OnnxOptions::default() }, &path);
            let mut inputs = arrays(fixture, "input/");
            if input_layout == InputLayout::Nchw {
                inputs = inputs.into_iter().map(channels_first).collect();
            }
            for runtime in Runtime::ALL {
                let found = runtime.run(&path, &inputs);
                match found.and_then(|found| difference(&found, &arrays(fixture, "output/"))) {
                    Ok(gap) => assert!(
                        gap <= TOLERANCE,
                        "{} as {input_layout:?} in {runtime:?} differs by {gap:e}",
                        fixture.label()
                    ),
                    Err(error) => panic!("{} as {input_layout:?} in {runtime:?}: {error}", fixture.label()),
                }
            }
        }
    }
}

/// Codes of the findings of a level that `check` has about an ONNX file for a runtime.
fn codes(file: &Path, runtime: Runtime, level: Level) -> Vec<&'static str> {
    let target = [targets::named(runtime.name()).unwrap()];
    let text = OnnxText::of_file(residua_formats::open_onnx(file).unwrap().unwrap());
    let model = validate(residua_import::load(file).unwrap()).unwrap();
    let anatomy = anatomy::analyse(&model);
    let subject = Subject::new(&model, &anatomy, None).as_onnx(Ok(&text)).for_targets(&target);
    let found = residua_verify::check(&subject).into_iter();
    let wanted = found.filter(|finding| finding.code.id.starts_with("R4") && finding.level == level);
    wanted.map(|finding| finding.code.id).collect()
}

/// In what `check` and a runtime do not agree about a file, if anything.
fn disagreement(file: &Path, runtime: Runtime, inputs: &[Array], outputs: &[Array], tolerance: f32) -> Option<String> {
    let said = codes(file, runtime, Level::Error);
    let (other, refused): (Vec<&str>, Vec<&str>) = said.iter().partition(|code| **code == "R408");
    let what = match (runtime.run(file, inputs), refused.is_empty()) {
        (Ok(_), false) => format!("runs, {refused:?} says that it does not"),
        (Err(error), true) => format!("is said to run, and does not: {error}"),
        (Err(_), false) => return None,
        (Ok(found), true) => match (difference(&found, outputs), other.is_empty()) {
            (Ok(gap), as_meant) if (gap <= tolerance) == as_meant => return None,
            (Err(_), false) => return None,
            (difference, _) => format!("differs by {difference:?}, {other:?} is said"),
        },
    };
    Some(format!("{} in {runtime:?}: {what}", file.to_string_lossy()))
}

/// What a fixture is given, and what its framework computed.
fn golden(fixture: &Fixture) -> (Vec<Array>, Vec<Array>) {
    let inputs = arrays(fixture, "input/").into_iter();
    let turned = fixture.encoding.contains("nchw");
    (inputs.map(|input| if turned { channels_first(input) } else { input }).collect(), arrays(fixture, "output/"))
}

#[test]
fn what_check_says_of_exported_models_is_what_tract_and_rten_do() {
    let (mut complaints, mut said) = (Vec::new(), Vec::new());
    for fixture in residua_tests::onnx().iter().filter(|fixture| fixture.golden.is_some()) {
        let (inputs, outputs) = golden(fixture);
        let tolerance = if fixture.encoding.contains("half") { HALF_TOLERANCE } else { TOLERANCE };
        for runtime in Runtime::ALL {
            complaints.extend(disagreement(&fixture.path, runtime, &inputs, &outputs, tolerance));
            said.push(codes(&fixture.path, runtime, Level::Error));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let (run, refused): (Vec<_>, Vec<_>) = said.iter().partition(|codes| codes.is_empty());
    assert!(run.len() > 90 && refused.len() > 3, "{} run, {} do not: that proves little", run.len(), refused.len());
}

#[test]
fn free_sizes_that_tract_cannot_fix_are_noted() {
    let (mut noted, mut others) = (0, 0);
    for fixture in residua_tests::onnx().iter().filter(|fixture| fixture.golden.is_some()) {
        let (inputs, _) = golden(fixture);
        if !codes(&fixture.path, Runtime::Tract, Level::Error).is_empty() {
            continue;
        }
        let runs = tract(&fixture.path, &inputs, Sizes::Fixed);
        let is_noted = codes(&fixture.path, Runtime::Tract, Level::Note).contains(&"R405");
        assert_eq!(runs.is_err(), is_noted, "{}: {:?}", fixture.label(), runs.err());
        if is_noted { noted += 1 } else { others += 1 }
    }
    assert!(noted > 5 && others > 20, "{noted} noted, {others} not");
}

/// A model of torch's exporter that keeps its batch norms.
fn preserved() -> ModelProto {
    let label = "torch/resnet18.legacy17-preserve.onnx";
    let fixture = residua_tests::onnx().iter().find(|fixture| fixture.label() == label).unwrap();
    ModelProto::decode(&std::fs::read(&fixture.path).unwrap()[..]).unwrap()
}

fn first<'a>(model: &'a mut ModelProto, op: &str) -> &'a mut NodeProto {
    model.graph.as_mut().unwrap().node.iter_mut().find(|node| node.op_type == op).unwrap()
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let kind = AttributeType::Ints.into();
    AttributeProto { name: name.to_owned(), ints: ints.to_vec(), r#type: kind, ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    let kind = AttributeType::Int.into();
    AttributeProto { name: name.to_owned(), i: Some(value), r#type: kind, ..AttributeProto::default() }
}

/// Puts a node of one operand behind the first of an operator.
fn behind(model: &mut ModelProto, op: &str, node: NodeProto) {
    let graph = model.graph.as_mut().unwrap();
    let at = graph.node.iter().position(|node| node.op_type == op).unwrap();
    let old = graph.node[at].output[0].clone();
    graph.node[at].output[0] = "before".to_owned();
    let node = NodeProto { input: vec!["before".to_owned()], output: vec![old], name: "planted".to_owned(), ..node };
    graph.node.insert(at + 1, node);
}

fn operator(op: &str) -> NodeProto {
    NodeProto { op_type: op.to_owned(), ..NodeProto::default() }
}

/// What is changed, how, and the errors that `check` has about the result for tract and for rten.
type Planted = (&'static str, fn(&mut ModelProto), &'static [&'static str], &'static [&'static str]);

const PLANTED: [Planted; 8] = [
    ("nothing", |_| {}, &[], &[]),
    (
        "a pool with dilation",
        |model| {
            let pool = first(model, "MaxPool");
            pool.attribute.retain(|attribute| attribute.name != "dilations");
            pool.attribute.push(ints("dilations", &[2, 2]));
        },
        &[],
        &["R402"],
    ),
    ("dropout", |model| behind(model, "Flatten", operator("Dropout")), &[], &["R402"]),
    ("an activation that one lacks", |model| behind(model, "MaxPool", operator("Celu")), &[], &["R402"]),
    (
        "an operator of nobody's",
        |model| behind(model, "MaxPool", NodeProto { domain: "com.example".to_owned(), ..operator("Novel") }),
        &["R402"],
        &["R402"],
    ),
    (
        "a batch norm in training",
        |model| {
            let norm = first(model, "BatchNormalization");
            norm.attribute.retain(|attribute| attribute.name != "training_mode");
            norm.attribute.push(int("training_mode", 1));
        },
        &["R408"],
        &["R402"],
    ),
    (
        "a batch norm that gives its statistics",
        |model| {
            let norm = first(model, "BatchNormalization");
            norm.attribute.retain(|attribute| attribute.name != "training_mode");
            norm.attribute.push(int("training_mode", 1));
            norm.output.extend(["mean".to_owned(), "variance".to_owned()]);
        },
        &["R402", "R408"],
        &["R402"],
    ),
    (
        "an attribute of old operator sets",
        |model| first(model, "Add").attribute.push(int("broadcast", 1)),
        &[],
        &["R402"],
    ),
];

#[test]
fn what_check_says_of_planted_models_is_what_tract_and_rten_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("planted.onnx");
    let (inputs, _) =
        golden(residua_tests::onnx().iter().find(|f| f.name == "resnet18" && f.golden.is_some()).unwrap());
    for (what, plant, for_tract, for_rten) in PLANTED {
        let mut model = preserved();
        plant(&mut model);
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        for (runtime, expected) in [(Runtime::Tract, for_tract), (Runtime::Rten, for_rten)] {
            assert_eq!(codes(&path, runtime, Level::Error), expected, "{what} in {runtime:?}");
            let refused = expected.iter().any(|code| *code != "R408");
            let done = runtime.run(&path, &inputs);
            assert_eq!(done.is_err(), refused, "{what} in {runtime:?}: {:?}", done.err());
        }
    }
}

#[test]
fn what_check_says_of_types_and_external_data_is_what_tract_and_rten_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let fixture = named("thin50v2");
    let inputs: Vec<Array> = arrays(fixture, "input/").into_iter().map(channels_first).collect();
    let hold = |what: &str, expected: [&[&str]; 2]| {
        for (runtime, expected) in Runtime::ALL.into_iter().zip(expected) {
            assert_eq!(codes(&path, runtime, Level::Error), expected, "{what} in {runtime:?}");
            let done = runtime.run(&path, &inputs);
            assert_eq!(done.is_err(), !expected.is_empty(), "{what} in {runtime:?}: {:?}", done.err());
        }
    };
    let options = |float: DType, opset: i64| OnnxOptions { float, opset, ..OnnxOptions::default() };
    write(fixture, &options(DType::F16, 17), &path);
    hold("float16", [&["R403"], &[]]);
    write(fixture, &options(DType::F64, 17), &path);
    hold("float64", [&["R403"], &[]]);
    write(fixture, &options(DType::BF16, 22), &path);
    hold("bfloat16", [&["R403"], &["R403"]]);
    write(fixture, &OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() }, &path);
    hold("external data", [&[], &[]]);
    let mut model = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        tensor.external_data.retain(|entry| entry.key != "length");
    }
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    hold("external data of no length", [&["R404"], &["R404"]]);
}
