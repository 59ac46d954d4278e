//! Faults planted in the text of exported ONNX models: each is found, with its code, its level and its node.

use std::path::Path;

use prost::Message;
use residua::formats::onnx::schema::{
    AttributeProto, AttributeType, DataLocation, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    ValueInfoProto,
};
use serde_json::Value;

use crate::{json, residua};

/// Networks of three exporters.
const NETWORKS: [&str; 3] = ["keras/thin50v2.keras.onnx", "torch/resnet50.legacy17.onnx", "torch/resnet50.dynamo.onnx"];

fn model(label: &str) -> ModelProto {
    let fixture = residua_tests::onnx().iter().find(|fixture| fixture.label() == label).unwrap();
    ModelProto::decode(&std::fs::read(&fixture.path).unwrap()[..]).unwrap()
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

/// Positions of the nodes of an operator.
fn all(graph: &GraphProto, op: &str) -> Vec<usize> {
    let nodes = graph.node.iter().enumerate();
    nodes.filter(|(_, node)| node.op_type == op).map(|(index, _)| index).collect()
}

fn called(node: &NodeProto) -> String {
    if node.name.is_empty() { node.output[0].clone() } else { node.name.clone() }
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}

fn typed(name: &str, sizes: &[i64]) -> ValueInfoProto {
    let dim = sizes
        .iter()
        .map(|&size| DimensionProto { value: Some(DimensionValue::Value(size)), ..DimensionProto::default() });
    let tensor = TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim: dim.collect() }) };
    let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
}

/// The kernel of a convolution.
fn kernel(graph: &mut GraphProto, conv: usize) -> &mut TensorProto {
    let name = graph.node[conv].input[1].clone();
    graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()
}

/// A fault: what it is called, how it is planted, and the node where it is to be found, empty where there is none.
type Fault = (&'static str, fn(&mut ModelProto) -> String, &'static [&'static str], &'static str);

const FAULTS: [Fault; 26] = [
    (
        "a cycle",
        |m| {
            let g = graph(m);
            let (first, later) = (all(g, "Conv")[4], all(g, "Conv")[6]);
            g.node[first].input[0] = g.node[later].output[0].clone();
            called(&g.node[first])
        },
        &["R109"],
        "error",
    ),
    (
        "a node that reads itself",
        |m| {
            let g = graph(m);
            let at = all(g, "Relu")[3];
            g.node[at].input[0] = g.node[at].output[0].clone();
            called(&g.node[at])
        },
        &["R109"],
        "error",
    ),
    (
        "a value that nothing gives",
        |m| {
            let g = graph(m);
            let at = all(g, "Add")[2];
            g.node[at].input[1] = "nowhere".to_owned();
            called(&g.node[at])
        },
        &["R110"],
        "error",
    ),
    (
        "an output that nothing gives",
        |m| {
            graph(m).output[0].name = "nowhere".to_owned();
            "nowhere".to_owned()
        },
        &["R110"],
        "error",
    ),
    (
        "a result of the name of another",
        |m| {
            let g = graph(m);
            let (first, second) = (all(g, "Conv")[2], all(g, "Conv")[3]);
            g.node[second].output[0] = g.node[first].output[0].clone();
            called(&g.node[second])
        },
        &["R111"],
        "error",
    ),
    (
        "two tensors of one name",
        |m| {
            let g = graph(m);
            g.initializer[1].name = g.initializer[0].name.clone();
            g.initializer[0].name.clone()
        },
        &["R111"],
        "error",
    ),
    (
        "a node whose result is not read",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[3];
            let mut twin = g.node[at].clone();
            twin.name = "twin".to_owned();
            twin.output[0] = "twin_result".to_owned();
            g.node.insert(at + 1, twin);
            "twin".to_owned()
        },
        &["R104"],
        "warning",
    ),
    (
        "an input that nothing reads",
        |m| {
            graph(m).input.push(typed("mask", &[1, 4]));
            "mask".to_owned()
        },
        &["R113"],
        "warning",
    ),
    (
        "two nodes of one name",
        |m| {
            let g = graph(m);
            let (first, second) = (all(g, "Relu")[0], all(g, "Relu")[1]);
            g.node[first].name = "again".to_owned();
            g.node[second].name = "again".to_owned();
            "again".to_owned()
        },
        &["R604"],
        "warning",
    ),
    (
        "a declared shape that does not follow",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[5];
            let name = g.node[at].output[0].clone();
            g.value_info.retain(|info| info.name != name);
            g.value_info.push(typed(&name, &[1, 3, 999, 7]));
            called(&g.node[at])
        },
        &["R112"],
        "error",
    ),
    (
        "a declared rank that does not follow",
        |m| {
            let g = graph(m);
            let at = all(g, "Relu")[5];
            let name = g.node[at].output[0].clone();
            g.value_info.retain(|info| info.name != name);
            g.value_info.push(typed(&name, &[1, 3, 7]));
            called(&g.node[at])
        },
        &["R112"],
        "error",
    ),
    (
        "a kernel of other channels",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[3];
            let dims = &mut kernel(g, at).dims;
            (dims[0], dims[1]) = (dims[0] / 2, dims[1] * 2);
            called(&g.node[at])
        },
        &["R101"],
        "error",
    ),
    (
        "groups that do not divide",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[3];
            g.node[at].attribute.retain(|attribute| attribute.name != "group");
            let ty = AttributeType::Int.into();
            g.node[at].attribute.push(AttributeProto {
                name: "group".to_owned(),
                i: Some(3),
                r#type: ty,
                ..AttributeProto::default()
            });
            called(&g.node[at])
        },
        &["R101"],
        "error",
    ),
    (
        "a sum of unequal branches",
        |m| {
            let g = graph(m);
            let (early, late) = (all(g, "Conv")[1], *all(g, "Add").last().unwrap());
            g.node[late].input[1] = g.node[early].output[0].clone();
            called(&g.node[late])
        },
        &["R108", "R207"],
        "error",
    ),
    (
        "no IR version",
        |m| {
            m.ir_version = 0;
            String::new()
        },
        &["R601"],
        "error",
    ),
    (
        "no operator set",
        |m| {
            m.opset_import.clear();
            String::new()
        },
        &["R601"],
        "error",
    ),
    (
        "an operator set that is newer than the format",
        |m| {
            m.ir_version = 5;
            String::new()
        },
        &["R601"],
        "warning",
    ),
    (
        "operators declared twice",
        |m| {
            let set = OperatorSetIdProto { domain: "ai.onnx".to_owned(), version: 14 };
            m.opset_import.push(set);
            String::new()
        },
        &["R601"],
        "warning",
    ),
    (
        "a domain that is not declared",
        |m| {
            let g = graph(m);
            let at = all(g, "Relu")[2];
            g.node[at].domain = "com.example".to_owned();
            called(&g.node[at])
        },
        &["R602"],
        "error",
    ),
    ("data in an absolute path", |m| outside(m, "/etc/hostname"), &["R605"], "error"),
    ("data outside of the folder", |m| outside(m, "../weights.data"), &["R605"], "error"),
    ("data that is not there", |m| outside(m, "gone.data"), &["R605"], "error"),
    (
        "a tensor that was cut off",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[3];
            let kernel = kernel(g, at);
            kernel.raw_data.truncate(kernel.raw_data.len() - 4);
            String::new()
        },
        &["R606"],
        "error",
    ),
    (
        "a key twice in the metadata",
        |m| {
            m.metadata_props.extend([entry("labels", "a"), entry("labels", "b")]);
            String::new()
        },
        &["R608"],
        "error",
    ),
    (
        "a node before what it reads",
        |m| {
            let g = graph(m);
            let at = all(g, "Conv")[3];
            let node = g.node.remove(at);
            g.node.push(node.clone());
            // Found where it is read, which is nearer to the front.
            let reader = g.node.iter().find(|other| other.input.contains(&node.output[0])).unwrap();
            called(reader)
        },
        &["R609"],
        "error",
    ),
    (
        "no name of the graph",
        |m| {
            graph(m).name.clear();
            String::new()
        },
        &["R610"],
        "error",
    ),
];

