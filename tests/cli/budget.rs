//! Files that ask for far more than they are: each ends with status 0, 1 or 2, soon and in little memory, and where a limit ends it, the
//! error says which and how to raise it.
//!
//! A shell gives the program so much time of processors and memory, and no more; what goes beyond is killed, and has no status.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use prost::Message;
use residua::formats::onnx::schema::{
    AttributeProto, AttributeType, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};

/// Seconds of processors: this build is some twenty times slower than what is shipped.
const SECONDS: u32 = 40;
/// KiB of memory, libraries and stacks of threads among it.
const MEMORY: u32 = 3_000_000;

/// The program in a folder, with so much and no more.
fn bounded(folder: &Path, args: &[&str]) -> Output {
    let script = format!("ulimit -t {SECONDS} || exit 99; ulimit -v {MEMORY} || exit 99; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_residua")]).args(args).current_dir(folder);
    shell.env_remove("RESIDUA_BUDGET").output().unwrap()
}

/// What came of each command on a file; a second one is `out.onnx`.
fn all(what: &str, bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model"), bytes).unwrap();
    let commands: [&[&str]; 6] = [
        &["inspect", "model"],
        &["check", "model"],
        &["convert", "model", "out.onnx", "--numeric"],
        &["compare", "model", "model", "--numeric"],
        &["run", "model", "--random", "1"],
        &["diff", "model", "model"],
    ];
    commands
        .iter()
        .map(|args| {
            let done = bounded(folder.path(), args);
            let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
            let ended = matches!(done.status.code(), Some(0..=2)) && !stderr.contains("panicked");
            assert!(ended, "{what}: {}: {:?}: {stderr}", args[0], done.status);
            stderr
        })
        .collect()
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A value of f32; a size below 1 is free.
fn value(name: &str, sizes: &[i64]) -> ValueInfoProto {
    let size = |&size: &i64| {
        let value = if size > 0 { DimensionValue::Value(size) } else { DimensionValue::Param(format!("{name}{size}")) };
        DimensionProto { value: Some(value), ..DimensionProto::default() }
    };
    let shape = TensorShapeProto { dim: sizes.iter().map(size).collect() };
    let tensor = TensorTypeProto { elem_type: 1, shape: Some(shape) };
    let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
}

/// A value of f32 of which no shape is declared.
fn result(name: &str) -> ValueInfoProto {
    let tensor = TensorTypeProto { elem_type: 1, shape: None };
    let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
}

fn integers(name: &str, numbers: &[i64]) -> TensorProto {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let dims = vec![i64::try_from(numbers.len()).unwrap()];
    TensorProto { name: name.to_owned(), dims, data_type: 7, raw_data: raw.into(), ..TensorProto::default() }
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: domain.to_owned(), version }
}

struct Model(GraphProto, Vec<FunctionProto>);

impl Model {
    /// A model of one input `x` and one output `y`.
    fn new(sizes: &[i64], nodes: Vec<NodeProto>) -> Self {
        let graph = GraphProto {
            node: nodes,
            name: "g".to_owned(),
            input: vec![value("x", sizes)],
            output: vec![result("y")],
            ..GraphProto::default()
        };
        Self(graph, Vec::new())
    }

    fn with(mut self, tensor: TensorProto) -> Self {
        self.0.initializer.push(tensor);
        self
    }

    fn bytes(self) -> Vec<u8> {
        let opset_import = vec![opset("", 17), opset("local", 1)];
        let model =
            ModelProto { ir_version: 8, opset_import, graph: Some(self.0), functions: self.1, ..ModelProto::default() };
        model.encode_to_vec()
    }
}

