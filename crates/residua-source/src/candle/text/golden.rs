//! @ABOUT@

use std::path::Path;

use candle_core::{DType, Device, Result};

use @CRATE@ as network;

/// How far an output may be from what is expected, relative to the largest value of it.
const TOLERANCE: f64 = @TOLERANCE@;

#[test]
fn outputs_are_those_of_the_source() -> Result<()> {
    let device = Device::Cpu;
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.safetensors");
    let golden = candle_core::safetensors::load(golden, &device)?;
    let model = network::load(Path::new(network::WEIGHTS), &device)?;
    let outputs = network::run(&model, &golden)?;
    assert_eq!(outputs.len(), @OUTPUTS@);
    for (number, output) in outputs.iter().enumerate() {
        let expected = &golden[&format!("output{number}")];
        assert_eq!(output.dims(), expected.dims());
        let (output, expected) = (output.to_dtype(DType::F64)?, expected.to_dtype(DType::F64)?);
        let largest = expected.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
        let difference = (output - expected)?.abs()?.flatten_all()?.max(0)?;
        let relative = difference.to_scalar::<f64>()? / largest.max(f64::MIN_POSITIVE);
        println!("output {number} differs by {relative:e} of its largest value");
        assert!(relative <= TOLERANCE, "{relative:e} is above {TOLERANCE:e}");
    }
    Ok(())
}
