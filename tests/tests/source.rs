//! Source for candle of every fixture: it is laid out as rustfmt does it, is the function of its source, and holds no text
//! of the file that is not escaped. What is refused is refused by name.
//!
//! Whether the crates build, and what they compute, is held in `tests/peers/source.py`, which needs the crates of candle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use residua::convert::{Proof, Runtime, SourceOptions};
use residua::proof::Verdict;
use residua::{Error, Model};
use residua_ir::{
    Activation, BatchNorm, Conv, Elementwise, GlobalPool, GraphBuilder, Op, Padding, Pads, PoolKind, Role, Shape,
    Tensor, ValueId,
};
use residua_tests::{Fixture, Table};

/// Files of a crate that are Rust.
fn rust_files(folder: &Path) -> Vec<String> {
    let in_folder = |name: &str| -> Vec<String> {
        let entries = fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path());
        let rust = entries.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
        rust.map(|path| path.to_string_lossy().into_owned()).collect()
    };
    [in_folder("src"), in_folder("tests")].concat()
}

/// Whether rustfmt with its defaults would change nothing.
fn is_formatted(folder: &Path) -> Result<(), String> {
    // From elsewhere, so that no settings of ours are found.
    let mut command = Command::new("rustfmt");
    command.args(["--check", "--edition", "2021"]).args(rust_files(folder)).current_dir(folder);
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Fixtures that are refused, each with the operators that candle lacks.
const REFUSED: &[(&str, &[&str])] = &[
    ("layers/center_crop", &["Resize"]),
    ("layers/channel_order", &["Gather", "Slice"]),
    ("layers/conv_options", &["Conv"]),
    ("layers/conv_transpose", &["ConvTranspose"]),
    ("layers/conv_transpose_options", &["ConvTranspose"]),
    ("layers/custom", &["zoo>Doubler"]),
    ("layers/image_operations", &["ArgMax", "ArgMin", "Cast", "Resize"]),
    ("layers/lambda", &["Lambda"]),
    ("layers/merges", &["Mean"]),
    ("layers/merges_broadcast", &["Mean"]),
    ("layers/resizing", &["Resize"]),
    ("layers/resizing_aspect", &["Resize"]),
    ("layers/resizing_free", &["Resize"]),
    ("layers/resizing_k2", &["Resize"]),
    ("layers/tf_channel_order", &["Gather", "Slice"]),
    ("layers/time_distributed", &["Reshape"]),
    ("layers/up_sampling", &["Resize"]),
    ("masked/masked", &["Trilu"]),
    ("masked/shifted", &["Tile"]),
    ("torch/convnext", &["Gather"]),
];

/// Files that are read only with options, or not at all.
const UNREAD: &[&str] = &["layers/subclassed", "storage/resnet8", "weights/changed", "weights/v2"];

/// Whether a fixture is refused as the table says it.
fn refused(fixture: &Fixture, error: &Error) -> Result<(), String> {
    let text = error.to_string();
    let name = format!("{}/{}", fixture.set, fixture.name);
    let operators: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    match REFUSED.iter().find(|(known, _)| *known == name) {
        Some((_, expected)) if operators == *expected => Ok(()),
        Some(_) | None => Err(text),
    }
}

fn every_fixture_is_written_and_is_what_it_was(fixture: &Fixture) -> Result<(), String> {
    let model = match Model::open(fixture.path.as_path()) {
        Ok(model) => model,
        Err(_) if UNREAD.contains(&&*format!("{}/{}", fixture.set, fixture.name)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("net");
    let written = match model.write_source(&place, &SourceOptions::default(), &Proof::default()) {
        Ok(written) => written,
        Err(error) => {
            assert!(!model.source_lacks(Runtime::Candle).is_empty() || !matches!(error, Error::Reasons(_)), "{error}");
            return refused(fixture, &error);
        }
    };
    let found = written.verification().ok_or("it is not proved")?;
    if found.verdict != Verdict::Same {
        return Err(format!("it is another function: {found:?}"));
    }
    written.commit().map_err(|error| error.to_string())?;
    is_formatted(&place)
}

/// A network of two convolutions whose names are these.
fn named(names: [&str; 2], output: &str) -> Model {
    let mut g = GraphBuilder::new("named");
    let x = g.input("image", Shape::batch(&[3, 8, 8]));
    let mut x = x;
    for (at, name) in names.into_iter().enumerate() {
        let inputs = if at == 0 { 3 } else { 4 };
        let values: Vec<f32> = (0..4 * inputs * 9).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
        let kernel = g.weight(name, Tensor::from_f32(vec![4, inputs, 3, 3], &values).unwrap());
        x = g.add(name, Op::Conv(Conv::default()), &[x, kernel]);
    }
    let pool = Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: false });
    let y = g.add(output, pool, &[x]);
    g.output(y);
    Model::from_graph("named", g.finish().unwrap()).unwrap()
}

fn all_text(folder: &Path) -> String {
    rust_files(folder).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

fn names_of_the_file_get_into_source_as_identifiers_alone() {
    let hostile = "\"); std::process::exit(1)//";
    let cases = [
        [hostile, "*/ fn main() {} /*"],
        ["fn", "Self"],
        ["a b", "a.b"],
        ["\u{202e}\n}", "conv"],
        ["crate", "r#fn"],
        ["", "0"],
    ];
    for names in cases {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("net");
        let written = named(names, hostile).write_source(&place, &SourceOptions::default(), &Proof::default()).unwrap();
        assert!(written.holds(), "{names:?}");
        written.commit().unwrap();
        is_formatted(&place).unwrap_or_else(|error| panic!("{names:?}: {error}"));
        let text = all_text(&place);
        assert!(
            !text.contains("process::exit(1)//") && !text.contains('\u{202e}') && !text.contains("fn main() {} /*")
        );
    }
}

fn labels_are_data() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.txt");
    let place = folder.path().join("net");
    fs::write(&labels, "a \"cat\"\n\"); panic!()//\n\\u{41}\nplain\n").unwrap();
    let options = SourceOptions { labels: Some(labels), ..SourceOptions::default() };
    named(["a", "b"], "c").write_source(&place, &options, &Proof::default()).unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(place.join("labels.txt")).unwrap(), "a \"cat\"\n\"); panic!()//\n\\u{41}\nplain\n");
    assert!(!all_text(&place).contains("panic!()//"));
}

