//! @TITLE@
@MODULES@
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// The network that belongs to this crate.
pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model.onnx");

/// Values in the order of a tensor, and its shape.
pub type Array = (Vec<f32>, Vec<usize>);

/// Runs the network on inputs, in its order; gives all outputs.
pub fn run(inputs: &[Array]) -> TractResult<Vec<Array>> {
    let mut network = onnx().model_for_path(MODEL)?;
    let mut given = TVec::new();
    for (index, (values, shape)) in inputs.iter().enumerate() {
        let ty = network.input_fact(index)?.datum_type.concretize();
        let ty = ty.unwrap_or(DatumType::F32);
        network.set_input_fact(index, ty.fact(shape.as_slice()).into())?;
        let tensor = Tensor::from_shape(shape, values)?;
        given.push(tensor.cast_to_dt(ty)?.into_owned().into_tvalue());
    }
    let outputs = network.into_optimized()?.into_runnable()?.run(given)?;
    let array = |value: TValue| {
        let value = value.cast_to::<f32>()?.into_owned();
        let view = value.to_plain_array_view::<f32>()?;
        let values = view.iter().copied().collect();
        Ok((values, value.shape().to_vec()))
    };
    outputs.into_iter().map(array).collect()
}