#[test]
fn sizes_that_are_computed_from_sizes_double_no_memory() {
    for op in ["Mul", "Add", "Max", "Sub", "Div"] {
        let step = |i: usize| {
            let before = if i == 0 { "s".to_owned() } else { format!("s{}", i - 1) };
            node(op, &[&before, &before], &format!("s{i}"))
        };
        for levels in [20, 60, 500] {
            let chain = (0..levels).map(step);
            let nodes = [node("Shape", &["x"], "s")].into_iter().chain(chain);
            let last = format!("s{}", levels - 1);
            let nodes = nodes.chain([node("Expand", &["x", &last], "y")]).collect();
            all(&format!("{levels} times {op}"), &Model::new(&[0, -1], nodes).bytes());
        }
    }
    // Each number of a list is joined to all before it.
    let step = |i: usize| {
        let before = if i == 0 { "s".to_owned() } else { format!("s{}", i - 1) };
        let axis = AttributeProto {
            name: "axis".to_owned(),
            r#type: AttributeType::Int.into(),
            i: Some(0),
            ..AttributeProto::default()
        };
        NodeProto { attribute: vec![axis], ..node("Concat", &[&before, &before], &format!("s{i}")) }
    };
    let nodes = [node("Shape", &["x"], "s")].into_iter().chain((0..40).map(step));
    let nodes = nodes.chain([node("Reshape", &["x", "s39"], "y")]).collect();
    all("lists of lists", &Model::new(&[0, -1], nodes).bytes());
}

#[test]
fn inputs_that_no_memory_holds_are_refused_with_the_limit() {
    for size in [1i64 << 29, 1 << 31, 1 << 33, 1 << 40, i64::MAX] {
        let said =
            all(&format!("an input of {size}"), &Model::new(&[1, size], vec![node("Relu", &["x"], "y")]).bytes());
        for stderr in [&said[2], &said[3], &said[4]] {
            let limit = stderr.contains("--budget activation-bytes=") || stderr.contains("too many elements");
            assert!(limit, "{size}: {stderr}");
        }
    }
    // Of a model without weights less is made than a user may give.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model"), Model::new(&[1, 1 << 25], vec![node("Relu", &["x"], "y")]).bytes()).unwrap();
    for args in [["convert", "model", "out.onnx", "--numeric"], ["compare", "model", "model", "--numeric"]] {
        let done = bounded(folder.path(), &args);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && stderr.contains("--budget probe-bytes="), "{args:?}: {stderr}");
    }
    for (op, inputs) in [("Tile", ["x", "by"]), ("Expand", ["x", "by"])] {
        let model = Model::new(&[1, 1], vec![node(op, &inputs, "y")]).with(integers("by", &[40_000, 40_000]));
        let said = all(op, &model.bytes());
        assert!(said[2].contains("--budget activation-bytes="), "{op}: {}", said[2]);
    }
}

#[test]
fn inputs_are_not_made_before_their_run_is_refused() {
    // Together 6.7 GB of numbers, more than the shell gives: the sum is known from their shapes.
    let names: Vec<String> = (0..50).map(|nth| format!("x{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = Model::new(&[1, 1], vec![node("Sum", &names, "y")]);
    model.0.input = names.iter().map(|name| value(name, &[1, 1 << 25])).collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model"), model.bytes()).unwrap();
    let done = bounded(folder.path(), &["run", "model", "--random", "1"]);
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(2) && stderr.contains("--budget activation-bytes="), "{stderr}");
}

#[test]
fn a_limit_is_raised_by_an_option_or_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::new(&[1, 4], vec![node("Relu", &["x"], "y")]).bytes();
    fs::write(folder.path().join("model"), model).unwrap();
    let convert = ["convert", "model", "out.onnx", "--quiet", "--numeric"];
    assert_eq!(bounded(folder.path(), &convert).status.code(), Some(0));
    let with = |options: &[&str], variable: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_residua"));
        program.args(convert).args(options).current_dir(folder.path()).env("RESIDUA_BUDGET", variable);
        let done = program.output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (status, stderr) = with(&["--budget", "activation-bytes=40"], "");
    assert!(
        status == Some(2) && stderr.contains("the limit is 40 (") && stderr.contains("--budget activation-bytes=64"),
        "{stderr}"
    );
    let (status, stderr) = with(&[], "activation-bytes=40,rank=8");
    assert!(status == Some(2) && stderr.contains("the limit is 40 ("), "{stderr}");
    assert_eq!(with(&["--budget", "activation-bytes=1MiB"], "activation-bytes=40").0, Some(0));
    assert_eq!(with(&["--budget", "activation-bytes=64"], "").0, Some(0));
    let (status, stderr) = with(&[], "activations=40");
    assert!(status == Some(2) && stderr.contains("RESIDUA_BUDGET: no limit is called `activations`"), "{stderr}");
    let (status, stderr) = with(&["--budget", "nesting=100000"], "");
    assert!(status == Some(2) && stderr.contains("cannot be set beyond"), "{stderr}");
}

