//! Operators that only move elements.

use residua_ir::{Border, Pad, PadAxes, Trilu};

use super::combine::broadcast_strides;
use crate::array::{advance, strides};
use crate::element::Element;
use crate::parallel;

/// Pads `[N, C, H, W]` with a constant.
pub(crate) fn pad<T: Element>(x: &[T], shape: [usize; 4], pad: &Pad, out: &mut [T]) {
    let [_, channels, height, width] = shape;
    let (rows, columns) = (height + pad.pads.top + pad.pads.bottom, width + pad.pads.left + pad.pads.right);
    let all = channels + pad.channels[0] + pad.channels[1];
    let value = T::from_f64(pad.value);
    if rows * columns == 0 {
        return;
    }
    parallel::for_each(out.chunks_mut(rows * columns).enumerate(), |(index, out)| {
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

/// One triangle of the matrices along the last two axes, zeros elsewhere.
pub(crate) fn trilu<T: Element>(x: &[T], shape: &[usize], trilu: Trilu, out: &mut [T]) {
    let &[.., rows, columns] = shape else { return };
    if rows * columns == 0 {
        return;
    }
    parallel::for_each(out.chunks_mut(columns).zip(x.chunks(columns)).enumerate(), |(index, (out, x))| {
        let row = i64::try_from(index % rows).unwrap_or(i64::MAX);
        // Columns before the diagonal; it ends the triangle below and starts the one above.
        let end = row.saturating_add(trilu.diagonal).saturating_add(i64::from(!trilu.upper));
        let (below, above) = x.split_at(usize::try_from(end).unwrap_or(0).min(columns));
        let (out_below, out_above) = out.split_at_mut(below.len());
        if trilu.upper {
            out_below.fill(T::default());
            out_above.copy_from_slice(above);
        } else {
            out_below.copy_from_slice(below);
            out_above.fill(T::default());
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

/// Every `step`-th element from `first` of an axis of `len` elements with `inner` elements behind it; as many as fit in
/// `out`.
pub(crate) fn slice<T: Element>(
    x: &[T],
    (len, inner): (usize, usize),
    (first, step): (usize, i64),
    count: usize,
    out: &mut [T],
) {
    if len * inner == 0 || count * inner == 0 {
        return;
    }
    let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(count * inner)) {
        for (i, out) in out.chunks_exact_mut(inner).enumerate() {
            let at = if step > 0 { first + i * stride } else { first - i * stride };
            out.copy_from_slice(&x[at * inner..][..inner]);
        }
    }
}

/// Index along an axis of `size` elements behind padding of `before`; none where a constant stands.
fn source(at: usize, size: usize, before: usize, border: Border) -> Option<usize> {
    let inside = at.checked_sub(before).filter(|&at| at < size);
    // How far beyond the end: below 0 before it, and counted from the last element behind it.
    let beyond = |period: usize| {
        let behind = before % period;
        (at % period + period - behind) % period
    };
    match border {
        Border::Constant(_) => inside,
        Border::Edge => Some(at.saturating_sub(before).min(size - 1)),
        Border::Wrap => Some(beyond(size)),
        Border::Reflect if size == 1 => Some(0),
        Border::Reflect => {
            let at = beyond(2 * (size - 1));
            Some(if at < size { at } else { 2 * (size - 1) - at })
        }
    }
}

/// Pads any axes of a value of this shape.
pub(crate) fn pad_axes<T: Element>(x: &[T], shape: &[usize], pad: &PadAxes, result: &[usize], out: &mut [T]) {
    let Some((&row, outer)) = result.split_last().filter(|_| !out.is_empty()) else {
        out.copy_from_slice(x);
        return;
    };
    let last = outer.len();
    let steps = strides(shape);
    let place = |axis: usize, at: usize| source(at, shape[axis], pad.amounts[axis][0], pad.border);
    let value = match pad.border {
        Border::Constant(value) => T::from_f64(value),
        Border::Reflect | Border::Edge | Border::Wrap => T::default(),
    };
    let columns: Vec<Option<usize>> = (0..row).map(|at| place(last, at)).collect();
    let mut index = vec![0usize; last];
    for out in out.chunks_exact_mut(row) {
        let start = index.iter().enumerate().try_fold(0, |sum, (axis, &at)| Some(sum + place(axis, at)? * steps[axis]));
        for (out, column) in out.iter_mut().zip(&columns) {
            *out = start.zip(*column).map_or(value, |(start, column)| x[start + column]);
        }
        advance(&mut index, outer);
    }
}

/// Stretches axes of size 1 of a value of this shape to the shape of the result.
pub(crate) fn expand<T: Element>(x: &[T], shape: &[usize], result: &[usize], out: &mut [T]) {
    let steps = broadcast_strides(shape, result);
    let Some((&row, outer)) = result.split_last().filter(|_| !out.is_empty()) else {
        out.copy_from_slice(&x[..out.len()]);
        return;
    };
    let mut index = vec![0usize; outer.len()];
    for out in out.chunks_exact_mut(row) {
        let start: usize = index.iter().zip(&steps).map(|(at, step)| at * step).sum();
        if steps[outer.len()] == 0 {
            out.fill(x[start]);
        } else {
            out.copy_from_slice(&x[start..start + row]);
        }
        advance(&mut index, outer);
    }
}

/// Repeats a value of this shape along each axis, up to the shape of the result.
pub(crate) fn tile<T: Element>(x: &[T], shape: &[usize], result: &[usize], out: &mut [T]) {
    let steps = strides(shape);
    let Some((&row, outer)) = result.split_last().filter(|_| !out.is_empty()) else {
        out.copy_from_slice(&x[..out.len()]);
        return;
    };
    let width = shape[outer.len()];
    let mut index = vec![0usize; outer.len()];
    for out in out.chunks_exact_mut(row) {
        let start: usize = index.iter().enumerate().map(|(axis, at)| at % shape[axis] * steps[axis]).sum();
        out.chunks_exact_mut(width).for_each(|out| out.copy_from_slice(&x[start..start + width]));
        advance(&mut index, outer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_reads_the_elements_that_numpy_reads() {
        let row = |border, before, after| {
            let pad = PadAxes { amounts: vec![[before, after]], border };
            let mut out = vec![0.0; 4 + before + after];
            pad_axes(&[1.0, 2.0, 3.0, 4.0], &[4], &pad, &[out.len()], &mut out);
            out
        };
        assert_eq!(row(Border::Constant(9.0), 1, 2), [9.0, 1.0, 2.0, 3.0, 4.0, 9.0, 9.0]);
        assert_eq!(row(Border::Edge, 2, 1), [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        // numpy.pad([1, 2, 3, 4], (5, 4), mode): further than the axis is long.
        assert_eq!(row(Border::Wrap, 5, 4), [4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(row(Border::Reflect, 5, 4), [2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 2.0]);
        let one = PadAxes { amounts: vec![[2, 1]], border: Border::Reflect };
        let mut out = [0.0; 4];
        pad_axes(&[7.0], &[1], &one, &[4], &mut out);
        assert_eq!(out, [7.0; 4]);
    }
}
