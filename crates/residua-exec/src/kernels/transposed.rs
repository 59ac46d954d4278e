//! The transpose of a convolution: each element of the operand adds its multiple of the kernel to the result.

use pulp::Arch;

use crate::element::Element;
use crate::parallel;

/// Sizes of a transposed convolution. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) channels: usize,
    pub(crate) filters: usize,
    pub(crate) groups: usize,
    pub(crate) size: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    pub(crate) before: [usize; 2],
}

impl Sizes {
    /// Elements along an axis whose tap `k` falls on the result, and where the first of them does.
    fn reach(&self, axis: usize, k: usize) -> (std::ops::Range<usize>, usize) {
        let (stride, tap, before) = (self.strides[axis], k * self.dilations[axis], self.before[axis]);
        let start = before.saturating_sub(tap).div_ceil(stride).min(self.size[axis]);
        let end = (self.output[axis] + before).saturating_sub(tap).div_ceil(stride).clamp(start, self.size[axis]);
        (start..end, (start * stride + tap).saturating_sub(before))
    }
}

/// Adds up the kernels `[C, O / groups, KH, KW]`, plane by plane of the result.
pub(crate) fn conv_transpose<T: Element>(
    arch: Arch,
    sizes: &Sizes,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
    out: &mut [T],
) {
    let [height, width] = sizes.output;
    let plane = sizes.size[0] * sizes.size[1];
    let (inputs, outputs) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    let taps = sizes.kernel[0] * sizes.kernel[1];
    if height * width == 0 {
        return;
    }
    parallel::for_each(out.chunks_mut(height * width).enumerate(), |(index, out)| {
        let (image, filter) = (index / sizes.filters, index % sizes.filters);
        let (group, filter_in_group) = (filter / outputs, filter % outputs);
        vectorised!(arch, {
            out.fill(bias.map_or(T::default(), |bias| bias[filter]));
            for channel in group * inputs..(group + 1) * inputs {
                let x = &x[(image * sizes.channels + channel) * plane..][..plane];
                let kernel = &kernel[(channel * outputs + filter_in_group) * taps..][..taps];
                for (tap, &weight) in kernel.iter().enumerate() {
                    let (rows, first_row) = sizes.reach(0, tap / sizes.kernel[1]);
                    let (columns, first_column) = sizes.reach(1, tap % sizes.kernel[1]);
                    for (i, y) in rows.enumerate() {
                        let row = &x[y * sizes.size[1]..][columns.clone()];
                        if row.is_empty() {
                            continue;
                        }
                        let out = &mut out[(first_row + i * sizes.strides[0]) * width + first_column..];
                        let out = out.iter_mut().step_by(sizes.strides[1]);
                        out.zip(row).for_each(|(out, &x)| *out += weight * x);
                    }
                }
            }
        });
    });
}
