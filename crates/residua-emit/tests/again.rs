//! An ONNX model that is written again says what it said, and what is not known of it stays as it is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

use prost::Message;
use residua_emit::onnx::{self, OnnxOptions, natural_float, opset_for};
use residua_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    ValueInfoProto,
};
use residua_ir::{DType, Graph, validate};

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}

fn info(name: &str, kind: DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| {
        let value = text.parse().map_or_else(|_| DimensionValue::Param((*text).to_owned()), DimensionValue::Value);
        DimensionProto { value: Some(value), ..DimensionProto::default() }
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = TensorTypeProto { elem_type: kind.into(), shape };
    let ty = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type: ty, ..ValueInfoProto::default() }
}

fn image(name: &str) -> ValueInfoProto {
    info(name, DataType::Float, &["batch", "2", "5", "5"])
}

fn node(op: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto {
        op_type: op.to_owned(),
        name: name.to_owned(),
        input: list(inputs),
        output: list(outputs),
        ..NodeProto::default()
    }
}

fn tensor(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Float.into(),
        float_data: (0..count).map(|i| i as f32 / 8.0 - 1.0).collect(),
        ..TensorProto::default()
    }
}

fn model(graph: GraphProto, opset: i64) -> ModelProto {
    ModelProto {
        ir_version: 9,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn read(model: &ModelProto) -> Graph {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    residua_import::load(&path).unwrap()
}

fn options(graph: &Graph) -> OnnxOptions {
    let options = OnnxOptions { float: natural_float(graph), ..OnnxOptions::default() };
    // Where none can, writing says why.
    let opset = validate(graph.clone()).map(|checked| opset_for(&checked, &options));
    OnnxOptions { opset: opset.map_or(17, |found| found.map_or(17, |(opset, _)| opset)), ..options }
}

fn write(graph: Graph, options: &OnnxOptions) -> Result<ModelProto, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let checked = validate(graph).map_err(|error| error.to_string())?;
    onnx::write(&checked, options, &path).map_err(|error| error.to_string())?;
    Ok(ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap())
}

fn again(model: &ModelProto) -> ModelProto {
    let graph = read(model);
    let options = options(&graph);
    write(graph, &options).unwrap()
}

/// A convolution and an activation with something said of everything.
fn talkative() -> ModelProto {
    let mut conv = node("Conv", "the conv", &["x", "kernel"], &["middle"]);
    conv.doc_string = "of the conv".to_owned();
    conv.metadata_props = vec![entry("namespace", "stem")];
    let graph = GraphProto {
        name: "the graph".to_owned(),
        doc_string: "of the graph".to_owned(),
        metadata_props: vec![entry("author", "somebody")],
        node: vec![conv, node("Relu", "the relu", &["middle"], &["y"])],
        initializer: vec![TensorProto { doc_string: "of the kernel".to_owned(), ..tensor("kernel", &[3, 2, 1, 1]) }],
        input: vec![ValueInfoProto { doc_string: "of x".to_owned(), ..image("x") }],
        output: vec![info("y", DataType::Float, &["batch", "3", "5", "5"])],
        value_info: vec![ValueInfoProto {
            doc_string: "of what is between".to_owned(),
            ..info("middle", DataType::Float, &["batch", "3", "5", "5"])
        }],
        ..GraphProto::default()
    };
    ModelProto {
        producer_name: "somebody's exporter".to_owned(),
        producer_version: "4.2".to_owned(),
        domain: "org.example".to_owned(),
        model_version: 7,
        doc_string: "of the model".to_owned(),
        metadata_props: vec![entry("labels", "cat,dog"), entry("a", "b")],
        ..model(graph, 19)
    }
}

#[test]
fn a_model_says_again_what_it_said() {
    let source = talkative();
    let written = again(&source);
    assert_eq!((written.ir_version, &written.opset_import), (source.ir_version, &source.opset_import));
    assert_eq!((&written.producer_name, &written.producer_version), (&source.producer_name, &source.producer_version));
    assert_eq!((&written.domain, written.model_version), (&source.domain, source.model_version));
    assert_eq!(written.doc_string, source.doc_string);
    assert_eq!(written.metadata_props[..2], source.metadata_props);
    let (before, after) = (source.graph.unwrap(), written.graph.unwrap());
    assert_eq!(
        (&after.name, &after.doc_string, &after.metadata_props),
        (&before.name, &before.doc_string, &before.metadata_props)
    );
    assert_eq!((&after.input, &after.output), (&before.input, &before.output));
    let said = |node: &NodeProto| {
        (
            node.name.clone(),
            node.input.clone(),
            node.output.clone(),
            node.doc_string.clone(),
            node.metadata_props.clone(),
        )
    };
    assert_eq!(after.node.iter().map(said).collect::<Vec<_>>(), before.node.iter().map(said).collect::<Vec<_>>());
    assert_eq!(
        (&after.initializer[0].name, &after.initializer[0].doc_string),
        (&"kernel".to_owned(), &"of the kernel".to_owned())
    );
    assert_eq!(
        (after.value_info[0].name.as_str(), after.value_info[0].doc_string.as_str()),
        ("middle", "of what is between")
    );
}

#[test]
fn what_is_written_twice_is_the_same_bytes() {
    let once = again(&talkative());
    assert_eq!(again(&once).encode_to_vec(), once.encode_to_vec());
}

#[test]
fn an_operator_set_that_is_asked_for_has_the_version_of_the_format_that_it_came_with() {
    let graph = read(&talkative());
    let options = OnnxOptions { opset: 13, ..options(&graph) };
    let written = write(graph, &options).unwrap();
    assert_eq!((written.ir_version, written.opset_import[0].version), (7, 13));
    assert_eq!(written.producer_name, "somebody's exporter");
}

/// What exporters of 2018 wrote: a lower and an upper bound, padding and axes as attributes.
fn of_2018() -> ModelProto {
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: name.to_owned(),
        ints: ints.to_vec(),
        r#type: AttributeType::Ints.into(),
        ..AttributeProto::default()
    };
    let real = |name: &str, f: f32| AttributeProto {
        name: name.to_owned(),
        f: Some(f),
        r#type: AttributeType::Float.into(),
        ..AttributeProto::default()
    };
    let with = |node: NodeProto, attribute: Vec<AttributeProto>| NodeProto { attribute, ..node };
    let graph = GraphProto {
        node: vec![
            with(
                node("Pad", "pad", &["x"], &["padded"]),
                vec![ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]), real("value", 0.5)],
            ),
            with(node("Clip", "clip", &["padded"], &["clipped"]), vec![real("min", -0.25), real("max", 0.75)]),
            with(
                node("Slice", "slice", &["clipped"], &["row"]),
                vec![ints("axes", &[2]), ints("starts", &[-1]), ints("ends", &[9])],
            ),
            with(node("Squeeze", "squeeze", &["row"], &["y"]), vec![ints("axes", &[2])]),
        ],
        input: vec![image("x")],
        output: vec![info("y", DataType::Float, &["batch", "2", "7"])],
        ..GraphProto::default()
    };
    ModelProto { ir_version: 3, ..model(graph, 7) }
}