fn a_place_that_is_not_empty_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let error = named(["a", "b"], "c")
        .write_source(folder.path(), &SourceOptions::default(), &Proof::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("is a folder that is not empty"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn a_version_that_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = SourceOptions { version: Some("0.1".to_owned()), ..SourceOptions::default() };
    let error = named(["a", "b"], "c").write_source(folder.path().join("net"), &options, &Proof::default());
    assert_eq!(error.unwrap_err().to_string(), "source is written for candle 0.11, not 0.1");
}

fn programs_around_onnx_are_laid_out_and_proved() {
    for (runtime, name) in [(Runtime::Tract, "tract"), (Runtime::Rten, "rten")] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("net");
        let options = SourceOptions { runtime, ..SourceOptions::default() };
        let written = named(["a", "b"], "c").write_source(&place, &options, &Proof::default()).unwrap();
        assert!(written.holds() && written.verification().is_some());
        assert_eq!(written.runtime(), name);
        written.commit().unwrap();
        is_formatted(&place).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(place.join("model.onnx").is_file() && place.join("tests/input0.f32").is_file());
    }
}

/// A convolution, a norm and a ReLU.
fn unit(g: &mut GraphBuilder, name: &str, x: ValueId, channels: [usize; 2], stride: usize) -> ValueId {
    let [inputs, outputs] = channels;
    let values: Vec<f32> =
        (0..outputs * inputs * 9).map(|i| ((i % 11) as f32 - 5.0) / (20.0 * inputs as f32)).collect();
    let kernel = g.weight(&format!("{name}.kernel"), Tensor::from_f32(vec![outputs, inputs, 3, 3], &values).unwrap());
    let padding = Padding::Explicit(Pads::all(1));
    let x = g.add(name, Op::Conv(Conv { strides: [stride; 2], padding, ..Conv::default() }), &[x, kernel]);
    let layer = g.layer(format!("{name}.bn"), "BatchNormalization", true);
    let mut part = |part: &str, role, value: f32| {
        let tensor = Tensor::from_f32(vec![outputs], &vec![value; outputs]).unwrap();
        let name = format!("{name}.bn.{part}");
        g.parameter(residua_ir::Parameter { name: (&name).into(), location: (&name).into(), role, layer, tensor })
    };
    let scale = part("gamma", Role::Weight, 1.0);
    let offset = part("beta", Role::Weight, 0.1);
    let mean = part("mean", Role::Statistic, 0.0);
    let variance = part("variance", Role::Statistic, 1.0);
    let x = g.node(
        &format!("{name}.bn"),
        Op::BatchNorm(BatchNorm { epsilon: 1e-3 }),
        &[x, scale, offset, mean, variance],
        layer,
    );
    g.add(&format!("{name}.relu"), Op::Activation(Activation::RELU), &[x])
}