/// A call of a function.
fn floats(name: &str, dims: &[i64], numbers: &[f32]) -> TensorProto {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: raw.into(),
        ..TensorProto::default()
    }
}

/// Layers one behind the other, each of a convolution and an activation; one of them has other weights, where that is asked for.
fn layers(count: usize, other: Option<usize>) -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut kernels = Vec::new();
    for layer in 0..count {
        let before = if layer == 0 { "x".to_owned() } else { format!("r{}", layer - 1) };
        let (kernel, sum) = (format!("k{layer}"), format!("c{layer}"));
        let after = if layer + 1 == count { "y".to_owned() } else { format!("r{layer}") };
        nodes.extend([node("Conv", &[&before, &kernel], &sum), node("Relu", &[&sum], &after)]);
        let factor = if other == Some(layer) { 1.5 } else { 1.0 };
        let numbers: Vec<f32> = (0..16).map(|at| factor * if at % 5 == 0 { 0.9 } else { 0.02 }).collect();
        kernels.push(floats(&kernel, &[4, 4, 1, 1], &numbers));
    }
    kernels.into_iter().fold(Model::new(&[1, 4, 32, 32], nodes), Model::with).bytes()
}

#[test]
fn models_that_differ_are_looked_into_in_the_memory_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), layers(80, None)).unwrap();
    fs::write(folder.path().join("b"), layers(80, Some(40))).unwrap();
    // A layer gives 32 KiB in f64, and all of them 2.5 MiB.
    let done = bounded(folder.path(), &["compare", "a", "b", "--budget", "activation-bytes=256KiB"]);
    let (text, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(text.contains("`k40` and `k40`") && text.contains("cause: other weights in one layer"), "{text}");
}

fn call(name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto { domain: "local".to_owned(), ..node(name, inputs, output) }
}

#[test]
fn calls_take_what_their_functions_come_to_and_no_more() {
    const CALLS: usize = 4_000;
    let chain = || -> Vec<NodeProto> {
        let from = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{}", i - 1) };
        let to = |i: usize| if i + 1 == CALLS { "y".to_owned() } else { format!("v{i}") };
        (0..CALLS).map(|i| call("f", &[&from(i)], &to(i))).collect()
    };
    let function = FunctionProto {
        name: "f".to_owned(),
        domain: "local".to_owned(),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node("Relu", &["a"], "b")],
        opset_import: vec![opset("", 17)],
        ..FunctionProto::default()
    };
    let attribute = |i: usize| AttributeProto {
        name: format!("a{i}"),
        i: Some(1),
        r#type: AttributeType::Int.into(),
        ..AttributeProto::default()
    };
    let many: [(&str, FunctionProto); 4] = [
        (
            "operator sets",
            FunctionProto {
                opset_import: (0..CALLS).map(|i| opset(&format!("d{i}"), 1)).chain([opset("", 17)]).collect(),
                ..function.clone()
            },
        ),
        ("attributes", FunctionProto { attribute_proto: (0..CALLS).map(attribute).collect(), ..function.clone() }),
        (
            "operands",
            FunctionProto {
                input: ["a".to_owned()].into_iter().chain((0..CALLS).map(|i| format!("i{i}"))).collect(),
                ..function.clone()
            },
        ),
        (
            "results",
            FunctionProto {
                output: ["b".to_owned()].into_iter().chain((0..CALLS).map(|i| format!("o{i}"))).collect(),
                ..function.clone()
            },
        ),
    ];
    for (what, function) in many {
        let mut model = Model::new(&[1, 4], chain());
        model.1 = vec![function];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model"), model.bytes()).unwrap();
        let done = bounded(folder.path(), &["inspect", "model"]);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        match done.status.code() {
            Some(0) => {}
            Some(2) => assert!(stderr.contains("--budget inlined-size="), "{what}: {stderr}"),
            _ => panic!("{what}: {:?}: {stderr}", done.status),
        }
    }
}