#[test]
fn an_old_operator_set_is_kept_and_so_is_how_it_says_things() {
    let source = of_2018();
    let written = again(&source);
    assert_eq!((written.ir_version, written.opset_import[0].version), (3, 7));
    let (before, after) = (source.graph.unwrap(), written.graph.as_ref().unwrap());
    assert!(after.initializer.is_empty(), "{:?}", after.initializer);
    for (before, after) in before.node.iter().zip(&after.node) {
        let sorted = |node: &NodeProto| {
            let mut attributes = node.attribute.clone();
            attributes.sort_by(|a, b| a.name.cmp(&b.name));
            attributes
        };
        assert_eq!((&before.op_type, &before.input), (&after.op_type, &after.input));
        // No end is beyond all ends.
        if before.op_type != "Slice" {
            assert_eq!(sorted(before), sorted(after));
        }
    }
    assert_eq!(again(&written).encode_to_vec(), written.encode_to_vec());
}

#[test]
fn where_the_operator_set_of_a_source_cannot_the_first_that_can_is_taken_and_said() {
    let mut source = of_2018();
    // Of operands of one shape it was there from the first; what it is today came with opset 8.
    source.graph.as_mut().unwrap().node.push(node("Max", "largest", &["y", "y"], &["z"]));
    source.graph.as_mut().unwrap().output = vec![info("z", DataType::Float, &["batch", "2", "7"])];
    let checked = validate(read(&source)).unwrap();
    let (opset, note) = opset_for(&checked, &OnnxOptions::default()).unwrap();
    assert_eq!((opset, note.unwrap()), (8, "opset 8, not 7 as the source: `largest` (Max) needs it".to_owned()));
    assert_eq!(again(&source).opset_import[0].version, 8);
}

