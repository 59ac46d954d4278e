//! Axis orders: how the axes of a source value map to the axes of the value in the graph.
//!
//! Keras models are usually NHWC and the graph is NCHW. Each value carries the mapping, so that it is decided locally
//! which operator needs a transpose; in a residual network none does. These are the rules of the mapping; emitting the
//! operators that change it is [`super::layer call`]'s business.

use residua_ir::{SourceOrder, Tensor, TensorError};

/// The axis of the graph's value that each source axis is; `None` for flattened images, which have no such mapping.
pub(super) fn axes(order: &SourceOrder, rank: usize) -> Option<Vec<usize>> {
    match order {
        SourceOrder::Same => Some((0..rank).collect()),
        SourceOrder::Permuted(perm) => Some(perm.clone()),
        SourceOrder::FlattenedChannelsLast { .. } => None,
    }
}

/// The order in which source axis `i` is axis `perm[i]`.
pub(super) fn permuted(perm: Vec<usize>) -> SourceOrder {
    if perm.iter().enumerate().all(|(i, &axis)| i == axis) { SourceOrder::Same } else { SourceOrder::Permuted(perm) }
}

/// The transpose that brings a value from one mapping to another.
pub(super) fn between(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut perm = vec![0; from.len()];
    for (&old, &new) in from.iter().zip(to) {
        perm[new] = old;
    }
    perm
}

/// The inverse of a permutation.
pub(super) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        inverse[axis] = i;
    }
    inverse
}

/// The mapping that remains when some axes of the graph's value go.
pub(super) fn without(perm: &[usize], removed: &[usize]) -> SourceOrder {
    let kept: Vec<usize> = perm.iter().copied().filter(|axis| !removed.contains(axis)).collect();
    permuted(kept.iter().map(|axis| kept.iter().filter(|other| *other < axis).count()).collect())
}

/// A source axis, counted from the end where it is negative.
pub(super) fn resolve(axis: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    usize::try_from(if axis < 0 { axis + rank_signed } else { axis }).ok().filter(|&axis| axis < rank)
}

/// A tensor with a source axis for each of a value's but the batch, in the order of the graph's value.
///
/// # Errors
/// [`TensorError::View`] where the tensor has other axes.
pub(super) fn view(tensor: &Tensor, order: &SourceOrder) -> Result<Tensor, TensorError> {
    match order {
        SourceOrder::Same => Ok(tensor.clone()),
        SourceOrder::Permuted(perm) => {
            let inner: Vec<usize> = inverse(perm).iter().filter(|&&axis| axis > 0).map(|axis| axis - 1).collect();
            tensor.permute(&inner)
        }
        &SourceOrder::FlattenedChannelsLast { channels, height, width } => {
            let size = tensor.len();
            tensor.reshape(&[height, width, channels])?.permute(&[2, 0, 1])?.reshape(&[size])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NHWC: [usize; 4] = [0, 2, 3, 1];

    #[test]
    fn a_transpose_between_mappings_moves_every_axis_where_the_new_one_says() {
        // Source axes N H W C lie at 0 2 3 1; to have them in order, take them from there.
        assert_eq!(between(&NHWC, &[0, 1, 2, 3]), [0, 2, 3, 1]);
        assert_eq!(between(&[0, 1, 2, 3], &NHWC), [0, 3, 1, 2]);
        assert_eq!(between(&NHWC, &NHWC), [0, 1, 2, 3]);
    }

    #[test]
    fn pooling_a_image_leaves_channels_in_the_source_order() {
        assert_eq!(without(&NHWC, &[2, 3]), SourceOrder::Same);
        assert_eq!(without(&NHWC, &[2]), SourceOrder::Permuted(vec![0, 2, 1]));
    }

    #[test]
    fn slopes_of_height_width_channels_become_channels_height_width() {
        let tensor = Tensor::from_f32(vec![2, 3, 4], &[0.0; 24]).unwrap();
        assert_eq!(view(&tensor, &SourceOrder::channels_last()).unwrap().shape(), [4, 2, 3]);
    }

    #[test]
    fn negative_axes_count_from_the_end() {
        assert_eq!(resolve(-1, 4), Some(3));
        assert_eq!(resolve(4, 4), None);
        assert_eq!(resolve(-5, 4), None);
    }
}
