//! Damaged and hostile files as a user meets them: the program refuses each with one error and status 2, with little
//! work and memory, runs nothing of what is in it, and leaves nothing behind.
//!
//! What the readers make of single faults is held in `residua-formats`; here, that no such file gets past the whole program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use prost::Message;
use residua::formats::onnx::schema::{
    AttributeProto, AttributeType, DataLocation, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto,
};
use residua_tests::checkpoint;
use serde_json::{Value, json};

/// A file that must be refused, and what was done to it.
type Case = (String, Vec<u8>);

/// Seconds of a processor, all threads together: the system ends what takes more.
const WORK: &str = "40";
/// Memory in KiB, mapped libraries and stacks of threads among it.
const MEMORY: &str = "3000000";

fn bytes_of(label: &str) -> Vec<u8> {
    fs::read(&checkpoint(label).path).unwrap()
}

/// `convert`, as if in a shell that gives it so much work and memory and no more.
fn convert(folder: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_residua");
    let script = format!(
        "ulimit -v {MEMORY} && ulimit -t {WORK} || exit 99; exec \"$0\" convert model out.onnx --no-verify --quiet"
    );
    Command::new("sh").args(["-c", &script, program]).current_dir(folder).output().unwrap()
}

/// What is wrong with how a file was taken, if anything.
fn complaint((what, bytes): &Case) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model"), bytes).unwrap();
    let done = convert(folder.path());
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let wrong = if done.status.code() != Some(2) {
        format!("status {:?}", done.status.code())
    } else if stderr.lines().filter(|line| line.starts_with("error")).count() != 1 || stderr.contains("panicked") {
        "not one error".to_owned()
    } else if left != ["model"] {
        format!("{left:?} is left")
    } else {
        return None;
    };
    Some(format!("{what}: {wrong}: {stderr}"))
}

#[track_caller]
fn all_refused(cases: &[Case], least: usize) {
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let complaints: Vec<String> = cases.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
}

/// The bytes with the first of these texts replaced by one of the same length.
fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old);
    let at = at.unwrap_or_else(|| panic!("no `{}`", String::from_utf8_lossy(old)));
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
fn checkpoints_cut_short_anywhere_are_refused() {
    const CUTS: usize = 18;
    let files = [
        "containers/net.pth",
        "containers/net.deflated.pth",
        "containers/net.big.pth",
        "containers/net.legacy.pth",
        "containers/net.protocol1.pth",
        "containers/net.whole.pt",
        "containers/net.scripted.pt",
        "containers/net.pt2",
        "containers/net.safetensors",
        "zoo/d2_resnet50.pkl",
    ];
    let cut = |&label: &&str| -> Vec<Case> {
        let bytes = bytes_of(label);
        let ends = (0..CUTS - 1).map(|part| bytes.len() * part / (CUTS - 1)).chain([bytes.len() - 1]);
        ends.map(|end| (format!("{label}, its first {end} bytes"), bytes[..end].to_vec())).collect()
    };
    all_refused(&files.iter().flat_map(cut).collect::<Vec<_>>(), 180);
}

