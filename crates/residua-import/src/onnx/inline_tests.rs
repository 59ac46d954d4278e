//! Functions and branches, in their places; and those that would never end.

use bytes::Bytes;
use residua_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use residua_ir::budget::Limit;
use residua_ir::{Activation, Graph, Op};

use super::tests::{Model, attribute, int, ints};

fn node(op: &str, domain: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto {
        op_type: op.to_owned(),
        domain: domain.to_owned(),
        input: list(inputs),
        output: list(outputs),
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

/// A function of one operand `a` and one result `b`.
fn function(name: &str, nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: name.to_owned(),
        domain: "local".to_owned(),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    }
}

fn calls(model: Model, name: &str, attributes: &[AttributeProto]) -> Model {
    let mut model = model.node(name, &["x"], &["y"], attributes);
    if let Some(node) = model.0.node.last_mut() {
        node.domain = "local".to_owned();
    }
    model
}

fn refers(name: &str, to: &str, ty: AttributeType) -> AttributeProto {
    AttributeProto { ref_attr_name: to.to_owned(), ..attribute(name, ty) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn ops(graph: &Graph) -> Vec<&str> {
    graph.nodes().iter().map(|node| node.op.name()).collect()
}

fn branch(name: &str, nodes: Vec<NodeProto>, output: &str) -> AttributeProto {
    let output = vec![ValueInfoProto { name: output.to_owned(), ..ValueInfoProto::default() }];
    AttributeProto {
        g: Some(GraphProto { node: nodes, output, ..GraphProto::default() }),
        ..attribute(name, AttributeType::Graph)
    }
}

fn truth(mut model: Model, name: &str, value: bool) -> Model {
    let raw_data = Bytes::copy_from_slice(&[u8::from(value)]);
    let data_type = DataType::Bool.into();
    model.0.initializer.push(TensorProto { name: name.to_owned(), data_type, raw_data, ..TensorProto::default() });
    model
}

#[test]
fn a_function_is_read_where_it_is_called_and_its_result_has_the_callers_name() {
    let inner = function("inner", vec![node("Tanh", "", &["a"], &["b"], &[])]);
    let body = vec![node("Relu", "", &["a"], &["c"], &[]), node("inner", "local", &["c"], &["b"], &[])];
    let mut model = calls(Model::image(17), "outer", &[]);
    model.2 = vec![inner, function("outer", body)];
    let graph = model.read().unwrap();
    assert_eq!(ops(&graph), ["Relu", "Tanh"]);
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.raw()).collect();
    assert_eq!(names, ["node of y/c", "y"]);
    assert_eq!(graph.value(graph.outputs()[0]).name, "y");
}

#[test]
fn attributes_of_a_call_are_those_that_the_body_refers_to_or_the_functions_own() {
    let leaky = node("LeakyRelu", "", &["a"], &["b"], &[refers("alpha", "slope", AttributeType::Float)]);
    let mut given = function("leaky", vec![leaky]);
    given.attribute = vec!["slope".to_owned()];
    let slope = |function: &FunctionProto, attributes: &[AttributeProto]| {
        let mut model = calls(Model::image(17), "leaky", attributes);
        model.2 = vec![function.clone()];
        model.op()
    };
    assert_eq!(slope(&given, &[float("slope", 0.5)]), Op::Activation(Activation::leaky_relu(0.5)));
    // Left out by the call, it is left out in the body: the operator's own default holds.
    assert_eq!(slope(&given, &[]), Op::Activation(Activation::leaky_relu(0.01)));
    let with_default = FunctionProto { attribute: Vec::new(), attribute_proto: vec![float("slope", 0.25)], ..given };
    assert_eq!(slope(&with_default, &[]), Op::Activation(Activation::leaky_relu(0.25)));
    assert_eq!(slope(&with_default, &[float("slope", 0.5)]), Op::Activation(Activation::leaky_relu(0.5)));
}

#[test]
fn a_result_of_a_function_that_nothing_reads_need_not_be_computed() {
    // Where the maxima lie is not computed here.
    let pool = node("MaxPool", "", &["a"], &["b", "places"], &[ints("kernel_shape", &[2, 2])]);
    let mut with_places = function("pool", vec![pool]);
    with_places.output.push("places".to_owned());
    let read = |outer: &str| {
        let mut model = calls(Model::image(17), "pool", &[]);
        model.0.node[0].output.push(outer.to_owned());
        model.2 = vec![with_places.clone()];
        model.op()
    };
    assert!(matches!(read("unread"), Op::MaxPool(_)), "{:?}", read("unread"));
    assert!(matches!(read(""), Op::MaxPool(_)), "{:?}", read(""));
}

#[test]
fn an_attribute_goes_through_as_many_functions_as_there_are() {
    let slope = || refers("slope", "s", AttributeType::Float);
    let inner = function(
        "inner",
        vec![node("LeakyRelu", "", &["a"], &["b"], &[refers("alpha", "slope", AttributeType::Float)])],
    );
    let middle = function("middle", vec![node("inner", "local", &["a"], &["b"], &[slope()])]);
    let outer =
        function("outer", vec![node("middle", "local", &["a"], &["b"], &[refers("s", "t", AttributeType::Float)])]);
    let mut model = calls(Model::image(17), "outer", &[float("t", 0.125)]);
    model.2 = vec![inner, middle, outer];
    assert_eq!(model.op(), Op::Activation(Activation::leaky_relu(0.125)));
}

#[test]
fn a_function_has_operator_sets_of_its_own() {
    // A softmax of opset 11 takes the last axes as one; in this body it is that of opset 13.
    let soft = |version: i64| {
        let mut soft = function("soft", vec![node("Softmax", "", &["a"], &["b"], &[])]);
        soft.opset_import[0].version = version;
        let mut model = calls(Model::new(11, &[None, Some(5), Some(2)]), "soft", &[]);
        model.2 = vec![soft];
        model.read()
    };
    assert_eq!(soft(13).unwrap().nodes()[0].op, Op::Softmax { axis: 2 });
    assert_eq!(soft(11).unwrap().nodes()[0].op, Op::Flatten { axis: 1 });
    assert!(soft(99).unwrap_err().contains("operator set 99"));
}

#[test]
fn functions_of_one_name_are_told_by_their_overload() {
    let body = |op: &str, overload: &str| FunctionProto {
        overload: overload.to_owned(),
        ..function("act", vec![node(op, "", &["a"], &["b"], &[])])
    };
    let mut model = calls(Model::image(17), "act", &[]);
    model.0.node[0].overload = "second".to_owned();
    model.2 = vec![body("Relu", "first"), body("Tanh", "second")];
    assert_eq!(model.clone().op(), Op::Activation(Activation::Tanh));
    model.2[0].overload = "second".to_owned();
    assert!(model.read().unwrap_err().contains("expected one of this name, found two"));
}

#[test]
fn what_stands_in_a_body_takes_no_name_of_the_graph() {
    let inner = function("f", vec![node("Relu", "", &["a"], &["c"], &[]), node("Tanh", "", &["c"], &["b"], &[])]);
    let mut model = Model::image(17)
        .node("f", &["x"], &["first"], &[])
        .node("f", &["first"], &["second"], &[])
        .node("Abs", &["second"], &["call/c"], &[])
        .node("Neg", &["call/c"], &["y"], &[]);
    for node in &mut model.0.node[..2] {
        (node.domain, node.name) = ("local".to_owned(), "call".to_owned());
    }
    model.2 = vec![inner];
    let graph = model.read().unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.raw()).collect();
    assert_eq!(names, ["call_2/c", "first", "call_3/c", "second", "call/c", "y"]);
}

#[test]
fn a_function_that_calls_itself_is_refused() {
    let mut model = calls(Model::image(17), "f", &[]);
    model.2 = vec![
        function("f", vec![node("g", "local", &["a"], &["b"], &[])]),
        function("g", vec![node("f", "local", &["a"], &["b"], &[])]),
    ];
    assert!(model.read().unwrap_err().contains("calls itself"));
}

#[test]
fn functions_that_double_at_each_level_are_refused_before_they_fill_the_memory() {
    let twice = |name: &str| vec![node(name, "local", &["a"], &["c"], &[]), node(name, "local", &["c"], &["b"], &[])];
    let mut model = calls(Model::image(17), "f40", &[]);
    model.2 = (1..=40).map(|level| function(&format!("f{level}"), twice(&format!("f{}", level - 1)))).collect();
    model.2.push(function("f0", vec![node("Relu", "", &["a"], &["b"], &[])]));
    assert!(model.read().unwrap_err().contains("is beyond the limit"));
    let chain = |name: &str| vec![node(name, "local", &["a"], &["b"], &[])];
    let mut model = calls(Model::image(17), "f100", &[]);
    model.2 = (1..=100).map(|level| function(&format!("f{level}"), chain(&format!("f{}", level - 1)))).collect();
    model.2.push(function("f0", vec![node("Relu", "", &["a"], &["b"], &[])]));
    assert!(model.read().unwrap_err().contains("levels of nesting"));
}

#[test]
fn as_many_levels_as_are_read_fit_on_the_stack_of_a_thread() {
    let levels = Limit::Nesting.most_here() - 1;
    let chain = |name: &str| vec![node(name, "local", &["a"], &["b"], &[])];
    let mut model = calls(Model::image(17), &format!("f{levels}"), &[]);
    model.2 = (1..=levels).map(|level| function(&format!("f{level}"), chain(&format!("f{}", level - 1)))).collect();
    model.2.push(function("f0", vec![node("Relu", "", &["a"], &["b"], &[])]));
    let reader = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let names = |graph: Graph| graph.nodes().iter().map(|node| node.op.name().to_owned()).collect::<Vec<String>>();
        model.read().map(names)
    });
    assert_eq!(reader.unwrap().join().unwrap().unwrap(), ["Relu"]);
}

