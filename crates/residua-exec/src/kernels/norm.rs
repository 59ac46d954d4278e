//! Normalisations. Means and variances are summed in f64, in row-major order.

use pulp::Arch;
use residua_ir::{Activation, Lrn};

use super::activation;
use crate::array::offsets;
use crate::element::Element;
use crate::parallel;

/// Parameters of a batch norm, one an element of the channel axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics<'a, T> {
    pub(crate) scale: &'a [T],
    pub(crate) offset: &'a [T],
    pub(crate) mean: &'a [T],
    pub(crate) variance: &'a [T],
}

/// Batch norm as it is defined; `plane` elements a channel.
pub(crate) fn batch_norm<T: Element>(
    arch: Arch,
    x: &[T],
    s: Statistics<'_, T>,
    epsilon: f64,
    plane: usize,
    out: &mut [T],
) {
    if plane == 0 || s.scale.is_empty() {
        return;
    }
    let epsilon = T::from_f64(epsilon);
    parallel::for_each(out.chunks_mut(plane).zip(x.chunks(plane)).enumerate(), |(index, (out, x))| {
        let c = index % s.scale.len();
        let (scale, offset, mean, deviation) = (s.scale[c], s.offset[c], s.mean[c], (s.variance[c] + epsilon).sqrt());
        vectorised!(arch, {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = scale * (x - mean) / deviation + offset;
            }
        });
    });
}

/// `activation((x - mean) * factor + offset)` by channel, in place.
pub(crate) fn centre_and_scale<T: Element>(
    arch: Arch,
    values: &mut [T],
    [mean, factor, offset]: [&[T]; 3],
    plane: usize,
    function: Option<Activation>,
) {
    if plane == 0 || mean.is_empty() {
        return;
    }
    parallel::for_each(values.chunks_mut(plane).enumerate(), |(index, values)| {
        let c = index % mean.len();
        let (mean, factor, offset) = (mean[c], factor[c], offset[c]);
        vectorised!(arch, {
            values.iter_mut().for_each(|x| *x = (*x - mean) * factor + offset);
            if let Some(function) = function {
                activation::apply(function, values);
            }
        });
    });
}

/// Mean and `1 / sqrt(variance + epsilon)` of some values, the variance by a second pass.
fn moments(values: impl Iterator<Item = f64> + Clone, count: usize, epsilon: f64) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
    let count = count as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Group norm of `[N, C, ...]` with `plane` elements a channel.
pub(crate) fn group_norm<T: Element>(
    x: &[T],
    [scale, offset]: [&[T]; 2],
    groups: usize,
    plane: usize,
    epsilon: f64,
    out: &mut [T],
) {
    let channels = scale.len() / groups.max(1);
    if plane == 0 || channels == 0 {
        return;
    }
    let len = channels * plane;
    parallel::for_each(out.chunks_mut(len).zip(x.chunks(len)).enumerate(), |(index, (out, x))| {
        let (mean, factor) = moments(x.iter().map(|v| v.to_f64()), len, epsilon);
        for (i, (out, x)) in out.chunks_mut(plane).zip(x.chunks(plane)).enumerate() {
            let c = index % groups * channels + i;
            let (scale, offset) = (scale[c].to_f64(), offset[c].to_f64());
            for (out, x) in out.iter_mut().zip(x) {
                *out = T::from_f64((x.to_f64() - mean) * factor * scale + offset);
            }
        }
    });
}

/// Layer norm over `axes` (ascending) of a value of this shape.
pub(crate) fn layer_norm<T: Element>(
    x: &[T],
    shape: &[usize],
    axes: &[usize],
    [scale, offset]: [&[T]; 2],
    epsilon: f64,
    out: &mut [T],
) {
    if x.is_empty() {
        return;
    }
    let rest: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let (outer, inner) = (offsets(shape, &rest), offsets(shape, axes));
    for start in outer {
        let (mean, factor) = moments(inner.iter().map(|at| x[start + at].to_f64()), inner.len(), epsilon);
        for (i, at) in inner.iter().enumerate() {
            let value = (x[start + at].to_f64() - mean) * factor * scale[i].to_f64() + offset[i].to_f64();
            out[start + at] = T::from_f64(value);
        }
    }
}

/// Local response normalisation of `[N, C, ...]` with `plane` elements a channel.
pub(crate) fn lrn<T: Element>(x: &[T], lrn: &Lrn, channels: usize, plane: usize, out: &mut [T]) {
    if plane == 0 || channels == 0 {
        return;
    }
    let (before, after) = ((lrn.size - 1) / 2, lrn.size / 2);
    #[expect(clippy::cast_precision_loss, reason = "no network has 2^53 channels")]
    let alpha = lrn.alpha / lrn.size as f64;
    parallel::for_each(out.chunks_mut(plane).enumerate(), |(index, out)| {
        let (image, c) = (index / channels * channels, index % channels);
        let window = image + c.saturating_sub(before)..image + channels.min(c + after + 1);
        for (i, out) in out.iter_mut().enumerate() {
            let square = |channel: usize| x[channel * plane + i].to_f64() * x[channel * plane + i].to_f64();
            let sum: f64 = window.clone().map(square).sum();
            *out = T::from_f64(x[index * plane + i].to_f64() / (lrn.bias + alpha * sum).powf(lrn.beta));
        }
    });
}
