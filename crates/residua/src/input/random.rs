//! Inputs made of a seed, for a run that only has to run.

use crate::error::{Context, Result};
use crate::proof::uniform;
use residua_exec::{Array, Precision, estimate};
use residua_ir::budget::{Limit, Meter};
use residua_ir::tensor::element_count;
use residua_ir::{Checked, Hint};

/// One array for each input: numbers evenly spread over −1 to 1, the same on every machine; a free batch is 1.
///
/// # Errors
/// Where another size is free, or where the inputs take more than a run may.
pub fn arrays(model: &Checked, seed: u64) -> Result<Vec<Array>> {
    // Before anything of it is made.
    estimate(model, Precision::F32, &[]).within_budget()?;
    let mut state = seed;
    let graph = model.graph();
    let mut bytes = Meter::new(Limit::ActivationBytes);
    graph
        .inputs()
        .iter()
        .map(|&id| {
            let name = &graph.value(id).name;
            let shape = model.shape_of(id).context("an input without a shape")?;
            let size = |(axis, dim): (usize, &residua_ir::Dim)| dim.fixed().or((axis == 0).then_some(1));
            let sizes: Option<Vec<usize>> = shape.dims().iter().enumerate().map(size).collect();
            let sizes = sizes.with_context(|| format!("input `{name}` has a free size: pass {}", Hint::InputShapes))?;
            let count = element_count(&sizes).with_context(|| format!("input `{name}`"))?;
            bytes
                .spend_here(count.saturating_mul(size_of::<f32>()))
                .with_context(|| format!("input `{name}` of shape {sizes:?} cannot be made"))?;
            let values: Vec<f32> = (0..count).map(|_| 2.0 * uniform(&mut state) - 1.0).collect();
            Ok(Array::new(sizes, values)?)
        })
        .collect()
}