#[test]
fn more_axes_than_a_tensor_has_are_refused_wherever_they_are() {
    let ones = |count: usize| vec![1; count];
    let tensor = |dims: Vec<i64>| TensorProto {
        name: "w".to_owned(),
        dims,
        data_type: 1,
        raw_data: vec![0; 4].into(),
        ..TensorProto::default()
    };
    let add = || vec![node("Add", &["x", "w"], "y")];
    let said = all("a tensor of 65 axes", &Model::new(&[1], add()).with(tensor(ones(65))).bytes());
    assert!(said[0].contains("axes of a tensor: 65 is beyond the limit of 64"), "{}", said[0]);
    all("a tensor of a million axes", &Model::new(&[1], add()).with(tensor(ones(1_000_000))).bytes());
    all("an input of 100,000 axes", &Model::new(&ones(100_000), vec![node("Relu", &["x"], "y")]).bytes());
    for (op, count) in [("Expand", 900), ("Reshape", 900), ("Reshape", 100_000), ("Unsqueeze", 100_000)] {
        let to: Vec<i64> = if op == "Unsqueeze" { (0..count).collect() } else { ones(usize::try_from(count).unwrap()) };
        all(
            &format!("{op} to {count} axes"),
            &Model::new(&[1], vec![node(op, &["x", "to"], "y")]).with(integers("to", &to)).bytes(),
        );
    }
}

