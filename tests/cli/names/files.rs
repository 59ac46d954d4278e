//! Files whose every name is of the list, and files that are refused because of what is named so.

use std::fs;
use std::path::Path;

use prost::Message;
use residua::formats::onnx::schema::{
    AttributeProto, AttributeType, DataLocation, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    TypeValue, ValueInfoProto,
};
use serde_json::{Value, json};

use super::{HOSTILE, name, stored};

/// Blocks of the network: enough for each name of the list to be that of a layer.
const BLOCKS: usize = 9;
const CHANNELS: i64 = 4;

/// Gives what is named its name.
type Namer<'a> = &'a dyn Fn(usize) -> String;

fn tensor(name: String, dims: &[i64], seed: usize) -> TensorProto {
    let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
    let value = |index: usize| ((index * 7 + seed * 13) % 17) as f32 / 40.0 + 0.05;
    TensorProto {
        name,
        dims: dims.to_vec(),
        data_type: 1,
        float_data: (0..count).map(value).collect(),
        ..TensorProto::default()
    }
}

fn typed(name: String, free: &str, sizes: &[i64]) -> ValueInfoProto {
    let size = |value| DimensionProto { value: Some(value), ..DimensionProto::default() };
    let dims = sizes.iter().map(|&number| size(DimensionValue::Value(number)));
    let dim = std::iter::once(size(DimensionValue::Param(free.to_owned()))).chain(dims).collect();
    let tensor = TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name,
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() }),
        doc_string: HOSTILE.concat(),
        ..ValueInfoProto::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let (name, ints) = (name.to_owned(), ints.to_vec());
    AttributeProto { name, ints, r#type: AttributeType::Ints.into(), ..AttributeProto::default() }
}

fn entries(call: Namer) -> Vec<StringStringEntryProto> {
    (0..HOSTILE.len()).map(|index| StringStringEntryProto { key: call(index), value: call(index + 1) }).collect()
}

/// A residual network; nodes are named from 1000 on, what they give from 2000, tensors from 3000.
struct Net<'a> {
    call: Namer<'a>,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Net<'_> {
    fn node(&mut self, op: &str, inputs: &[String], attribute: Vec<AttributeProto>) -> String {
        let index = self.nodes.len();
        let output = (self.call)(2000 + index);
        self.nodes.push(NodeProto {
            input: inputs.to_vec(),
            output: vec![output.clone()],
            name: (self.call)(1000 + index),
            op_type: op.to_owned(),
            attribute,
            doc_string: (self.call)(index),
            metadata_props: entries(self.call),
            ..NodeProto::default()
        });
        output
    }

    fn tensor(&mut self, dims: &[i64]) -> String {
        let index = self.tensors.len();
        let name = (self.call)(3000 + index);
        self.tensors.push(tensor(name.clone(), dims, index));
        name
    }

    fn conv(&mut self, x: &str) -> String {
        let kernel = self.tensor(&[CHANNELS, CHANNELS, 3, 3]);
        let y = self.node("Conv", &[x.to_owned(), kernel], vec![ints("pads", &[1, 1, 1, 1])]);
        let norm: Vec<String> = (0..4).map(|_| self.tensor(&[CHANNELS])).collect();
        self.node("BatchNormalization", &[&[y], &norm[..]].concat(), Vec::new())
    }
}

