//! @TITLE@

pub mod model;
@MODULES@
use std::error::Error;
use std::path::Path;

use burn::prelude::*;
use burn::tensor::DType;
use burn_store::{
    FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore,
};

pub use model::@MODEL@;

/// The weights that belong to this crate.
pub const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model.safetensors");

/// Values in the order of a tensor, and its shape.
pub type Array = (Vec<f32>, Vec<usize>);

/// Reads the network with its weights; it computes in f32.
pub fn load(weights: &Path, device: &Device) -> Result<@MODEL@, Box<dyn Error>> {
    let mut model = @MODEL@::new(device);
    // Names and axes are those of PyTorch: `weight` of norms, rows of outputs in linear layers.
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let mut store = SafetensorsStore::from_file(weights)
        .with_from_adapter(adapter)
        .skip_enum_variants(true);
    model.load_from(&mut store)?;
    Ok(model)
}

/// Runs the network on inputs, in its order; gives all outputs.
pub fn run(
    model: &@MODEL@,
    inputs: &[Array],
    device: &Device,
) -> Result<Vec<Array>, Box<dyn Error>> {
@RUN@
}

/// An input as a tensor with so many axes.
fn tensor<const D: usize>(
    inputs: &[Array],
    number: usize,
    device: &Device,
) -> Result<Tensor<D>, Box<dyn Error>> {
    let missing = || format!("there is no input {number}");
    let (values, shape) = inputs.get(number).ok_or_else(missing)?;
    let data = TensorData::new(values.clone(), shape.clone());
    Ok(Tensor::from_data(data, device))
}

/// The values of a tensor.
fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    (tensor.into_data().iter::<f32>().collect(), shape)
}