fn outside(model: &mut ModelProto, location: &str) -> String {
    let g = graph(model);
    let at = all(g, "Conv")[3];
    let kernel = kernel(g, at);
    kernel.raw_data = Vec::new().into();
    kernel.data_location = DataLocation::External.into();
    kernel.external_data = vec![entry("location", location)];
    String::new()
}

/// What is wrong with how `check` takes a planted fault, if anything.
fn complaint(folder: &Path, label: &str, (what, plant, codes, level): &Fault) -> Option<String> {
    let mut planted = model(label);
    let node = plant(&mut planted);
    std::fs::write(folder.join("planted.onnx"), planted.encode_to_vec()).unwrap();
    let (document, status) = json(folder, &["check", "planted.onnx"]);
    let findings = document["findings"].as_array().unwrap();
    let matches = |finding: &&Value| {
        codes.iter().any(|code| finding["code"] == *code)
            && finding["level"] == *level
            && (node.is_empty() || finding["node"] == node.as_str())
    };
    let told = findings.iter().any(|finding| matches(&finding));
    let expected = i32::from(*level == "error");
    if told && status == expected {
        return None;
    }
    let all: Vec<String> =
        findings.iter().map(|f| format!("{} {} {} {}", f["level"], f["code"], f["node"], f["message"])).collect();
    Some(format!("{what} in {label}: exit {status}, expected {codes:?} at `{node}`, found\n  {}", all.join("\n  ")))
}

#[test]
fn each_fault_in_each_network_is_found_with_its_code_level_and_node() {
    let folder = tempfile::tempdir().unwrap();
    let mut complaints = Vec::new();
    for label in NETWORKS {
        complaints.extend(FAULTS.iter().filter_map(|fault| complaint(folder.path(), label, fault)));
    }
    assert!(complaints.is_empty(), "{} of them:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn what_is_no_graph_is_refused_by_all_that_would_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plant, ..) = FAULTS[0];
    let mut planted = model(NETWORKS[1]);
    let node = plant(&mut planted);
    std::fs::write(folder.path().join("planted.onnx"), planted.encode_to_vec()).unwrap();
    for args in
        [&["inspect", "planted.onnx"][..], &["convert", "planted.onnx", "out.onnx"], &["layouts", "planted.onnx"]]
    {
        let done = residua(folder.path(), args);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && stderr.contains(&node), "{args:?}: {stderr}");
    }
    assert!(!folder.path().join("out.onnx").exists());
    // Who wants to hear of no such finding still gets no model that passes.
    let done = residua(folder.path(), &["check", "planted.onnx", "--level", "cycle=off"]);
    assert_eq!(done.status.code(), Some(2));
}

#[test]
fn what_is_missing_or_may_be_replaced_is_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let mut legacy = model(NETWORKS[1]);
    graph(&mut legacy).value_info.clear();
    let first = graph(&mut legacy).initializer[0].clone();
    graph(&mut legacy).input.push(typed(&first.name, &first.dims));
    std::fs::write(folder.path().join("noted.onnx"), legacy.encode_to_vec()).unwrap();
    let (document, status) = json(folder.path(), &["check", "noted.onnx"]);
    let notes: Vec<&str> = document["findings"].as_array().unwrap().iter().filter_map(|f| f["code"].as_str()).collect();
    assert!(notes.contains(&"R603") && notes.contains(&"R607") && status == 0, "{notes:?}");
}