#[test]
fn a_search_that_ends_at_its_limit_says_so() {
    // A sum whose other operand is a way of 600 nodes: longer than any block's.
    let from = |nth: usize| if nth == 0 { "x".to_owned() } else { format!("v{nth}") };
    let mut nodes: Vec<NodeProto> = (0..600).map(|nth| node("Relu", &[&from(nth)], &from(nth + 1))).collect();
    nodes.push(node("Add", &["x", "v600"], "y"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model"), Model::new(&[1, 3, 8, 8], nodes).bytes()).unwrap();
    let check = |options: &[&str]| {
        let done = bounded(folder.path(), &[&["check", "model"], options].concat());
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (status, text) = check(&[]);
    // The output has no shape in the file, which is an error of its own.
    assert!(status == Some(1) && text.contains("R115") && text.contains("--budget search-path=1024"), "{text}");
    let (status, text) = check(&["--budget", "search-path=1024"]);
    assert!(status == Some(1) && !text.contains("R115"), "{text}");
}

#[test]
fn the_arrays_of_an_npz_file_come_to_no_more_than_a_file_may_decode_to() {
    let folder = tempfile::tempdir().unwrap();
    let add = Model::new(&[1, 1024], vec![node("Relu", &["x"], "y")]);
    fs::write(folder.path().join("model"), add.bytes()).unwrap();
    // Zeros of 4 KiB an array, which pack into some bytes; the last is the input.
    let packed = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut archive = zip::ZipWriter::new(fs::File::create(folder.path().join("x.npz")).unwrap());
    for name in ["a", "b", "c", "x"] {
        archive.start_file(format!("{name}.npy"), packed).unwrap();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1024), }";
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        archive.write_all(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[0; 4096]].concat()).unwrap();
    }
    archive.finish().unwrap();
    let run = |budget: &str| {
        let done = bounded(folder.path(), &["run", "model", "--input", "x.npz", "--budget", budget]);
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    // Each array is within the limit; the fourth is beyond it with those before.
    let (status, stderr) = run("decoded-ratio=1,decoded-bytes=13k");
    assert!(status == Some(2) && stderr.contains("--budget decoded-bytes="), "{stderr}");
    let (status, stderr) = run("decoded-ratio=1,decoded-bytes=20k");
    assert_eq!(status, Some(0), "{stderr}");
    // So is a file that is large enough for what it decodes to.
    let (status, stderr) = run("decoded-ratio=64,decoded-bytes=1");
    assert_eq!(status, Some(0), "{stderr}");
}

#[test]
fn sizes_that_are_not_tried_to_the_end_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let reshape = node("Reshape", &["x", "to"], "y");
    let model = Model::new(&[0, 4], vec![reshape]).with(integers("to", &[1, 4]));
    fs::write(folder.path().join("model"), model.bytes()).unwrap();
    let run = |args: &[&str]| {
        let done = bounded(folder.path(), args);
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (_, text) = run(&["check", "model"]);
    assert!(text.contains("R114") && !text.contains("R115"), "{text}");
    let (_, text) = run(&["check", "model", "--budget", "size-trials=3"]);
    assert!(text.contains("R115") && !text.contains("R114"), "{text}");
    assert!(text.contains("were not tried to the end") && text.contains("--budget size-trials=4"), "{text}");
    let (status, text) = run(&["convert", "model", "out.onnx", "--free-batch", "--budget", "size-trials=3"]);
    assert!(status == Some(2) && text.contains("--budget size-trials=4"), "{text}");
    assert!(!text.contains("is free already"), "{text}");
}

#[test]
fn an_export_that_is_not_turned_back_to_the_end_is_told_and_not_converted() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing is left of this but one node.
    let model = Model::new(&[1, 4], vec![node("Identity", &["x"], "v"), node("Relu", &["v"], "y")]);
    fs::write(folder.path().join("model"), model.bytes()).unwrap();
    let run = |args: &[&str]| {
        let done = bounded(folder.path(), args);
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let none = ["--budget", "pass-rounds=0"];
    let (status, text) = run(&[&["convert", "model", "out.onnx"][..], &none].concat());
    assert!(status == Some(2) && text.contains("--budget pass-rounds=1"), "{text}");
    assert!(!folder.path().join("out.onnx").exists());
    let (_, text) = run(&[&["check", "model"][..], &none].concat());
    assert!(text.contains("R115") && text.contains("--budget pass-rounds=1"), "{text}");
    let (status, text) = run(&["convert", "model", "out.onnx", "--budget", "pass-rounds=1"]);
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn all_limits_are_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");
    let page = fs::read_to_string(page).unwrap();
    for limit in residua::ir::budget::Limit::ALL {
        let row = format!("| `{}` | {} |", limit.name(), limit.what());
        let reason = limit.reason().trim_end_matches('.');
        assert!(page.contains(&row) && page.contains(reason), "{row} … | {reason} |");
    }
}

/// A shape of graphs: the nodes of one of so many.
type Shape = (&'static str, fn(usize) -> Model);

#[test]
fn graphs_of_many_nodes_are_converted_in_the_same_time_and_memory() {
    let shapes: [Shape; 5] = [
        ("a chain", |n| {
            let op = |i: usize| ["Relu", "Abs", "Neg", "Sigmoid"][i % 4];
            let from = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{i}") };
            let to = |i: usize| if i + 1 == n { "y".to_owned() } else { format!("v{}", i + 1) };
            Model::new(&[1, 4], (0..n).map(|i| node(op(i), &[&from(i)], &to(i))).collect())
        }),
        ("many that read one, and one that reads them all", |n| {
            let names: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
            let nodes = names.iter().map(|name| node("Relu", &["x"], name));
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            Model::new(&[1, 4], nodes.chain([node("Sum", &all, "y")]).collect())
        }),
        ("nodes that all read all before them", |n| {
            // As many operands as the others have nodes.
            let count = (2 * n).isqrt();
            let name = |i: usize| {
                if i == 0 {
                    "x".to_owned()
                } else if i == count {
                    "y".to_owned()
                } else {
                    format!("v{i}")
                }
            };
            let names: Vec<String> = (0..=count).map(name).collect();
            let step = |i: usize| {
                let before: Vec<&str> = names[..i].iter().map(String::as_str).collect();
                node("Sum", &before, &names[i])
            };
            Model::new(&[1, 4], (1..=count).map(step).collect())
        }),
        ("many inputs and outputs", |n| {
            let mut model =
                Model::new(&[1, 4], (0..n).map(|i| node("Relu", &[&format!("x{i}")], &format!("y{i}"))).collect());
            model.0.input = (0..n).map(|i| value(&format!("x{i}"), &[1, 4])).collect();
            model.0.output = (0..n).map(|i| result(&format!("y{i}"))).collect();
            model
        }),
        ("a function for each call", |n| {
            let from = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{i}") };
            let to = |i: usize| if i + 1 == n { "y".to_owned() } else { format!("v{}", i + 1) };
            let mut model = Model::new(&[1, 4], (0..n).map(|i| call(&format!("f{i}"), &[&from(i)], &to(i))).collect());
            let function = |i: usize| FunctionProto {
                name: format!("f{i}"),
                domain: "local".to_owned(),
                input: vec!["a".to_owned()],
                output: vec!["b".to_owned()],
                node: vec![node("Relu", &["a"], "b")],
                opset_import: vec![opset("", 17)],
                ..FunctionProto::default()
            };
            model.1 = (0..n).map(function).collect();
            model
        }),
    ];
    for (what, shape) in shapes {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model"), shape(20_000).bytes()).unwrap();
        let done = bounded(folder.path(), &["convert", "model", "out.onnx", "--quiet"]);
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{what}: {stderr}");
    }
}