#[test]
fn a_call_must_fit_its_function() {
    let with = |inputs: &[&str], outputs: &[&str]| {
        let mut model = Model::image(17).node("f", inputs, outputs, &[]);
        model.0.node[0].domain = "local".to_owned();
        model.2 = vec![function("f", vec![node("Relu", "", &["a"], &["b"], &[])])];
        model.read()
    };
    assert!(with(&["x"], &["y"]).is_ok());
    assert!(with(&["x", "x"], &["y"]).unwrap_err().contains("1 operands fewer"));
    assert!(with(&["x"], &["z", "y"]).unwrap_err().contains("nothing in its body gives `y`"));
    assert!(with(&[""], &["y"]).unwrap_err().contains("reads `a`, which nothing gives"));
}

#[test]
fn a_branch_whose_condition_is_known_is_read_in_its_place() {
    let choose = |value: bool| {
        let then = branch("then_branch", vec![node("Relu", "", &["x"], &["t"], &[])], "t");
        let otherwise = branch("else_branch", vec![node("Tanh", "", &["x"], &["e"], &[])], "e");
        truth(Model::image(17), "c", value).node("If", &["c"], &["y"], &[then, otherwise]).read().unwrap()
    };
    assert_eq!(ops(&choose(true)), ["Relu"]);
    assert_eq!(ops(&choose(false)), ["Tanh"]);
    assert_eq!(choose(true).value(choose(true).outputs()[0]).name, "y");
    // A branch may give what is around it, as it is.
    let through = [branch("then_branch", Vec::new(), "a"), branch("else_branch", Vec::new(), "x")];
    let model = truth(Model::image(17), "c", true).node("Relu", &["x"], &["a"], &[]);
    let graph = model.node("If", &["c"], &["b"], &through).node("Tanh", &["b"], &["y"], &[]).read().unwrap();
    assert_eq!(ops(&graph), ["Relu", "Tanh"]);
}

