//! What exporters write, and what nobody should.

use bytes::Bytes;
use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, FunctionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    ValueInfoProto,
};
use residua_ir::{Activation, Extent, Graph, Op, Padding, Pads, ReshapeDim, Role, validate};

use super::import;

/// A model in a few lines: its graph, its operator set, its functions.
#[derive(Clone)]
pub(super) struct Model(pub(super) GraphProto, pub(super) i64, pub(super) Vec<FunctionProto>);

pub(super) fn attribute(name: &str, ty: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: ty.into(), ..AttributeProto::default() }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub(super) fn text(name: &str, value: &'static str) -> AttributeProto {
    AttributeProto { s: Some(Bytes::from_static(value.as_bytes())), ..attribute(name, AttributeType::String) }
}

pub(super) fn info(name: &str, dims: &[Option<i64>]) -> ValueInfoProto {
    let dim =
        |size: &Option<i64>| DimensionProto { value: size.map(DimensionValue::Value), ..DimensionProto::default() };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: DataType::Float.into(), shape: Some(shape) };
    let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
}

impl Model {
    /// A model of an image `x` of this size, whose output is `y`.
    pub(super) fn new(opset: i64, dims: &[Option<i64>]) -> Self {
        let output = vec![ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() }];
        Self(GraphProto { input: vec![info("x", dims)], output, ..GraphProto::default() }, opset, Vec::new())
    }

    pub(super) fn image(opset: i64) -> Self {
        Self::new(opset, &[None, Some(4), Some(8), Some(8)])
    }

    pub(super) fn node(mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> Self {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        self.0.node.push(NodeProto {
            op_type: op.to_owned(),
            name: format!("node of {}", outputs.first().unwrap_or(&"")),
            input: list(inputs),
            output: list(outputs),
            attribute: attributes.to_vec(),
            ..NodeProto::default()
        });
        self
    }

    pub(super) fn weight(mut self, name: &str, dims: &[i64]) -> Self {
        let count = dims.iter().product::<i64>();
        self.0.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float.into(),
            float_data: (0..count).map(|i| i as f32).collect(),
            ..TensorProto::default()
        });
        self
    }

    pub(super) fn list(mut self, name: &str, values: &[i64]) -> Self {
        self.0.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![i64::try_from(values.len()).unwrap()],
            data_type: DataType::Int64.into(),
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub(super) fn read(self) -> Result<Graph, String> {
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: self.1 }];
        let (graph, functions) = (Some(self.0), self.2);
        let model = ModelProto { ir_version: 8, graph, opset_import, functions, ..ModelProto::default() };
        import(OnnxFile::from(model), "model").map_err(|error| error.to_string())
    }

    /// The only node's operator.
    pub(super) fn op(self) -> Op {
        let graph = self.read().unwrap();
        assert_eq!(graph.nodes().len(), 1, "{graph}");
        graph.nodes()[0].op.clone()
    }

    pub(super) fn reason(self) -> String {
        match self.op() {
            Op::Opaque(opaque) => opaque.reason,
            known => panic!("{known:?} is known"),
        }
    }
}

#[test]
fn nodes_may_stand_in_any_order_but_in_no_circle() {
    let graph = Model::image(17).node("Tanh", &["a"], &["y"], &[]).node("Relu", &["x"], &["a"], &[]).read().unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["Relu", "Tanh"]);
    let circle = Model::image(17).node("Add", &["x", "b"], &["a"], &[]).node("Relu", &["a"], &["b"], &[]);
    assert!(circle.node("Relu", &["b"], &["y"], &[]).read().unwrap_err().contains("its own result"));
}

#[test]
fn names_are_given_once_and_before_they_are_read() {
    let twice = Model::image(17).node("Relu", &["x"], &["y"], &[]).node("Tanh", &["x"], &["y"], &[]);
    let twice = twice.read().unwrap_err();
    assert!(twice.contains("its result `y` has the name of the result of `node of y`"), "{twice}");
    let missing = Model::image(17).node("Relu", &["gone"], &["y"], &[]).read().unwrap_err();
    assert!(missing.contains("node of y") && missing.contains("`gone`"), "{missing}");
    let input = Model::image(17).weight("w", &[1]).node("Relu", &["x"], &["w"], &[]).read().unwrap_err();
    assert!(input.contains("its result `w` has the name of a tensor"), "{input}");
    assert!(Model::image(17).read().unwrap_err().contains("the output `y` is given by nothing"));
    let twice = Model::image(17).weight("w", &[1]).weight("w", &[1]).read().unwrap_err();
    assert!(twice.contains("two tensors are named `w`"), "{twice}");
}

