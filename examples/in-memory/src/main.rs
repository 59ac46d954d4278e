//! Converts a Keras model in memory to the bytes of an ONNX model, with proof; prints what it is; writes what checks find
//! as SARIF. `cargo run --manifest-path examples/in-memory/Cargo.toml -- MODEL.h5 OUT.onnx OUT.sarif`

use std::{env, fs};

use residua::{Check, Model, Onnx, Proof, render::report, verify::targets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [model, onnx, sarif] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "MODEL ONNX SARIF")?;

    let model = Model::from_bytes(&model, fs::read(&model)?)?;
    let architecture = model.anatomy().architecture.as_ref();
    println!("{} of {} blocks", architecture.map_or("no known architecture", |a| &a.name), model.anatomy().blocks.len());

    let conversion = model.convert_in_memory("model.onnx", Onnx { opset: Some(17), ..Onnx::default() })?;
    let (output, converted) = conversion.prove(&Proof::default())?.into_memory()?;
    println!("{} tensors: {}", converted.emitted().mapping.len(), converted.verification().ok_or("no proof")?.found);
    fs::write(onnx, output.bytes)?;

    let report = model.check(&Check::default().target(targets::named("tract").ok_or("no such runtime")?))?;
    println!("{} findings", report.findings.len());
    Ok(report::sarif(&mut fs::File::create(sarif)?, &[report])?)
}
