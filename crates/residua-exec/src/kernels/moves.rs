//! Operators that only move elements.

use rayon::prelude::*;
use residua_ir::Pad;

use crate::element::Element;

/// Pads `[N, C, H, W]` with a constant.
pub(crate) fn pad<T: Element>(x: &[T], shape: [usize; 4], pad: &Pad, out: &mut [T]) {
    let [_, channels, height, width] = shape;
    let (rows, columns) = (height + pad.pads.top + pad.pads.bottom, width + pad.pads.left + pad.pads.right);
    let all = channels + pad.channels[0] + pad.channels[1];
    let value = T::from_f64(pad.value);
    if rows * columns == 0 {
        return;
    }
    out.par_chunks_mut(rows * columns).enumerate().for_each(|(index, out)| {
        let (image, channel) = (index / all, (index % all).wrapping_sub(pad.channels[0]));
        if channel >= channels || width == 0 {
            out.fill(value);
            return;
        }
        let plane = &x[(image * channels + channel) * height * width..][..height * width];
        let (top, rest) = out.split_at_mut(pad.pads.top * columns);
        let (middle, bottom) = rest.split_at_mut(height * columns);
        top.fill(value);
        bottom.fill(value);
        for (out, row) in middle.chunks_exact_mut(columns).zip(plane.chunks_exact(width)) {
            out[..pad.pads.left].fill(value);
            out[pad.pads.left..][..width].copy_from_slice(row);
            out[pad.pads.left + width..].fill(value);
        }
    });
}

/// Joins operands, each with the elements it has from the joined axis on, `outer` times.
pub(crate) fn concat<T: Element>(operands: &[(&[T], usize)], out: &mut [T]) {
    let block: usize = operands.iter().map(|&(_, len)| len).sum();
    if block == 0 {
        return;
    }
    for (index, out) in out.chunks_exact_mut(block).enumerate() {
        let mut at = 0;
        for &(x, len) in operands {
            out[at..at + len].copy_from_slice(&x[index * len..][..len]);
            at += len;
        }
    }
}

/// Every `step`-th element from `start` of an axis of `len` elements with `inner` elements behind it; as many as fit in `out`.
pub(crate) fn slice<T: Element>(
    x: &[T],
    len: usize,
    inner: usize,
    count: usize,
    start: usize,
    step: usize,
    out: &mut [T],
) {
    if len * inner == 0 || count * inner == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(count * inner)) {
        for (i, out) in out.chunks_exact_mut(inner).enumerate() {
            out.copy_from_slice(&x[(start + i * step) * inner..][..inner]);
        }
    }
}
