//! @TITLE@

pub mod model;
@MODULES@
use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Error, @MODULE@Result, Tensor};
use candle_nn::VarBuilder;

pub use model::@MODEL@;

/// The weights that belong to this crate.
pub const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model.safetensors");

/// Reads the network with its weights; it computes in f32.
pub fn load(weights: &Path, device: &Device) -> Result<@MODEL@> {
    let bytes = std::fs::read(weights)?;
    let vb = VarBuilder::from_buffered_safetensors(bytes, DType::F32, device)?;
    @MODEL@::new(vb)
}

/// Runs the network on inputs that are named `input0` and so on; gives all outputs, in order.
pub fn run(model: &@MODEL@, inputs: &HashMap<String, Tensor>) -> Result<Vec<Tensor>> {
    let input = |name: &str| {
        let missing = || Error::Msg(format!("there is no `{name}`"));
        inputs.get(name).ok_or_else(missing)
    };
@RUN@
}
