//! A runtime in Rust that shares no code with this one loads what is written and computes what Keras computed.

use residua_emit::onnx::{self, InputLayout, OnnxOptions};
use residua_ir::validate;
use residua_tests::Fixture;
use tract_onnx::prelude::*;

/// tract and Keras round in f32, each in its own order.
const TOLERANCE: f32 = 1e-5;

/// Largest difference from what Keras computed, relative to the largest value.
fn difference(fixture: &Fixture, input_layout: InputLayout) -> Result<f32, String> {
    let told = |error: TractError| format!("{error:#}");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("model.onnx");
    let graph = residua_import::load(&fixture.path).map_err(|error| error.to_string())?;
    let model = validate(graph).map_err(|error| error.to_string())?;
    let options = OnnxOptions { input_layout, ..OnnxOptions::default() };
    onnx::write(&model, &options, &path).map_err(|error| error.to_string())?;

    let mut inputs = TVec::new();
    let mut network = onnx().model_for_path(&path).map_err(told)?;
    for (index, (_, shape, values)) in fixture.arrays("input/").into_iter().enumerate() {
        let mut tensor = Tensor::from_shape(&shape, &values).map_err(told)?;
        if input_layout == InputLayout::Nchw && shape.len() == 4 {
            tensor = tensor.permute_axes(&[0, 3, 1, 2]).map_err(told)?;
        }
        network.set_input_fact(index, f32::fact(tensor.shape()).into()).map_err(told)?;
        inputs.push(tensor.into_tvalue());
    }
    let found = network.into_optimized().and_then(|model| model.into_runnable()).and_then(|plan| plan.run(inputs));
    let found = found.map_err(told)?;
    let mut worst = 0f32;
    for ((name, shape, expected), found) in fixture.arrays("output/").into_iter().zip(found) {
        if found.shape() != shape {
            return Err(format!("output {name} has shape {:?}, expected {shape:?}", found.shape()));
        }
        let found = found.cast_to::<f32>().map_err(told)?.into_owned();
        let found = found.to_plain_array_view::<f32>().map_err(told)?;
        let scale = expected.iter().fold(1e-30f32, |largest, value| largest.max(value.abs()));
        let gap = expected.iter().zip(found.iter()).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        worst = worst.max(gap / scale);
    }
    Ok(worst)
}

#[test]
fn tract_computes_what_keras_computed() {
    let networks = [
        "thin50v2",
        "thin50",
        "resnet20v1",
        "resnet29v2",
        "digits",
        "group_norm_resnet",
        "resnet_d",
        "option_a",
        "resnext",
        "se_resnet",
        "transfer_flat",
    ];
    let chosen: Vec<&Fixture> = networks
        .iter()
        .map(|name| {
            let golden = |fixture: &&Fixture| fixture.name == *name && fixture.golden.is_some();
            residua_tests::all().iter().find(golden).unwrap_or_else(|| panic!("there is no fixture {name}"))
        })
        .collect();
    for fixture in chosen {
        for layout in [InputLayout::Nchw, InputLayout::Source] {
            match difference(fixture, layout) {
                Ok(gap) => assert!(gap <= TOLERANCE, "{} as {layout:?} differs by {gap:e}", fixture.label()),
                Err(error) => panic!("{} as {layout:?}: {error}", fixture.label()),
            }
        }
    }
}