/// Residual blocks of two convolutions each, in two widths.
fn residual(blocks: usize) -> Model {
    let mut g = GraphBuilder::new("residual");
    let x = g.input("image", Shape::batch(&[3, 16, 16]));
    let mut x = unit(&mut g, "stem", x, [3, 4], 1);
    for block in 0..blocks {
        let a = unit(&mut g, &format!("b{block}.a"), x, [4, 4], 1);
        let b = unit(&mut g, &format!("b{block}.b"), a, [4, 4], 1);
        x = g.add(&format!("b{block}.add"), Op::Elementwise(Elementwise::Add), &[b, x]);
    }
    let y = g.add("pool", Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: false }), &[x]);
    g.output(y);
    Model::from_graph("residual", g.finish().unwrap()).unwrap()
}

fn a_deeper_network_has_no_longer_source() {
    let lines = |blocks: usize| {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("net");
        let written = residual(blocks).write_source(&place, &SourceOptions::default(), &Proof::default()).unwrap();
        assert!(written.holds());
        written.commit().unwrap();
        fs::read_to_string(place.join("src/model.rs")).unwrap().lines().count()
    };
    assert_eq!(lines(4), lines(40));
}

fn networks_of_ten_thousand_nodes_are_written() {
    // Seven nodes a block.
    let model = residual(1_430);
    let nodes = model.graph().graph().nodes().len();
    assert!(nodes > 10_000, "{nodes}");
    let program = residua::source::plan(model.graph(), model.anatomy());
    assert!(residua::source::candle::lacks(&program).is_empty());
    assert!(program.modules.len() < 10, "{} modules", program.modules.len());
    let distinct: BTreeSet<&String> = program.tensors.iter().map(|(name, _)| name).collect();
    assert_eq!(distinct.len(), program.tensors.len());
    assert_eq!(program.tensors.len(), model.graph().graph().parameters().len());
}

fn main() {
    // Files of one network in several encodings have one graph.
    let mut seen = BTreeSet::new();
    let mut once = |fixtures: &'static [Fixture]| {
        let mut new: Vec<&'static Fixture> = Vec::new();
        for fixture in fixtures {
            if seen.insert((fixture.set.clone(), fixture.name.clone())) {
                new.push(fixture);
            }
        }
        new
    };
    let claim = "every_fixture_is_written_and_is_what_it_was";
    let mut table = Table::new();
    for fixtures in [once(residua_tests::all()), once(residua_tests::torch()), once(residua_tests::onnx())] {
        table = table.fixtures(claim, fixtures, every_fixture_is_written_and_is_what_it_was);
    }
    table
        .test(
            "names_of_the_file_get_into_source_as_identifiers_alone",
            names_of_the_file_get_into_source_as_identifiers_alone,
        )
        .test("labels_are_data", labels_are_data)
        .test("a_place_that_is_not_empty_is_refused_and_stays", a_place_that_is_not_empty_is_refused_and_stays)
        .test("programs_around_onnx_are_laid_out_and_proved", programs_around_onnx_are_laid_out_and_proved)
        .test("a_version_that_is_not_known_is_refused", a_version_that_is_not_known_is_refused)
        .test("a_deeper_network_has_no_longer_source", a_deeper_network_has_no_longer_source)
        .test("networks_of_ten_thousand_nodes_are_written", networks_of_ten_thousand_nodes_are_written)
        .run()
}
