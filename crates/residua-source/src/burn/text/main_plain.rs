//! Reads the network and says what it is: `cargo run --release`.

use std::error::Error;
use std::path::Path;

use burn::prelude::*;
use @CRATE@ as network;

fn main() -> Result<(), Box<dyn Error>> {
    let model = network::load(Path::new(network::WEIGHTS), &Device::default())?;
    println!("{model}");
    Ok(())
}
