//! Pooling over windows.
//!
//! Rows of a window are combined from top to bottom, columns from left to right, for a whole row of the result at once.

use pulp::Arch;

use super::each_apart;
use crate::element::Element;
use crate::parallel;

/// One axis of a pooling window over an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) size: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Axis {
    /// Outputs whose tap `k` lies on the image, and the element that the first of them reads.
    fn reach(&self, k: usize) -> (std::ops::Range<usize>, usize) {
        let tap = k * self.dilation;
        let start = self.before.saturating_sub(tap).div_ceil(self.stride).min(self.output);
        let end = (self.size + self.before).saturating_sub(tap).div_ceil(self.stride).clamp(start, self.output);
        (start..end, (start * self.stride + tap).saturating_sub(self.before))
    }

    /// Taps of the window at output `o` that lie on the image, or on image and padding.
    fn cells(&self, o: usize, with_padding: bool) -> usize {
        let (first, last) = if with_padding {
            (0, self.before + self.size + self.after)
        } else {
            (self.before, self.before + self.size)
        };
        let taps = |end: usize| end.saturating_sub(o * self.stride).div_ceil(self.dilation).min(self.kernel);
        taps(last) - taps(first)
    }
}

/// Combines what lies under each window, plane by plane, starting from `start`; `end` finishes a row of the result.
fn pool<T: Element>(
    arch: Arch,
    x: &[T],
    [rows, columns]: [Axis; 2],
    out: &mut [T],
    start: T,
    combine: impl Fn(T, T) -> T + Sync,
    end: impl Fn(usize, &mut [T]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    if x.is_empty() {
        out.fill(start);
        return;
    }
    let planes = x.chunks(rows.size * columns.size);
    let planes = out.chunks_mut(rows.output * columns.output).zip(planes);
    parallel::for_each(planes, |(out, x)| {
        vectorised!(arch, {
            for (oy, out) in out.chunks_exact_mut(columns.output).enumerate() {
                out.fill(start);
                for ky in 0..rows.kernel {
                    let y = (oy * rows.stride + ky * rows.dilation).wrapping_sub(rows.before);
                    if y >= rows.size {
                        continue;
                    }
                    let row = &x[y * columns.size..][..columns.size];
                    for kx in 0..columns.kernel {
                        let (outputs, first) = columns.reach(kx);
                        if outputs.is_empty() {
                            continue;
                        }
                        each_apart(&mut out[outputs], &row[first..], columns.stride, |out, x| *out = combine(*out, x));
                    }
                }
                end(oy, out);
            }
        });
    });
}

/// Largest element under each window; padding is −∞, NaN wins.
pub(crate) fn max_pool<T: Element>(arch: Arch, x: &[T], axes: [Axis; 2], out: &mut [T]) {
    let larger = |a: T, b: T| if a >= b || a.is_nan() { a } else { b };
    pool(arch, x, axes, out, -T::INFINITY, larger, |_, _| {});
}

/// Mean under each window. With `count_include_pad` the divisor counts the declared padding too, but not what a
/// rounded-up last window covers beyond it, as torch and ONNX have it.
pub(crate) fn avg_pool<T: Element>(arch: Arch, x: &[T], axes: [Axis; 2], count_include_pad: bool, out: &mut [T]) {
    let [rows, columns] = axes;
    #[expect(clippy::cast_precision_loss, reason = "no window has 2^53 cells")]
    let divide = |oy: usize, out: &mut [T]| {
        let height = rows.cells(oy, count_include_pad);
        for (ox, out) in out.iter_mut().enumerate() {
            *out = *out / T::from_f64((height * columns.cells(ox, count_include_pad)) as f64);
        }
    };
    pool(arch, x, axes, out, T::default(), |a, b| a + b, divide);
}

/// `(Σ |x|ᵖ)^(1/p)` under each window.
pub(crate) fn lp_pool<T: Element>(arch: Arch, x: &[T], axes: [Axis; 2], p: u32, out: &mut [T]) {
    match p {
        1 => pool(arch, x, axes, out, T::default(), |sum, x| sum + x.abs(), |_, _| {}),
        2 => pool(
            arch,
            x,
            axes,
            out,
            T::default(),
            |sum, x| sum + x * x,
            |_, out| {
                out.iter_mut().for_each(|out| *out = out.sqrt());
            },
        ),
        p => {
            let p = T::from_f64(f64::from(p));
            pool(
                arch,
                x,
                axes,
                out,
                T::default(),
                |sum, x| sum + x.abs().powf(p),
                |_, out| {
                    out.iter_mut().for_each(|out| *out = out.powf(T::ONE / p));
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(size: usize, output: usize, kernel: usize, stride: usize, before: usize, after: usize) -> Axis {
        Axis { size, output, kernel, stride, dilation: 1, before, after }
    }

    fn line(x: &[f64], axis: Axis, f: impl Fn(&[f64], [Axis; 2], &mut [f64])) -> Vec<f64> {
        let one = Axis { size: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };
        let mut out = vec![0.0; axis.output];
        f(x, [one, axis], &mut out);
        out
    }

    #[test]
    fn padding_never_wins_a_maximum_and_nan_always_does() {
        let max = |x: &[f64], a: [Axis; 2], out: &mut [f64]| max_pool(Arch::new(), x, a, out);
        assert_eq!(line(&[-3.0, -2.0, -5.0], axis(3, 3, 3, 1, 1, 1), max), [-2.0, -2.0, -2.0]);
        let out = line(&[1.0, f64::NAN, f64::NAN, 1.0, 3.0, 4.0], axis(6, 3, 2, 2, 0, 0), max);
        assert!(out[0].is_nan() && out[1].is_nan());
        assert_eq!(out[2], 4.0);
    }

    #[test]
    fn the_divisor_of_a_mean_counts_what_torch_counts() {
        // torch.nn.AvgPool1d(3, 2, padding=1, ceil_mode=True) on 1..4: the last window covers one padded cell.
        let mean = |include| move |x: &[f64], a: [Axis; 2], out: &mut [f64]| avg_pool(Arch::new(), x, a, include, out);
        let x = [1.0, 2.0, 3.0, 4.0];
        let axis = axis(4, 3, 3, 2, 1, 1);
        assert_eq!(line(&x, axis, mean(true)), [1.0, 3.0, 2.0]);
        assert_eq!(line(&x, axis, mean(false)), [1.5, 3.0, 4.0]);
        // Two taps, two apart: the padding before the first and behind the last one is not counted.
        let dilated = Axis { dilation: 2, kernel: 2, stride: 1, output: 4, ..axis };
        assert_eq!(line(&x, dilated, mean(false)), [2.0, 2.0, 3.0, 3.0]);
        assert_eq!(line(&x, dilated, mean(true)), [1.0, 2.0, 3.0, 1.5]);
    }
}
