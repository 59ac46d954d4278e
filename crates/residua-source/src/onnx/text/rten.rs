//! @TITLE@
@MODULES@
use std::error::Error;

use rten::Model;
use rten_tensor::prelude::*;
use rten_tensor::Tensor;

/// The network that belongs to this crate.
pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model.onnx");

/// Values in the order of a tensor, and its shape.
pub type Array = (Vec<f32>, Vec<usize>);

/// Runs the network on inputs, in its order; gives all outputs.
pub fn run(inputs: &[Array]) -> Result<Vec<Array>, Box<dyn Error>> {
    let model = Model::load_file(MODEL)?;
    let mut given = Vec::new();
    for (&id, (values, shape)) in model.input_ids().iter().zip(inputs) {
        given.push((id, Tensor::from_data(shape, values.clone()).into()));
    }
    let mut arrays = Vec::new();
    for output in model.run(given, model.output_ids(), None)? {
        let tensor = Tensor::<f32>::try_from(output)?;
        arrays.push((tensor.to_vec(), tensor.shape().to_vec()));
    }
    Ok(arrays)
}