#[test]
fn all_that_keeps_a_text_from_being_a_graph_is_found_at_once() {
    let model = Model::image(17)
        .node("Add", &["x", "c"], &["a"], &[])
        .node("Relu", &["a"], &["b"], &[])
        .node("Tanh", &["b"], &["c"], &[])
        .node("Relu", &["gone"], &["y"], &[])
        .node("Relu", &["b"], &["y"], &[]);
    let found: Vec<String> = super::faults::find(&model.0).iter().map(ToString::to_string).collect();
    let expected = [
        "error R111: node of y: its result `y` has the name of the result of `node of y`",
        "error R110: node of y: it reads `gone`, which nothing gives",
        "error R109: node of a: it depends on its own result, through `node of b` and `node of c`",
    ];
    assert_eq!(found, expected);
    let error = model.read().unwrap_err();
    assert!(error.contains("(and 2 more of the kind, which `residua check` lists)"), "{error}");
}

#[test]
fn an_attribute_that_is_not_known_makes_the_operator_unknown() {
    let op = |attributes: &[AttributeProto]| Model::image(17).node("LeakyRelu", &["x"], &["y"], attributes);
    assert_eq!(op(&[]).op(), Op::Activation(Activation::leaky_relu(0.01)));
    assert!(op(&[int("beta", 1)]).reason().contains("`beta` is not known"));
    assert!(op(&[int("alpha", 1)]).reason().contains("must be of type Float"));
}

#[test]
fn what_is_not_known_is_kept_with_what_follows_it() {
    let graph = Model::image(17)
        .weight("kernel", &[2, 4, 3, 3])
        .node("DeformConv", &["x"], &["a"], &[int("group", 5)])
        .node("Conv", &["a", "kernel"], &["b"], &[])
        .node("Softmax", &["b"], &["y"], &[int("axis", 1)])
        .read()
        .unwrap();
    let known: Vec<bool> = graph.nodes().iter().map(|node| !matches!(node.op, Op::Opaque(_))).collect();
    assert_eq!(known, [false, true, true]);
    let foreign = |mut model: Model| {
        model.0.node[0].domain = "com.example".to_owned();
        model.reason()
    };
    assert!(foreign(Model::image(17).node("Relu", &["x"], &["y"], &[])).contains("com.example"));
    let indices = Model::image(17).node("MaxPool", &["x"], &["a", "y"], &[ints("kernel_shape", &[2, 2])]);
    let Op::Opaque(_) = &indices.read().unwrap().nodes()[0].op else { panic!("the indices are read") };
}

#[test]
fn padding_by_rule_becomes_amounts_where_the_size_is_known() {
    let conv = |dims: &[Option<i64>], attributes: &[AttributeProto]| {
        let Op::Conv(conv) =
            Model::new(17, dims).weight("k", &[2, 4, 3, 3]).node("Conv", &["x", "k"], &["y"], attributes).op()
        else {
            panic!("a convolution")
        };
        conv.padding
    };
    let fixed = [None, Some(4), Some(8), Some(8)];
    let free = [None, Some(4), None, None];
    let after = Padding::Explicit(Pads { top: 0, left: 0, bottom: 1, right: 1 });
    let before = Padding::Explicit(Pads { top: 1, left: 1, bottom: 0, right: 0 });
    let two = ints("strides", &[2, 2]);
    assert_eq!(conv(&fixed, &[text("auto_pad", "SAME_UPPER"), two.clone()]), after);
    assert_eq!(conv(&fixed, &[text("auto_pad", "SAME_LOWER"), two.clone()]), before);
    assert_eq!(conv(&free, &[text("auto_pad", "SAME_UPPER"), two]), Padding::SameUpper);
    assert_eq!(conv(&free, &[text("auto_pad", "SAME_LOWER")]), Padding::Explicit(Pads::all(1)));
    let uneven = conv(&fixed, &[ints("pads", &[0, 1, 2, 3])]);
    assert_eq!(uneven, Padding::Explicit(Pads { top: 0, left: 1, bottom: 2, right: 3 }));
}

