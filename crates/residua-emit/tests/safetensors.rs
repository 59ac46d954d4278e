//! A safetensors file of ours holds the whole model: read back, it gives the same numbers, in both layouts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

#[allow(dead_code, reason = "tensors are of every operator set")]
mod cases;

use cases::{cases, difference, inputs, run};
use residua_emit::safetensors::{SafetensorsOptions, TensorLayout, write};
use residua_ir::{DType, ParameterId, rewrite, validate};

#[test]
fn every_model_comes_back_from_its_tensors_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases() {
        let graph = case.model.graph();
        let names = |id: ParameterId| format!("tensor {}", id.index());
        let inputs = inputs(&case.model);
        for (label, layout) in
            [("source", TensorLayout::Source), ("graph", TensorLayout::Graph { name: "test", names: &names })]
        {
            let path = folder.path().join(format!("{}-{label}.safetensors", case.name));
            write(&case.model, &SafetensorsOptions { layout, float: None }, &path).unwrap();
            let back = validate(residua_import::load(&path).unwrap()).unwrap();
            assert_eq!(back.graph().to_string(), graph.to_string(), "{} in layout {label}", case.name);
            // Values may stand in another order; each keeps its name and its order of axes.
            for value in graph.values() {
                assert!(back.graph().values().iter().any(|v| (&v.name, &v.order) == (&value.name, &value.order)));
            }
            assert_eq!(back.graph().unused(), []);
            assert_eq!(difference(&run(&case.model, &inputs), &run(&back, &inputs)), 0.0, "{}", case.name);
        }
    }
}

#[test]
fn rounded_weights_come_back_as_the_rounded_model() {
    let folder = tempfile::tempdir().unwrap();
    let case = cases().into_iter().find(|case| case.name == "conv").unwrap();
    let wanted = validate(rewrite::cast_weights(case.model.graph().clone(), DType::BF16)).unwrap();
    let path = folder.path().join("conv.safetensors");
    write(&case.model, &SafetensorsOptions { layout: TensorLayout::Source, float: Some(DType::BF16) }, &path).unwrap();
    let back = validate(residua_import::load(&path).unwrap()).unwrap();
    let inputs = inputs(&case.model);
    assert_eq!(difference(&run(&wanted, &inputs), &run(&back, &inputs)), 0.0);
    assert!(difference(&run(&case.model, &inputs), &run(&back, &inputs)) > 0.0, "rounding costs something");
}
