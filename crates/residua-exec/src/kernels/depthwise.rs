//! Convolution of groups of one channel: each filter slides over one plane of a prepared image.
//!
//! Rows of a prepared plane lie one behind the other with a few elements between, so a tap is the same distance away
//! from all positions. Sums are made over the whole plane, what lies between rows included, and rows picked out of it.

use pulp::Arch;

use super::conv::Epilogue;
use super::image::Geometry;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::parallel;

/// Positions whose sums are kept in registers.
const MANY: usize = 64;
/// The same at the end of a plane.
const SOME: usize = 16;

/// Convolves prepared images ([`Geometry::prepare`]) with row-major filters `[O, 1, KH, KW]`.
pub(crate) fn depthwise<T: Element>(
    arch: Arch,
    geometry: &Geometry,
    images: &[T],
    filters: &[T],
    epilogue: &Epilogue<'_, T>,
    out: &mut [T],
) {
    let (layout, taps) = (geometry.layout(), geometry.taps());
    let [height, width] = geometry.output;
    let positions = height * width;
    if positions == 0 || taps.is_empty() {
        return;
    }
    let multiplier = geometry.filters / geometry.groups;
    let span = (height - 1) * layout.pitch + width;
    parallel::for_each_with(
        out.chunks_mut(positions).enumerate(),
        || Buffer::new(span),
        |sums, (index, out)| {
            let (image, filter) = (index / geometry.filters, index % geometry.filters);
            let channel = image * geometry.channels + filter / multiplier;
            let plane = &images[channel * layout.channel()..][..layout.channel()];
            let weights = &filters[filter * taps.len()..][..taps.len()];
            vectorised!(arch, {
                slide(plane, &taps, weights, sums);
                for (row, sums) in out.chunks_exact_mut(width).zip(sums.chunks(layout.pitch)) {
                    row.copy_from_slice(&sums[..width]);
                }
                epilogue.finish(filter, index * positions, out);
            });
        },
    );
}

/// `sums[i] = Σ weights[t] · plane[i + taps[t]]`, a chain of fused multiply-adds in the order of the taps.
#[inline(always)]
fn slide<T: Element>(plane: &[T], taps: &[usize], weights: &[T], sums: &mut [T]) {
    let (many, rest) = sums.as_chunks_mut::<MANY>();
    let first = many.len() * MANY;
    for (index, sums) in many.iter_mut().enumerate() {
        *sums = slide_over(plane, taps, weights, index * MANY);
    }
    let (some, rest) = rest.as_chunks_mut::<SOME>();
    let last = first + some.len() * SOME;
    for (index, sums) in some.iter_mut().enumerate() {
        *sums = slide_over(plane, taps, weights, first + index * SOME);
    }
    for (index, sum) in rest.iter_mut().enumerate() {
        [*sum] = slide_over(plane, taps, weights, last + index);
    }
}

/// So many of the sums, from this one on.
#[inline(always)]
fn slide_over<T: Element, const N: usize>(plane: &[T], taps: &[usize], weights: &[T], at: usize) -> [T; N] {
    let mut sums = [T::default(); N];
    for (&tap, &weight) in taps.iter().zip(weights) {
        let x = &plane[at + tap..][..N];
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum = weight.mul_add(x, *sum);
        }
    }
    sums
}