#[test]
fn batch_norms_of_every_age_are_read_and_training_ones_are_not() {
    let norm = |opset: i64, attributes: &[AttributeProto]| {
        let model = Model::image(opset).weight("a", &[4]).weight("b", &[4]).weight("c", &[4]);
        model.node("BatchNormalization", &["x", "a", "b", "c", "a"], &["y"], attributes)
    };
    for model in [norm(9, &[]), norm(7, &[int("spatial", 0)]), norm(6, &[int("is_test", 1), int("spatial", 1)])] {
        let graph = model.read().unwrap();
        assert!(matches!(graph.nodes()[0].op, Op::BatchNorm(_)), "{graph}");
        // A tensor that is used twice is one parameter.
        assert_eq!(graph.parameters().len(), 3);
        assert_eq!(graph.parameters()[2].role, Role::Statistic);
    }
    assert!(norm(15, &[int("training_mode", 1)]).reason().contains("training"));
    assert!(norm(6, &[]).reason().contains("training"));
    assert!(norm(9, &[int("spatial", 1)]).reason().contains("`spatial` is not known"));
}

#[test]
fn a_reshape_to_computed_sizes_keeps_the_free_batch() {
    let graph = Model::image(13)
        .list("zero", &[0])
        .list("rest", &[-1])
        .node("Relu", &["x"], &["a"], &[])
        .node("Shape", &["a"], &["shape"], &[])
        .node("Gather", &["shape", "zero"], &["batch"], &[])
        .node("Concat", &["batch", "rest"], &["target"], &[int("axis", 0)])
        .node("Reshape", &["a", "target"], &["y"], &[])
        .read()
        .unwrap();
    assert_eq!(graph.nodes()[1].op, Op::Reshape { shape: vec![ReshapeDim::Copy(0), ReshapeDim::Infer] });
    assert_eq!(graph.unused(), [], "what became attributes is used");
    let output = graph.outputs()[0];
    assert_eq!(validate(graph).unwrap().shape_of(output).unwrap().to_string(), "[N, 256]");
}

#[test]
fn a_product_with_a_constant_is_a_view_of_it() {
    let matrix = [None, Some(3)];
    let graph =
        Model::new(13, &matrix).weight("w", &[3, 5]).weight("b", &[5]).node("Gemm", &["x", "w", "b"], &["y"], &[]);
    let graph = graph.read().unwrap();
    assert_eq!(graph.nodes()[0].op, Op::Linear);
    assert_eq!(graph.parameters()[0].tensor.shape(), [5, 3]);
    assert_eq!(graph.parameters()[0].tensor.to_f32().unwrap()[..3], [0.0, 5.0, 10.0]);
    let turned = Model::new(13, &matrix).weight("w", &[5, 3]).node("Gemm", &["x", "w"], &["y"], &[int("transB", 1)]);
    assert_eq!(turned.read().unwrap().parameters()[0].tensor.transforms(), []);
    let product =
        Model::new(13, &[None, Some(2), Some(3)]).weight("w", &[3, 5]).node("MatMul", &["x", "w"], &["y"], &[]);
    assert_eq!(product.op(), Op::Linear);
    let alpha = AttributeProto { f: Some(0.5), ..attribute("alpha", AttributeType::Float) };
    let scaled =
        Model::new(13, &matrix).weight("w", &[3, 5]).node("Gemm", &["x", "w"], &["y"], &[alpha]).read().unwrap();
    let ops: Vec<&str> = scaled.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(ops, ["Linear", "Mul"]);
    assert_eq!(scaled.parameters()[1].role, Role::Literal);
}

#[test]
fn constants_are_views_and_what_nothing_reads_is_listed() {
    let graph = Model::image(13)
        .weight("w", &[2, 2])
        .weight("left over", &[1])
        .list("shape", &[4, 1, 1])
        .node("Reshape", &["w", "shape"], &["scale"], &[])
        .node("Mul", &["x", "scale"], &["y"], &[])
        .read()
        .unwrap();
    assert_eq!(graph.nodes().len(), 1);
    assert_eq!(graph.parameters()[0].name, "w");
    assert_eq!(graph.parameters()[0].tensor.shape(), [4, 1, 1]);
    assert_eq!(graph.unused()[0].location, "left over");
}