#[test]
fn checkpoints_that_say_something_else_than_they_hold_are_refused() {
    let changes: [(&str, &[u8], &[u8]); 24] = [
        ("containers/net.pth", b"PK\x05\x06", b"PK\x05\x07"),
        ("containers/net.pth", b"PK\x01\x02", b"PK\x01\x03"),
        ("containers/net.pth", b"\x80\x02c", b"\x80\x63c"),
        ("containers/net.pth", b"\x80\x02c", b"\x80\x02\xfe"),
        ("containers/net.pth", b"torch._utils", b"torch._utilz"),
        ("containers/net.pth", b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
        ("containers/net.pth", b"FloatStorage", b"QuIntStorage"),
        ("containers/net.pth", b"FloatStorage", b"DoubleStorag"),
        ("containers/net.pth", b"conv1.weight", b"conv9.weight"),
        ("containers/net.pth", b"bn1.running_var", b"bn1.running_vax"),
        ("containers/net.pth", b"little", b"middle"),
        ("containers/net.legacy.pth", b"\x6c\xfc\x9c\x46", b"\x6c\xfc\x9c\x47"),
        ("containers/net.legacy.pth", b"\x4d\xe9\x03", b"\x4d\xe9\x04"),
        ("containers/net.legacy.pth", b"FloatStorage", b"QuIntStorage"),
        ("containers/net.legacy.pth", b"fc.weight", b"fc.heavy!"),
        ("containers/net.tar.pth", b"ustar", b"vstar"),
        ("containers/net.tar.pth", b"storages", b"storagez"),
        ("containers/net.whole.pt", b"maxpool", b"maxfool"),
        ("containers/net.whole.pt", b"Conv2d", b"Conv9d"),
        ("containers/net.whole.pt", b"ReLU", b"ReLZ"),
        ("containers/net.whole.pt", b"MaxPool2d", b"MinPool2d"),
        ("containers/net.whole.pt", b"_parameters", b"_parametres"),
        ("zoo/d2_resnet50.pkl", b"_reconstruct", b"_reconstrukt"),
        ("zoo/d2_resnet50.pkl", b"multiarray", b"multiarraz"),
    ];
    let case = |(label, old, new): (&str, &[u8], &[u8])| {
        let what = format!("{label}, `{}` for `{}`", String::from_utf8_lossy(new), String::from_utf8_lossy(old));
        (what, with(&bytes_of(label), old, new))
    };
    all_refused(&changes.into_iter().map(case).collect::<Vec<_>>(), 24);
}

/// A safetensors file of a header, or what stands for one, and data.
fn safetensors(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header, data].concat()
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let sound = bytes_of("containers/net.safetensors");
    let end = 8 + usize::try_from(u64::from_le_bytes(sound[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&sound[8..end]).unwrap();
    let data = &sound[end..];
    let huge = Value::from(u64::MAX);
    let mut cases: Vec<Case> = Vec::new();
    // Each lie about each of some tensors: the first, the last, one within, one of a single number.
    for name in ["conv1.weight", "fc.bias", "layer2.0.bn1.running_var", "bn1.num_batches_tracked"] {
        let [start, stop] = [0, 1].map(|at| header[name]["data_offsets"][at].as_u64().unwrap());
        let lies: [(&str, Value); 22] = [
            ("dtype", json!("F64")),
            ("dtype", json!("U8")),
            ("dtype", json!("F8_E4M3")),
            ("dtype", json!("F33")),
            ("dtype", json!(7)),
            ("shape", json!([])),
            ("shape", json!([3])),
            ("shape", json!([-1])),
            ("shape", json!([1.5])),
            ("shape", json!("3")),
            ("shape", json!([huge, 2])),
            ("shape", json!([1u64 << 32, 1u64 << 32])),
            ("shape", json!(vec![1u64 << 31; 40])),
            ("data_offsets", json!([start, stop + 1])),
            ("data_offsets", json!([start + 1, stop])),
            ("data_offsets", json!([stop, start])),
            ("data_offsets", json!([0, 0])),
            ("data_offsets", json!([start, huge])),
            ("data_offsets", json!([huge, huge])),
            ("data_offsets", json!([start])),
            ("data_offsets", json!([-4, stop])),
            ("data_offsets", Value::Null),
        ];
        for (key, lie) in lies {
            // Eight bytes that count batches may be any number.
            if header[name][key] == lie || (name.ends_with("tracked") && lie == "F64") {
                continue;
            }
            let mut changed = header.clone();
            changed[name][key] = lie.clone();
            let text = serde_json::to_vec(&changed).unwrap();
            cases.push((format!("`{key}` of `{name}` is {lie}"), safetensors(&text, data)));
        }
        let mut without = header.clone();
        without.as_object_mut().unwrap().remove(name);
        cases.push((format!("no `{name}`"), safetensors(&serde_json::to_vec(&without).unwrap(), data)));
    }
    for (what, length) in [("0", 0), ("one less", end as u64 - 9), ("one more", end as u64 - 7), ("2^63", 1 << 63)] {
        let bytes = [&u64::to_le_bytes(length)[..], &sound[8..]].concat();
        cases.push((format!("a header of {what} bytes"), bytes));
    }
    let nested = [&b"{\"a\":"[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
    let many: Vec<String> =
        (0..200_000).map(|i| format!("\"t{i}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")).collect();
    for (what, header) in [
        ("nothing", &b"{}"[..]),
        ("no object", b"[1, 2]"),
        ("cut short", b"{\"a\": {"),
        ("no text", b"{\"\xff\xfe\": 1}"),
        ("nested without end", &nested),
        ("200,000 tensors of nothing", format!("{{{}}}", many.join(",")).as_bytes()),
    ] {
        cases.push((format!("the header is {what}"), safetensors(header, b"")));
    }
    all_refused(&cases, 85);
}

#[test]
fn what_a_pickle_would_have_called_is_not_called() {
    let text = |text: &str| [&[b'X'][..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
    let shell = "touch was-here";
    let python = "open('was-here', 'w')";
    let calls = [
        ("os", "system", shell),
        ("posix", "system", shell),
        ("subprocess", "getoutput", shell),
        ("subprocess", "Popen", shell),
        ("builtins", "eval", python),
        ("builtins", "exec", python),
        ("__builtin__", "eval", python),
        ("runpy", "run_path", "was-here.py"),
        ("webbrowser", "open", "was-here"),
        ("a.package", "Nobody", "was-here"),
    ];
    let mut cases = Vec::new();
    for (module, name, argument) in calls {
        let made = [format!("c{module}\n{name}\n").as_bytes(), &text(argument), b"\x85R"].concat();
        cases.push((format!("{module}.{name}"), [&b"\x80\x02"[..], &made, b"."].concat()));
        let beside = [&b"\x80\x02}"[..], &text("state_dict"), &made, b"s."].concat();
        cases.push((format!("{module}.{name} for a state dict"), beside));
    }
    // A pickle that python runs: what is tested would show.
    let python3 = Command::new("python3").arg("-c").arg("import pickle").status();
    if python3.is_ok_and(|status| status.success()) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model"), &cases[0].1).unwrap();
        let load = "import pickle; pickle.load(open('model', 'rb'))";
        Command::new("python3").args(["-c", load]).current_dir(folder.path()).status().unwrap();
        assert!(folder.path().join("was-here").exists(), "the pickles call nothing wherever they are read");
    }
    all_refused(&cases, 20);
}

/// What an exporter wrote.
fn exported(label: &str) -> Vec<u8> {
    let fixtures = residua_tests::onnx();
    let fixture = fixtures.iter().find(|fixture| fixture.label() == label).unwrap_or_else(|| panic!("no {label}"));
    fs::read(&fixture.path).unwrap()
}

#[test]
fn onnx_models_cut_short_anywhere_are_refused() {
    const CUTS: usize = 20;
    let files = [
        "torch/resnet18.legacy16.onnx",
        "torch/resnet18.legacy7.onnx",
        "torch/resnet18.dynamo20.onnx",
        "keras/thin50v2.tf2onnx9.onnx",
    ];
    let cut = |&label: &&str| -> Vec<Case> {
        let bytes = exported(label);
        let ends = (0..CUTS).map(|part| bytes.len() * part / CUTS).chain([bytes.len() - 1]);
        ends.map(|end| (format!("{label}, its first {end} bytes"), bytes[..end].to_vec())).collect()
    };
    all_refused(&files.iter().flat_map(cut).collect::<Vec<_>>(), 80);
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() }
}

/// A graph in a graph in a graph.
fn nested(levels: usize) -> GraphProto {
    let mut graph = GraphProto::default();
    for _ in 0..levels {
        let body = AttributeProto { g: Some(graph), ..attribute("body", AttributeType::Graph) };
        let node = NodeProto { op_type: "Loop".to_owned(), attribute: vec![body], ..NodeProto::default() };
        graph = GraphProto { node: vec![node], ..GraphProto::default() };
    }
    graph
}

/// A lie about a model.
type Lie = (&'static str, fn(&mut ModelProto));

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn kernel(model: &mut ModelProto) -> &mut TensorProto {
    graph(model).initializer.iter_mut().find(|tensor| tensor.dims.len() == 4).unwrap()
}

fn outside(model: &mut ModelProto, entries: &[(&str, &str)]) {
    let kernel = kernel(model);
    kernel.raw_data = Vec::new().into();
    kernel.data_location = DataLocation::External.into();
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    kernel.external_data = entries.iter().map(entry).collect();
}

#[test]
fn onnx_models_that_lie_are_refused() {
    let lies: [Lie; 33] = [
        ("sizes beyond all bytes", |m| kernel(m).dims = vec![1 << 40, 1 << 40, 1, 1]),
        ("sizes that overflow", |m| kernel(m).dims = vec![i64::MAX; 8]),
        ("a size below 0", |m| kernel(m).dims[0] = -1),
        ("a thousand axes", |m| kernel(m).dims = vec![1; 1000]),
        ("one size more", |m| kernel(m).dims[0] += 1),
        ("one size less", |m| kernel(m).dims[0] -= 1),
        ("a type of no number", |m| kernel(m).data_type = 99),
        ("complex numbers", |m| kernel(m).data_type = 14),
        ("strings", |m| kernel(m).data_type = 8),
        ("doubles in bytes of floats", |m| kernel(m).data_type = 11),
        ("no bytes", |m| kernel(m).raw_data = Vec::new().into()),
        ("a few bytes", |m| kernel(m).raw_data = vec![0; 3].into()),
        ("bytes in two places", |m| kernel(m).float_data = vec![0.0; 7]),
        ("data in a password file", |m| outside(m, &[("location", "/etc/passwd")])),
        ("data above the folder", |m| outside(m, &[("location", "../../../../etc/passwd")])),
        ("data above the folder and back", |m| outside(m, &[("location", "x/../../model")])),
        ("data in a file that is not there", |m| outside(m, &[("location", "weights.bin")])),
        ("data in a device", |m| outside(m, &[("location", "/dev/zero")])),
        ("data in the folder itself", |m| outside(m, &[("location", ".")])),
        ("data behind the end", |m| outside(m, &[("location", "model"), ("offset", "99999999999")])),
        ("data from before the start", |m| outside(m, &[("location", "model"), ("offset", "-1")])),
        ("more data than there is", |m| outside(m, &[("location", "model"), ("length", "18446744073709551615")])),
        ("data nowhere", |m| outside(m, &[])),
        ("no graph", |m| m.graph = None),
        ("an operator set below 0", |m| m.opset_import[0].version = -3),
        ("a value that nothing gives", |m| graph(m).node[3].input[0] = "nobody".to_owned()),
        ("a node that reads itself", |m| {
            let node = &mut graph(m).node[3];
            node.input[0] = node.output[0].clone();
        }),
        ("a value that is given twice", |m| {
            let given = graph(m).node[2].output[0].clone();
            graph(m).node[5].output[0] = given;
        }),
        ("a tensor of the name of another", |m| {
            let again = graph(m).initializer[0].clone();
            graph(m).initializer.push(again);
        }),
        ("an output that nothing gives", |m| graph(m).output[0].name = "nobody".to_owned()),
        ("graphs in graphs without end", |m| m.graph = Some(nested(400))),
        ("a function that calls itself", |m| {
            let call = |name: &str| NodeProto {
                op_type: name.to_owned(),
                domain: "local".to_owned(),
                input: vec!["a".to_owned()],
                output: vec!["b".to_owned()],
                ..NodeProto::default()
            };
            m.opset_import.push(OperatorSetIdProto { domain: "local".to_owned(), version: 1 });
            m.functions = ["even", "odd"]
                .map(|name| FunctionProto {
                    name: name.to_owned(),
                    domain: "local".to_owned(),
                    input: vec!["a".to_owned()],
                    output: vec!["b".to_owned()],
                    node: vec![call(if name == "odd" { "even" } else { "odd" })],
                    opset_import: m.opset_import.clone(),
                    ..FunctionProto::default()
                })
                .to_vec();
            let node = &mut graph(m).node[1];
            (node.op_type, node.domain) = ("even".to_owned(), "local".to_owned());
            node.attribute.clear();
            node.input.truncate(1);
        }),
        ("functions that call each other a thousand times each", |m| {
            let call = |name: String, input: &str, output: String| NodeProto {
                op_type: name,
                domain: "local".to_owned(),
                input: vec![input.to_owned()],
                output: vec![output],
                ..NodeProto::default()
            };
            m.opset_import.push(OperatorSetIdProto { domain: "local".to_owned(), version: 1 });
            let sets = m.opset_import.clone();
            let body = |level: usize| FunctionProto {
                name: format!("f{level}"),
                domain: "local".to_owned(),
                input: vec!["a".to_owned()],
                output: vec!["b999".to_owned()],
                node: (0..1000).map(|i| call(format!("f{}", level + 1), "a", format!("b{i}"))).collect(),
                opset_import: sets.clone(),
                ..FunctionProto::default()
            };
            m.functions = (0..6).map(body).collect();
            let node = &mut graph(m).node[1];
            *node = call("f0".to_owned(), "x", node.output[0].clone());
        }),
    ];
    let sound = exported("torch/resnet18.legacy16.onnx");
    let case = |&(what, lie): &Lie| {
        let mut model = ModelProto::decode(&sound[..]).unwrap();
        lie(&mut model);
        (what.to_owned(), model.encode_to_vec())
    };
    all_refused(&lies.iter().map(case).collect::<Vec<_>>(), 33);
}
