//! Runs the network on the inputs of its golden test: `cargo run --release`.

use std::path::Path;

use candle_core::{Device, Result};

use @CRATE@ as network;

fn main() -> Result<()> {
    let device = Device::cuda_if_available(0)?;
    let model = network::load(Path::new(network::WEIGHTS), &device)?;
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.safetensors");
    let golden = candle_core::safetensors::load(golden, &device)?;
    for output in network::run(&model, &golden)? {
        println!("{output}");
    }
    Ok(())
}