/// An activation that older operator sets have no operator for, as it is written out there.
#[test]
fn an_activation_that_is_written_out_keeps_its_name() {
    let graph = GraphProto {
        node: vec![NodeProto { name: "the gelu".to_owned(), ..node("Gelu", "", &["x"], &["y"]) }],
        input: vec![image("x")],
        output: vec![image("y")],
        ..GraphProto::default()
    };
    let graph = read(&model(graph, 20));
    let options = OnnxOptions { opset: 17, ..options(&graph) };
    let once = write(graph, &options).unwrap();
    let names = |model: &ModelProto| -> Vec<String> {
        model.graph.as_ref().unwrap().node.iter().map(|node| node.name.clone()).collect()
    };
    assert_eq!(names(&once).last().map(String::as_str), Some("the gelu"));
}

#[test]
fn tensors_that_could_be_replaced_still_can() {
    let mut source = talkative();
    source.graph.as_mut().unwrap().input.push(info("kernel", DataType::Float, &["3", "2", "1", "1"]));
    let names = |model: &ModelProto| -> Vec<String> {
        model.graph.as_ref().unwrap().input.iter().map(|info| info.name.clone()).collect()
    };
    assert_eq!(names(&again(&source)), ["x", "kernel"]);
    // Before version 4 of the format they had to be listed.
    let mut old = source.clone();
    old.ir_version = 3;
    assert_eq!(names(&again(&old)), ["x", "kernel"]);
    assert_eq!(names(&again(&talkative())), ["x"]);
}

#[test]
fn halves_and_doubles_stay_what_they_are() {
    for (kind, dtype, bytes) in [(DataType::Float16, DType::F16, 2), (DataType::Double, DType::F64, 8)] {
        let mut source = talkative();
        let graph = source.graph.as_mut().unwrap();
        graph.initializer[0] = TensorProto {
            data_type: kind.into(),
            float_data: Vec::new(),
            raw_data: vec![0; 6 * bytes].into(),
            ..graph.initializer[0].clone()
        };
        graph.input = vec![info("x", kind, &["batch", "2", "5", "5"])];
        graph.output = vec![info("y", kind, &["batch", "3", "5", "5"])];
        graph.value_info = Vec::new();
        let graph = graph.clone();
        assert_eq!(natural_float(&read(&source)), dtype);
        let written = again(&source).graph.unwrap();
        assert_eq!((&written.input, &written.output), (&graph.input, &graph.output));
        assert_eq!(written.initializer[0].raw_data.len(), 6 * bytes);
    }
}

/// `x → Conv → Strange(·, –, kernel) → Relu → y`.
fn strange(domain: &str, values: Vec<ValueInfoProto>) -> ModelProto {
    let mut odd = node("Strange", "odd", &["middle", "", "kernel"], &["", "odd out"]);
    odd.domain = domain.to_owned();
    odd.attribute = vec![
        AttributeProto {
            name: "text".to_owned(),
            s: Some("\u{e9}".into()),
            r#type: AttributeType::String.into(),
            ..AttributeProto::default()
        },
        AttributeProto {
            name: "type".to_owned(),
            tp: image("").r#type,
            r#type: AttributeType::TypeProto.into(),
            ..AttributeProto::default()
        },
    ];
    let graph = GraphProto {
        name: "g".to_owned(),
        node: vec![
            node("Conv", "conv", &["x", "kernel"], &["middle"]),
            odd,
            node("Relu", "relu", &["odd out"], &["y"]),
        ],
        initializer: vec![tensor("kernel", &[2, 2, 1, 1])],
        input: vec![image("x")],
        output: vec![image("y")],
        value_info: values,
        ..GraphProto::default()
    };
    let mut model = model(graph, 17);
    if !domain.is_empty() {
        model.opset_import.push(OperatorSetIdProto { domain: domain.to_owned(), version: 3 });
    }
    model
}

#[test]
fn a_node_that_is_not_known_is_written_as_it_is() {
    for domain in ["org.example", ""] {
        for values in [Vec::new(), vec![image("odd out")]] {
            let source = strange(domain, values);
            let written = again(&source);
            assert_eq!(written.opset_import, source.opset_import);
            let (before, after) = (source.graph.unwrap(), written.graph.unwrap());
            assert_eq!(after.node[1..], before.node[1..]);
            assert_eq!((after.input, after.output), (before.input, before.output));
        }
    }
}