/// The network as a model.
fn network(call: Namer) -> ModelProto {
    let mut net = Net { call, nodes: Vec::new(), tensors: Vec::new() };
    let input = call(4000);
    let mut x = input.clone();
    for _ in 0..BLOCKS {
        let y = net.conv(&x);
        let y = net.node("Relu", &[y], Vec::new());
        let y = net.conv(&y);
        let sum = net.node("Add", &[x, y], Vec::new());
        x = net.node("Relu", &[sum], Vec::new());
    }
    let x = net.node("GlobalAveragePool", &[x], Vec::new());
    let x = net.node("Flatten", &[x], Vec::new());
    let weight = net.tensor(&[CHANNELS, 3]);
    let output = net.node("MatMul", &[x, weight], Vec::new());
    let graph = GraphProto {
        node: net.nodes,
        name: call(0),
        initializer: net.tensors,
        doc_string: HOSTILE.concat(),
        input: vec![typed(input, &call(5000), &[CHANNELS, 8, 8])],
        output: vec![typed(output, &call(5000), &[3])],
        metadata_props: entries(call),
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 10,
        producer_name: call(1),
        producer_version: call(2),
        domain: call(3),
        doc_string: HOSTILE.concat(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        metadata_props: entries(call),
        ..ModelProto::default()
    }
}

/// Names of all nodes of the network.
pub(crate) fn layers() -> Vec<String> {
    network(&name).graph.unwrap().node.into_iter().map(|node| node.name).collect()
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

/// Something to find in many places, each called by a name of the list.
fn faulty() -> ModelProto {
    let mut model = network(&name);
    let graph = graph(&mut model);
    for (index, tensor) in graph.initializer.iter_mut().enumerate() {
        match index % 5 {
            0 => tensor.float_data[0] = f32::NAN,
            4 => tensor.float_data[0] = -1.0,
            _ => tensor.float_data.fill(0.0),
        }
    }
    graph.value_info = (0..10).map(|index| typed(name(2000 + index), &name(index), &[1, 2, 3])).collect();
    graph.initializer.push(tensor(name(6000), &[2], 0));
    graph.node[6].name = graph.node[5].name.clone();
    model.metadata_props.push(StringStringEntryProto { key: name(0), value: String::new() });
    model
}

/// Operators that are not known, of domains that are not declared.
fn unknown() -> ModelProto {
    let mut model = network(&name);
    let graph = graph(&mut model);
    for (index, node) in graph.node.iter_mut().enumerate().filter(|(_, node)| node.op_type == "Relu") {
        (node.op_type, node.domain, node.overload) = (name(index), name(index + 7), name(index + 9));
        node.attribute = vec![AttributeProto {
            name: name(index),
            s: Some(name(index).into_bytes().into()),
            r#type: AttributeType::String.into(),
            ..AttributeProto::default()
        }];
    }
    model
}

/// The models that commands are run on, beside `plain.onnx` with ordinary names and `other.onnx` with other numbers.
pub(crate) fn models(folder: &Path) {
    let write = |file: &str, model: &ModelProto| fs::write(folder.join(file), model.encode_to_vec()).unwrap();
    let plain = network(&|index| format!("name{index}"));
    let mut other = plain.clone();
    graph(&mut other).initializer[0].float_data.iter_mut().for_each(|value| *value += 1.0);
    for (file, model) in [
        ("hostile.onnx", &network(&name)),
        ("plain.onnx", &plain),
        ("other.onnx", &other),
        ("faulty.onnx", &faulty()),
        ("unknown.onnx", &unknown()),
    ] {
        write(file, model);
    }
    // A line is a label.
    let labels: Vec<String> = HOSTILE[..3].iter().map(|label| label.replace(['\n', '\r'], " ")).collect();
    fs::write(folder.join("labels.txt"), labels.join("\n")).unwrap();
}

/// Operators that nobody knows, one behind the other: a drawing shows what they are called.
pub(crate) fn chain(hostile: &str) -> Vec<u8> {
    let mut net = Net { call: &|index| format!("{hostile}{index}"), nodes: Vec::new(), tensors: Vec::new() };
    let first = net.node(hostile, &[hostile.to_owned()], Vec::new());
    let last = net.node(hostile, &[first], Vec::new());
    net.nodes.iter_mut().for_each(|node| node.domain = hostile.to_owned());
    let (input, output) = (typed(hostile.to_owned(), hostile, &[3, 8, 8]), typed(last, hostile, &[3, 8, 8]));
    let graph = GraphProto { node: net.nodes, input: vec![input], output: vec![output], ..GraphProto::default() };
    let opset_import =
        ["", hostile].map(|domain| OperatorSetIdProto { domain: domain.to_owned(), version: 17 }).to_vec();
    ModelProto { ir_version: 10, graph: Some(graph), opset_import, ..ModelProto::default() }.encode_to_vec()
}

/// A model with a layer, a tensor and an input of a name that is too long to be one.
pub(crate) fn with_long_name(long: &str) -> Vec<u8> {
    let mut model = network(&|index| if index % 1000 == 0 { format!("{long}{index}") } else { format!("name{index}") });
    graph(&mut model).initializer[0].float_data[0] = 0.0;
    for entries in [&mut model.metadata_props, &mut model.graph.as_mut().unwrap().metadata_props] {
        entries.clear();
    }
    model.graph.as_mut().unwrap().node.iter_mut().for_each(|node| node.metadata_props.clear());
    model.encode_to_vec()
}

/// A safetensors file of a tensor.
pub(crate) fn safetensors(name: &str) -> Vec<u8> {
    of_header(&json!({ name: { "dtype": "F32", "shape": [2], "data_offsets": [0, 8] } }))
}

fn of_header(header: &Value) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
}

/// A file that is refused: what it is, and its bytes.
pub(crate) type Refused = (String, Vec<u8>);

pub(crate) fn refused() -> Vec<Refused> {
    HOSTILE
        .into_iter()
        .flat_map(|hostile| {
            [onnx(hostile), of_tensors(hostile), pickles(hostile), keras(hostile), stored::refused(hostile)].concat()
        })
        .collect()
}

fn onnx(hostile: &str) -> Vec<Refused> {
    type Lie = fn(&mut ModelProto, &str);
    let lies: [(&str, Lie); 14] = [
        ("a value that nothing gives", |m, n| graph(m).node[3].input[0] = n.to_owned()),
        ("an output that nothing gives", |m, n| graph(m).output[0].name = n.to_owned()),
        ("a value that is given twice", |m, n| {
            graph(m).node[2].output[0] = n.to_owned();
            graph(m).node[5].output[0] = n.to_owned();
        }),
        ("a node that reads itself", |m, n| {
            let node = &mut graph(m).node[3];
            (node.name, node.input[0], node.output[0]) = (n.to_owned(), n.to_owned(), n.to_owned());
        }),
        ("a tensor without numbers", |m, n| {
            let tensor = &mut graph(m).initializer[0];
            tensor.name = n.to_owned();
            tensor.float_data.clear();
        }),
        ("a tensor of no type", |m, n| {
            let tensor = &mut graph(m).initializer[0];
            (tensor.name, tensor.data_type) = (n.to_owned(), 99);
        }),
        ("data that is elsewhere", |m, n| outside(m, &[("location", n)])),
        ("data from no number on", |m, n| outside(m, &[("location", "model"), ("offset", n)])),
        ("data of no length", |m, n| outside(m, &[("location", "model"), ("length", n)])),
        ("an operator that it is not", |m, n| {
            let node = &mut graph(m).node[0];
            (node.name, node.op_type) = (n.to_owned(), "Gemm".to_owned());
        }),
        ("an attribute that it has not", |m, n| graph(m).node[0].attribute[0].ref_attr_name = n.to_owned()),
        ("an attribute twice", |m, n| {
            let again = AttributeProto { name: n.to_owned(), ..graph(m).node[0].attribute[0].clone() };
            graph(m).node[0].attribute.extend([again.clone(), again]);
        }),
        ("a domain twice", |m, n| {
            let set = |version| OperatorSetIdProto { domain: n.to_owned(), version };
            m.opset_import.extend([set(1), set(2)]);
        }),
        ("a function that calls itself", |m, n| {
            let call = |output: &str| NodeProto {
                op_type: n.to_owned(),
                domain: n.to_owned(),
                name: n.to_owned(),
                input: vec![n.to_owned()],
                output: vec![output.to_owned()],
                ..NodeProto::default()
            };
            m.opset_import.push(OperatorSetIdProto { domain: n.to_owned(), version: 1 });
            m.functions.push(FunctionProto {
                name: n.to_owned(),
                domain: n.to_owned(),
                input: vec![n.to_owned()],
                output: vec!["b".to_owned()],
                node: vec![call("b")],
                opset_import: m.opset_import.clone(),
                ..FunctionProto::default()
            });
            let input = graph(m).input[0].name.clone();
            graph(m).node.push(NodeProto { input: vec![input], ..call("unread") });
        }),
    ];
    let plain = network(&|index| format!("name{index}"));
    let lie = |(what, lie): (&str, Lie)| {
        let mut model = plain.clone();
        lie(&mut model, hostile);
        (what.to_owned(), model.encode_to_vec())
    };
    lies.into_iter().map(lie).collect()
}

fn outside(model: &mut ModelProto, entries: &[(&str, &str)]) {
    let tensor = &mut graph(model).initializer[0];
    tensor.float_data.clear();
    tensor.data_location = DataLocation::External.into();
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    tensor.external_data = entries.iter().map(entry).collect();
}

fn of_tensors(hostile: &str) -> Vec<Refused> {
    let entry = json!({ "dtype": "F32", "shape": [2], "data_offsets": [0, 8] });
    let with = |key: &str, value: Value| {
        let mut entry = entry.clone();
        entry[key] = value;
        of_header(&json!({ "conv1.weight": entry }))
    };
    vec![
        ("a tensor of no network".to_owned(), safetensors(hostile)),
        (
            "two tensors of no network".to_owned(),
            of_header(&json!({ hostile: &entry, format!("layer1.0.{hostile}"): &entry })),
        ),
        ("a tensor of no type".to_owned(), with("dtype", json!(hostile))),
        ("a shape of words".to_owned(), with("shape", json!([hostile]))),
        ("a key that no entry has".to_owned(), with(hostile, json!(1))),
        (
            "a shape that lies".to_owned(),
            of_header(&json!({ hostile: { "dtype": "F32", "shape": [3], "data_offsets": [0, 8] } })),
        ),
        (
            "metadata of another kind".to_owned(),
            of_header(&json!({ "__metadata__": { hostile: [hostile] }, "a": &entry })),
        ),
        (
            "a graph that is none".to_owned(),
            of_header(&json!({ "__metadata__": { "residua.graph": hostile }, "a": &entry })),
        ),
        (
            "a graph with keys that it has not".to_owned(),
            of_header(
                &json!({ "__metadata__": { "residua.graph": json!({ hostile: hostile }).to_string() }, "a": &entry }),
            ),
        ),
    ]
}

fn pickles(hostile: &str) -> Vec<Refused> {
    let text = |text: &str| [&[b'X'][..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
    let pickle = |parts: &[&[u8]]| [&b"\x80\x04"[..], &parts.concat(), b"."].concat();
    let (name, module) = (text(hostile), text("torch.nn"));
    let called = [&name[..], &name, b"\x93", &name, b"\x85R"].concat();
    vec![
        ("a text".to_owned(), pickle(&[&name])),
        ("a call of nobody".to_owned(), pickle(&[&called])),
        ("a call in a state dict".to_owned(), pickle(&[b"}", &name, &called, b"s"])),
        ("a class of nobody".to_owned(), pickle(&[b"}", &name, &module, &name, b"\x93", b"s"])),
        ("a state of nobody".to_owned(), pickle(&[&module, &name, b"\x93)\x81}", &name, &name, b"sb"])),
        (
            "a storage of nobody".to_owned(),
            pickle(&[b"}", &name, b"(", &text("storage"), &name, &name, &name, b"K\x02tQs"]),
        ),
        ("numbers by names".to_owned(), pickle(&[b"}", &name, b"K\x01s"])),
    ]
}

/// A `.keras` archive of a configuration.
fn archive(config: &Value) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.keras");
    let sound = residua_tests::folder().join("faults/sound.keras");
    residua_tests::with_member_changed(&sound, &file, "config.json", |bytes| *bytes = config.to_string().into_bytes());
    fs::read(file).unwrap()
}

fn keras(hostile: &str) -> Vec<Refused> {
    type Lie = fn(&mut Value, &str);
    let lies: [(&str, Lie); 10] = [
        ("a layer of another name", |layer, n| layer["name"] = json!(n)),
        ("a layer of another name in its configuration", |layer, n| layer["config"]["name"] = json!(n)),
        ("a layer of no class", |layer, n| layer["class_name"] = json!(n)),
        ("a module of no class", |layer, n| {
            (layer["module"], layer["registered_name"], layer["class_name"]) = (json!(n), json!(n), json!(n))
        }),
        ("a padding of no kind", |layer, n| layer["config"]["padding"] = json!(n)),
        ("an activation of no kind", |layer, n| layer["config"]["activation"] = json!(n)),
        ("words for numbers", |layer, n| layer["config"]["strides"] = json!([n, n])),
        ("an order of no axes", |layer, n| layer["config"]["data_format"] = json!(n)),
        ("a type of no numbers", |layer, n| {
            layer["config"]["dtype"] = json!({ "class_name": n, "config": { "name": n } })
        }),
        ("an input from nowhere", |layer, n| {
            layer["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = json!([n, 0, 0]);
        }),
    ];
    let lie = |(what, lie): (&str, Lie)| {
        let mut config = config();
        lie(&mut config["config"]["layers"][1], hostile);
        (what.to_owned(), archive(&config))
    };
    lies.into_iter().map(lie).collect()
}

pub(crate) fn config() -> Value {
    let bytes = residua_tests::member(&residua_tests::folder().join("faults/sound.keras"), "config.json");
    serde_json::from_slice(&bytes).unwrap()
}

/// Files beside a model that say something of it, and the command that reads them.
pub(crate) fn beside(folder: &Path, hostile: &str) -> Vec<(&'static str, Vec<String>)> {
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    let sharded = folder.join("sharded");
    fs::create_dir_all(&sharded).unwrap();
    let index = json!({ "metadata": { hostile: hostile }, "weight_map": { hostile: hostile } });
    fs::write(sharded.join("model.safetensors.index.json"), index.to_string()).unwrap();
    let configured = folder.join("configured");
    fs::create_dir_all(&configured).unwrap();
    fs::write(configured.join("model.safetensors"), safetensors(hostile)).unwrap();
    let config =
        json!({ "model_type": hostile, "architectures": [hostile], "id2label": { "0": hostile }, hostile: hostile });
    fs::write(configured.join("config.json"), config.to_string()).unwrap();
    // What TOML and JSON can hold at all, they hold as escapes.
    let quoted = json!(hostile).to_string().replace("\\/", "/").replace('\u{7f}', "\\u007f");
    write("keys.toml", &format!("{quoted} = 1\n"));
    write("values.toml", &format!("expect = {quoted}\n"));
    write("levels.toml", &format!("levels.{quoted} = \"warning\"\n"));
    write("models.toml", &format!("[[model]]\nfiles = [{quoted}]\ntarget = [{quoted}]\n"));
    write("broken.toml", hostile);
    write("baseline.json", &json!({ "schema": hostile, hostile: hostile }).to_string());
    write("broken.json", hostile);
    write("manifest.json", &json!({ "schema": hostile, hostile: hostile }).to_string());
    write("labels.one", hostile);
    write("array.npy", hostile);
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
    vec![
        ("an index", words(&["inspect", "sharded"])),
        ("a configuration", words(&["inspect", "configured"])),
        ("a configuration", words(&["check", "configured", "--format", "json"])),
        ("a key of settings", words(&["check", "plain.onnx", "--config", "keys.toml"])),
        ("a value of settings", words(&["check", "plain.onnx", "--config", "values.toml"])),
        ("a level of settings", words(&["check", "plain.onnx", "--config", "levels.toml"])),
        ("models of settings", words(&["check", "plain.onnx", "--config", "models.toml"])),
        ("settings", words(&["check", "plain.onnx", "--config", "broken.toml"])),
        ("a baseline", words(&["check", "plain.onnx", "--baseline", "baseline.json"])),
        ("a baseline", words(&["check", "plain.onnx", "--baseline", "broken.json"])),
        ("a manifest", words(&["check", "plain.onnx", "other.onnx", "--manifest", "manifest.json"])),
        ("a manifest", words(&["check", "plain.onnx", "other.onnx", "--manifest", "broken.json"])),
        ("labels", words(&["run", "plain.onnx", "--random", "1", "--top", "1", "--labels", "labels.one"])),
        ("an array", words(&["run", "plain.onnx", "--input", "array.npy"])),
    ]
}