#[test]
fn a_claim_of_a_huge_tensor_is_not_believed() {
    let huge = |sizes: &[i64]| Model::image(13).list("s", sizes).node("ConstantOfShape", &["s"], &["y"], &[]).reason();
    assert!(!huge(&[1_000_000, 1_000_000]).is_empty());
    assert!(!huge(&[i64::MAX, i64::MAX, i64::MAX]).is_empty());
    let small = Model::image(13).list("s", &[2, 3]).node("ConstantOfShape", &["s"], &["y"], &[]).read().unwrap();
    assert_eq!(small.parameters()[0].tensor.to_f32().unwrap(), [0.0; 6]);
}

#[test]
fn a_softmax_of_old_took_the_axes_behind_as_one() {
    let soft = |opset: i64, dims: &[Option<i64>]| Model::new(opset, dims).node("Softmax", &["x"], &["y"], &[]);
    assert_eq!(soft(11, &[None, Some(5)]).op(), Op::Softmax { axis: 1 });
    assert_eq!(soft(11, &[None, Some(5), Some(1), Some(1)]).op(), Op::Softmax { axis: 1 });
    let flat = soft(11, &[None, Some(5), Some(2)]).read().unwrap();
    let ops: Vec<&Op> = flat.nodes().iter().map(|node| &node.op).collect();
    let back = Op::Reshape {
        shape: vec![
            ReshapeDim::Computed(Extent::Of { operand: 1, axis: 0 }),
            ReshapeDim::Fixed(5),
            ReshapeDim::Fixed(2),
        ],
    };
    assert_eq!(ops, [&Op::Flatten { axis: 1 }, &Op::Softmax { axis: 1 }, &back]);
    assert!(validate(flat).unwrap().findings().is_empty());
    assert_eq!(soft(13, &[None, Some(5), Some(2)]).op(), Op::Softmax { axis: 2 });
}

#[test]
fn a_slice_is_counted_from_the_front_and_to_the_end() {
    let graph = Model::image(13)
        .list("starts", &[-6, 0])
        .list("ends", &[i64::MAX, 4])
        .list("axes", &[-1, 2])
        .list("steps", &[2, 1])
        .node("Slice", &["x", "starts", "ends", "axes", "steps"], &["y"], &[])
        .read()
        .unwrap();
    let ops: Vec<&Op> = graph.nodes().iter().map(|node| &node.op).collect();
    let first = Op::slice(3, 2, None, 2);
    assert_eq!(ops, [&first, &Op::slice(2, 0, Some(4), 1)]);
}

#[test]
fn an_operator_set_from_the_future_is_refused() {
    let error = Model::image(99).node("Relu", &["x"], &["y"], &[]).read().unwrap_err();
    assert!(error.contains("operator set 99"), "{error}");
}

#[test]
fn numbers_that_become_attributes_have_the_type_that_onnx_asks_for() {
    let double = |op: &str, inputs: &[&str], dims: &[i64], values: &[f64]| {
        let mut model = Model::image(17).list("amounts", &[0; 8]).node(op, inputs, &["y"], &[]);
        model.0.initializer.push(TensorProto {
            name: "numbers".to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Double.into(),
            double_data: values.to_vec(),
            ..TensorProto::default()
        });
        model.reason()
    };
    for (found, expected) in [
        (
            double("Clip", &["x", "numbers"], &[], &[0.0]),
            "the element type of its lower bound is f64, it should be f32",
        ),
        (double("Clip", &["x", "", "numbers"], &[], &[6.0]), "its upper bound is f64"),
        (double("Pad", &["x", "amounts", "numbers"], &[], &[1.0]), "its value is f64"),
        (double("Resize", &["x", "", "numbers"], &[4], &[1.0, 1.0, 2.0, 2.0]), "its scales is f64, it should be f32"),
    ] {
        assert!(found.contains(expected), "{found}");
    }
}