#[test]
fn a_condition_on_a_size_is_known_where_the_size_is() {
    let model = |dims: &[Option<i64>]| {
        let then = branch("then_branch", vec![node("Relu", "", &["x"], &["t"], &[])], "t");
        let otherwise = branch("else_branch", vec![node("Tanh", "", &["x"], &["e"], &[])], "e");
        Model::new(17, dims)
            .list("one", &[1])
            .node("Shape", &["x"], &["shape"], &[])
            .node("Gather", &["shape", "one"], &["size"], &[int("axis", 0)])
            .node("Equal", &["size", "one"], &["c"], &[])
            .node("If", &["c"], &["y"], &[then, otherwise])
            .read()
            .unwrap()
    };
    assert_eq!(ops(&model(&[None, Some(1)])), ["Relu"]);
    assert_eq!(ops(&model(&[None, Some(2)])), ["Tanh"]);
    let open = model(&[None, None]);
    assert!(open.nodes().iter().any(|node| node.op.name() == "If"), "{open}");
}

#[test]
fn nodes_come_after_what_their_branches_read() {
    let then = branch("then_branch", vec![node("Relu", "", &["late"], &["t"], &[])], "t");
    let otherwise = branch("else_branch", vec![node("Tanh", "", &["late"], &["e"], &[])], "e");
    let model = truth(Model::image(17), "c", false).node("If", &["c"], &["y"], &[then, otherwise]);
    assert_eq!(ops(&model.node("Abs", &["x"], &["late"], &[]).read().unwrap()), ["Abs", "Tanh"]);
}
