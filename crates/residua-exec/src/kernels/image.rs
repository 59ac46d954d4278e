//! Images made ready for windows: padded, and split by stride, so that every tap of a window reads a dense plane.
//!
//! With stride s, column x of the padded image goes to plane x mod s at x / s. Tap k of the window at output o then
//! reads plane (k·d mod s) at o + k·d / s: neighbouring outputs read neighbouring elements, whatever the stride.

use super::each_apart;
use crate::array::element_count;
use crate::element::Element;
use crate::parallel;

/// Sizes of a convolution. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
    pub(crate) filters: usize,
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    /// Padding before the first row and column; what follows the last ones is implied by the output's size.
    pub(crate) before: [usize; 2],
    pub(crate) groups: usize,
}

/// How a prepared image lies: channels of `planes[0] × planes[1]` planes of `rows × pitch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) planes: [usize; 2],
    pub(crate) rows: usize,
    pub(crate) pitch: usize,
}

impl Layout {
    /// Elements of one channel.
    pub(crate) fn channel(&self) -> usize {
        self.planes[0] * self.planes[1] * self.rows * self.pitch
    }
}

impl Geometry {
    /// How the image has to lie for this window.
    pub(crate) fn layout(&self) -> Layout {
        let reach = [0, 1].map(|i| (self.kernel[i] - 1) * self.dilations[i]);
        Layout {
            planes: [0, 1].map(|i| self.strides[i].min(reach[i] + 1)),
            rows: self.output[0] + reach[0] / self.strides[0],
            pitch: self.output[1] + reach[1] / self.strides[1],
        }
    }

    /// Whether the image lies so already.
    pub(crate) fn is_ready(&self) -> bool {
        let layout = self.layout();
        self.strides == [1, 1] && self.before == [0, 0] && [layout.rows, layout.pitch] == self.size
    }

    /// Elements of the prepared images, 0 where they are used as they are; `None` where the number overflows.
    pub(crate) fn prepared_len(&self) -> Option<usize> {
        if self.is_ready() {
            return Some(0);
        }
        let Layout { planes, rows, pitch } = self.layout();
        element_count(&[self.batch, self.channels, planes[0], planes[1], rows, pitch])
    }

    /// Where each tap of one channel reads, relative to the output's own position.
    pub(crate) fn taps(&self) -> Vec<usize> {
        let layout = self.layout();
        let mut taps = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let (y, x) = (ky * self.dilations[0], kx * self.dilations[1]);
                let plane = y % self.strides[0] * layout.planes[1] + x % self.strides[1];
                taps.push((plane * layout.rows + y / self.strides[0]) * layout.pitch + x / self.strides[1]);
            }
        }
        taps
    }

    /// Pads and splits all images into `out`, which has [`Geometry::prepared_len`] elements.
    pub(crate) fn prepare<T: Element>(&self, x: &[T], out: &mut [T]) {
        let (layout, [height, width]) = (self.layout(), self.size);
        if x.is_empty() || out.is_empty() {
            out.fill(T::default());
            return;
        }
        let channels = out.chunks_mut(layout.channel()).zip(x.chunks(height * width));
        parallel::for_each(channels, |(out, x)| {
            for (index, row) in out.chunks_mut(layout.pitch).enumerate() {
                let (plane, y) = (index / layout.rows, index % layout.rows);
                let y = (y * self.strides[0] + plane / layout.planes[1]).wrapping_sub(self.before[0]);
                if y < height {
                    self.split_row(plane % layout.planes[1], &x[y * width..][..width], row);
                } else {
                    row.fill(T::default());
                }
            }
        });
    }

    fn split_row<T: Element>(&self, phase: usize, x: &[T], out: &mut [T]) {
        let (stride, before) = (self.strides[1], self.before[1]);
        let start = before.saturating_sub(phase).div_ceil(stride).min(out.len());
        let end = (x.len() + before).saturating_sub(phase).div_ceil(stride).clamp(start, out.len());
        out[..start].fill(T::default());
        out[end..].fill(T::default());
        if start == end {
            return;
        }
        let source = &x[start * stride + phase - before..];
        each_apart(&mut out[start..end], source, stride, |out, x| *out = x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tap_finds_the_element_that_the_definition_names() {
        for (stride, dilation, before, kernel) in [(1, 1, 1, 3), (2, 1, 0, 3), (2, 1, 3, 7), (3, 2, 1, 2), (2, 3, 2, 3)]
        {
            let size = 11usize;
            let output = (size + 2 * before - (kernel - 1) * dilation - 1) / stride + 1;
            let geometry = Geometry {
                batch: 1,
                channels: 2,
                size: [size, size],
                filters: 1,
                output: [output, output],
                kernel: [kernel, kernel],
                strides: [stride, stride],
                dilations: [dilation, dilation],
                before: [before, before],
                groups: 1,
            };
            let x: Vec<f32> = (1..=2 * size * size).map(|i| i as f32).collect();
            let mut out = vec![f32::NAN; 2 * geometry.layout().channel()];
            geometry.prepare(&x, &mut out);
            let (layout, taps) = (geometry.layout(), geometry.taps());
            for c in 0..2 {
                for (oy, ox, ky, kx) in positions_and_taps(output, kernel) {
                    let at = |o: usize, k: usize| (o * stride + k * dilation).checked_sub(before).filter(|&i| i < size);
                    let expected = match (at(oy, ky), at(ox, kx)) {
                        (Some(y), Some(x_)) => x[(c * size + y) * size + x_],
                        _ => 0.0,
                    };
                    let found = out[c * layout.channel() + taps[ky * kernel + kx] + oy * layout.pitch + ox];
                    assert_eq!(found, expected, "{geometry:?} {oy} {ox} {ky} {kx}");
                }
            }
        }
    }

    fn positions_and_taps(output: usize, kernel: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        (0..output * output * kernel * kernel)
            .map(move |i| (i % output, i / output % output, i / output / output % kernel, i / output / output / kernel))
    }
}