#[test]
fn what_is_not_known_keeps_its_operator_set_and_its_numbers() {
    let refused = |domain: &str, change: &dyn Fn(&mut OnnxOptions)| {
        let graph = read(&strange(domain, vec![image("odd out")]));
        let mut options = options(&graph);
        change(&mut options);
        write(graph, &options).unwrap_err()
    };
    let error = refused("", &|options| options.opset = 18);
    assert!(error.contains("odd") && error.contains("operator set 17, not 18"), "{error}");
    let error = refused("org.example", &|options| options.float = DType::F16);
    assert!(error.contains("f16 instead of f32") && error.contains("leave out dtype"), "{error}");
    // Another domain has versions of its own.
    let graph = read(&strange("org.example", vec![image("odd out")]));
    let options = OnnxOptions { opset: 18, ..options(&graph) };
    assert_eq!(write(graph, &options).unwrap().opset_import[1].version, 3);
}

#[test]
fn what_depends_on_a_shape_that_nobody_declares_is_refused_by_name() {
    let mut source = strange("org.example", Vec::new());
    source.graph.as_mut().unwrap().node[2] = NodeProto {
        attribute: vec![AttributeProto {
            name: "axis".to_owned(),
            i: Some(1),
            r#type: AttributeType::Int.into(),
            ..AttributeProto::default()
        }],
        ..node("Softmax", "soft", &["odd out"], &["y"])
    };
    let graph = read(&source);
    let options = options(&graph);
    let error = write(graph, &options).unwrap_err();
    assert!(error.contains("`odd out`") && error.contains("value_info"), "{error}");
    source.graph.as_mut().unwrap().value_info = vec![image("odd out")];
    assert_eq!(again(&source).graph.unwrap().node[2].op_type, "Softmax");
}

/// A loop whose body reads `middle` and `kernel` from outside, and has a node that is called as one of the graph.
fn looping() -> ModelProto {
    let mut body = GraphProto {
        name: "body".to_owned(),
        node: vec![
            node("Identity", "", &["condition"], &["go on"]),
            node("Mul", "", &["carried", "middle"], &["product"]),
            node("Add", "", &["product", "kernel"], &["sum"]),
        ],
        input: vec![
            info("round", DataType::Int64, &[]),
            info("condition", DataType::Bool, &[]),
            info("carried", DataType::Float, &["batch", "2", "5", "5"]),
        ],
        output: vec![info("go on", DataType::Bool, &[]), info("sum", DataType::Float, &["batch", "2", "5", "5"])],
        ..GraphProto::default()
    };
    body.node[2].name = "conv".to_owned();
    let mut looped = node("Loop", "loop", &["", "", "middle"], &["out"]);
    looped.attribute = vec![AttributeProto {
        name: "body".to_owned(),
        g: Some(body),
        r#type: AttributeType::Graph.into(),
        ..AttributeProto::default()
    }];
    let graph = GraphProto {
        name: "g".to_owned(),
        node: vec![
            node("Conv", "conv", &["x", "kernel"], &["before"]),
            node("Identity", "nothing", &["before"], &["middle"]),
            looped,
            node("Relu", "relu", &["out"], &["y"]),
        ],
        initializer: vec![tensor("kernel", &[2, 2, 1, 1])],
        input: vec![image("x")],
        output: vec![image("y")],
        ..GraphProto::default()
    };
    model(graph, 17)
}

#[test]
fn a_subgraph_reads_what_it_read_under_the_names_that_there_are() {
    let source = looping();
    let written = again(&source);
    let after = written.graph.as_ref().unwrap();
    let [_, looped, _] = &after.node[..] else { panic!("the identity is gone: {after:?}") };
    // The identity is left out, so what it gave has the name of what it was given.
    assert_eq!(looped.input, ["", "", "before"]);
    let mut expected = source.graph.unwrap().node[2].attribute[0].g.clone().unwrap();
    expected.node[1].input[1] = "before".to_owned();
    assert_eq!(looped.attribute[0].g.as_ref().unwrap(), &expected);
    assert_eq!(again(&written).encode_to_vec(), written.encode_to_vec());
}

#[test]
fn no_name_of_a_subgraph_is_one_of_the_graph() {
    let mut source = looping();
    // Allowed where the names around are not seen; refused by checkers here.
    let graph = source.graph.as_mut().unwrap();
    let body = graph.node[2].attribute[0].g.as_mut().unwrap();
    body.node[1].output[0] = "y".to_owned();
    body.node[2].input[0] = "y".to_owned();
    let written = again(&source);
    let body = written.graph.as_ref().unwrap().node[1].attribute[0].g.as_ref().unwrap();
    assert_eq!((body.node[1].output[0].as_str(), body.node[2].input[0].as_str()), ("y_2", "y_2"));
}
