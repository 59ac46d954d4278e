//! Weights packed for the kernels that read them.

use pulp::Arch;

use super::conv::SumOrder;
use super::panels::{Axis, Raw, pack_rows, pack_transposed};
use crate::element::Element;

/// Packs row-major weights: of a convolution, filters group by group (depthwise ones stay as they are); of a linear
/// layer, as columns.
pub(crate) fn pack<T: Element>(
    values: &[impl Raw<T>],
    shape: &[usize],
    groups: Option<usize>,
    order: SumOrder,
    arch: Arch,
) -> Vec<T> {
    let tile = T::tile_shape(arch);
    let (outputs, depth) = (shape[0], shape[1..].iter().product::<usize>());
    let Some(groups) = groups else { return pack_transposed(values, depth, tile) };
    if is_depthwise(shape, groups) || values.is_empty() {
        return values.iter().map(|value| value.number()).collect();
    }
    let mut packed = vec![T::default(); values.len()];
    let group = outputs / groups * depth;
    let steps = order.steps(shape[1], shape[2..].iter().product());
    let axis = Axis { depth, block: order.block, steps: steps.as_deref() };
    for (packed, values) in packed.chunks_mut(group).zip(values.chunks(group)) {
        pack_rows(values, axis, tile, packed);
    }
    packed
}

/// Whether filters of this shape slide over one channel each.
pub(crate) fn is_depthwise(shape: &[usize], groups: usize) -> bool {
    groups > 1 && shape[1] == 1
}
