//! Every operator, at the oldest, the portable and the newest operator set: written, looked at by a reader that shares no
//! code with the writer, read back, and run against the model it came from.
//!
//! The models stay in the target directory, with inputs and the outputs that the reference engine computed, for
//! `tests/peers/onnx_peer.py`, which holds them against the onnx checker and ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

mod cases;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use cases::{Case, cases, difference, inputs, run};
use onnx_protobuf::ModelProto;
use protobuf::Message;
use residua_emit::onnx::{InputLayout, NEWEST, OLDEST, OnnxOptions, PORTABLE, representable, write};
use residua_emit::{EmitError, Emitted, Exactness};
use residua_exec::{Array, order};
use residua_ir::{Checked, DType, Dim, validate};

/// Before 13 numbers were attributes that are operands since, before 9 there were fewer operators; 21 and 22 have more.
const OPSETS: [i64; 8] = [OLDEST, 9, 11, 13, PORTABLE, 20, 22, NEWEST];

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operators");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn read_back(path: &Path) -> Checked {
    validate(residua_import::load(path).unwrap()).unwrap()
}

/// Names are given once, what is read was given before, and every intermediate value has a type.
fn look(model: &ModelProto, label: &str) {
    let graph = model.graph.as_ref().unwrap();
    let mut given: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializer {
        assert!(given.insert(&tensor.name), "{label}: `{}` is given twice", tensor.name);
    }
    let tensors = given.clone();
    for input in &graph.input {
        // Old files list their tensors as inputs too.
        let again = model.ir_version < 4 && tensors.contains(input.name.as_str());
        assert!(again || given.insert(&input.name), "{label}: `{}` is given twice", input.name);
    }
    let typed: HashSet<&str> = graph.value_info.iter().chain(&graph.output).map(|info| info.name.as_str()).collect();
    assert_eq!(typed.len(), graph.value_info.len() + graph.output.len(), "{label}: a type is given twice");
    let mut nodes = HashSet::new();
    for node in &graph.node {
        assert!(nodes.insert(node.name.as_str()), "{label}: two nodes `{}`", node.name);
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(given.contains(input.as_str()), "{label}: `{input}` is read before it is given");
        }
        for output in &node.output {
            assert!(given.insert(output), "{label}: `{output}` is given twice");
            assert!(typed.contains(output.as_str()), "{label}: `{output}` has no type");
        }
    }
    for output in &graph.output {
        assert!(given.contains(output.name.as_str()), "{label}: output `{}` is not given", output.name);
    }
}

/// Arrays beside a model: `<model>.input.0.npy`, `<model>.output.0.npy`, …
fn store(model: &Path, inputs: &[Array], outputs: &[Array]) {
    use npyz::WriterBuilder;
    for (kind, arrays) in [("input", inputs), ("output", outputs)] {
        for (index, array) in arrays.iter().enumerate() {
            let shape: Vec<u64> = array.shape().iter().map(|&size| size as u64).collect();
            let file = File::create(model.with_extension(format!("{kind}.{index}.npy"))).unwrap();
            let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
            let mut writer = options.writer(std::io::BufWriter::new(file)).begin_nd().unwrap();
            writer.extend(array.to_f64()).unwrap();
            writer.finish().unwrap();
        }
    }
}

fn emit(case: &Case, opset: i64, input_layout: InputLayout, label: &str) -> (Emitted, PathBuf) {
    let path = folder().join(format!("{label}.onnx"));
    let options = OnnxOptions { opset, input_layout, ..OnnxOptions::default() };
    let emitted = write(&case.model, &options, &path).unwrap_or_else(|error| panic!("{label}: {error}"));
    let bytes = std::fs::read(&path).unwrap();
    look(&ModelProto::parse_from_bytes(&bytes).unwrap(), label);
    (emitted, path)
}

