//! Convolution of groups of one channel: each filter slides over one plane of a prepared picture.

use pulp::Arch;

use super::conv::Epilogue;
use super::image::Geometry;
use crate::element::Element;
use crate::parallel;

/// Convolves prepared pictures ([`Geometry::prepare`]) with row-major filters `[O, 1, KH, KW]`.
pub(crate) fn depthwise<T: Element>(
    arch: Arch,
    geometry: &Geometry,
    pictures: &[T],
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
    parallel::for_each(out.chunks_mut(positions).enumerate(), |(index, out)| {
        let (image, filter) = (index / geometry.filters, index % geometry.filters);
        let channel = image * geometry.channels + filter / multiplier;
        let plane = &pictures[channel * layout.channel()..][..layout.channel()];
        let weights = &filters[filter * taps.len()..][..taps.len()];
        vectorised!(arch, {
            for (y, row) in out.chunks_exact_mut(width).enumerate() {
                row.fill(T::default());
                for (&tap, &weight) in taps.iter().zip(weights) {
                    let source = &plane[tap + y * layout.pitch..][..width];
                    row.iter_mut().zip(source).for_each(|(sum, &x)| *sum += weight * x);
                }
            }
            epilogue.finish(filter, index * positions, out);
        });
    });
}
