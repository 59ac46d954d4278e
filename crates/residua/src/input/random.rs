//! Inputs made of a seed, for a run that only has to run.

use crate::error::{Context, Result};
use residua_exec::{Array, Precision, estimate};
use residua_ir::Checked;
use residua_ir::budget::{Limit, Meter};
use residua_ir::tensor::element_count;

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
            let sizes = sizes.with_context(|| format!("input `{name}` has a free size: pass --input-shape"))?;
            let count = element_count(&sizes).with_context(|| format!("input `{name}`"))?;
            bytes
                .spend_here(count.saturating_mul(size_of::<f32>()))
                .with_context(|| format!("input `{name}` of shape {sizes:?} cannot be made"))?;
            let values: Vec<f32> = (0..count).map(|_| 2.0 * unit(&mut state) - 1.0).collect();
            Ok(Array::new(sizes, values)?)
        })
        .collect()
}

/// `SplitMix64` (Steele, Lea, Flood 2014), its upper 24 bits as a number in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
fn unit(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
}