/// The operator set that refusals lead to, from this one on.
fn first_that_can(model: &Checked, mut opset: i64) -> i64 {
    let path = folder().join("too-old.onnx");
    loop {
        match write(model, &OnnxOptions { opset, ..OnnxOptions::default() }, &path) {
            Ok(_) => return opset,
            Err(error) => {
                let text = error.to_string();
                let EmitError::Unsupported { since: Some(since), .. } = error else { panic!("{text}") };
                assert!(since > opset && text.contains(&format!("ask for opset {since}")), "{text}");
                opset = since;
            }
        }
    }
}

#[test]
fn every_operator_survives_at_every_operator_set() {
    for case in cases() {
        let inputs = inputs(&case.model);
        for opset in OPSETS {
            let label = format!("{}-{opset}", case.name);
            if opset < case.since {
                assert_eq!(first_that_can(&case.model, opset), case.since, "{label}");
                continue;
            }
            let (emitted, path) = emit(&case, opset, InputLayout::Nchw, &label);
            let options = OnnxOptions { opset, ..OnnxOptions::default() };
            let wanted = validate(representable(&case.model, &options).unwrap()).unwrap();
            let expected = run(&wanted, &inputs);
            let found = run(&read_back(&path), &inputs);
            let difference = difference(&expected, &found);
            let bound = if emitted.exactness == Exactness::Identical { 0.0 } else { 1e-6 };
            assert!(difference <= bound, "{label}: {difference:e}, {:?}", emitted.exactness);
            store(&path, &inputs, &expected);
        }
    }
}

#[test]
fn an_nhwc_interface_takes_and_gives_what_the_source_does() {
    let case = cases().into_iter().find(|case| case.name == "channels_last").unwrap();
    let graph = case.model.graph();
    let inputs = inputs(&case.model);
    let expected = run(&case.model, &inputs);
    let orders = |ids: &[residua_ir::ValueId]| ids.iter().map(|&id| graph.value(id).order.clone()).collect::<Vec<_>>();
    let to_source = |arrays: &[Array], ids: &[residua_ir::ValueId]| -> Vec<Array> {
        arrays.iter().zip(orders(ids)).map(|(array, order)| order::to_source(array, &order).unwrap()).collect()
    };
    let (given, wanted) = (to_source(&inputs, graph.inputs()), to_source(&expected, graph.outputs()));
    for layout in [InputLayout::Nhwc, InputLayout::Source] {
        let label = format!("channels_last-{layout:?}");
        let (_, path) = emit(&case, PORTABLE, layout, &label);
        let back = read_back(&path);
        assert_eq!(back.shape_of(back.graph().inputs()[0]).unwrap().dims()[3], Dim::Fixed(4), "channels are last");
        assert_eq!(difference(&wanted, &run(&back, &given)), 0.0);
        store(&path, &given, &wanted);
    }
}

#[test]
fn half_precision_is_the_rounded_model_and_bfloat16_says_which_set_it_needs() {
    let case = cases().into_iter().find(|case| case.name == "conv").unwrap();
    let path = folder().join("conv-f16.onnx");
    let options = OnnxOptions { float: DType::F16, ..OnnxOptions::default() };
    let emitted = write(&case.model, &options, &path).unwrap();
    assert_eq!(emitted.exactness, Exactness::Rounded { dtype: DType::F16, nodes: Vec::new() });
    let wanted = validate(representable(&case.model, &options).unwrap()).unwrap();
    let inputs = inputs(&case.model);
    let expected = run(&wanted, &inputs);
    assert_eq!(difference(&expected, &run(&read_back(&path), &inputs)), 0.0);
    store(&path, &inputs, &expected);

    let options = OnnxOptions { float: DType::BF16, ..OnnxOptions::default() };
    let path = folder().join("refused.onnx");
    let error = write(&case.model, &options, &path).unwrap_err().to_string();
    assert!(error.contains("opset 22"), "{error}");
    assert!(!path.exists());
    let path = folder().join("conv-bf16.onnx");
    write(&case.model, &OnnxOptions { opset: 22, ..options }, &path).unwrap();
    read_back(&path);
}
