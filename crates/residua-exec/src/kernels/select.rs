//! Operators that pick elements by what other values say.

use super::combine::{Shaped, broadcast_strides};
use crate::array::{advance, strides};
use crate::element::Element;

/// `condition ? a : b` over the result's shape.
pub(crate) fn choose<T: Element>(
    condition: Shaped<'_, T>,
    a: Shaped<'_, T>,
    b: Shaped<'_, T>,
    out: &mut [T],
    shape: &[usize],
) {
    if out.is_empty() {
        return;
    }
    let steps = [condition, a, b].map(|(_, own)| broadcast_strides(own, shape));
    let (row, outer) = match shape.split_last() {
        Some((&row, outer)) => (row, outer),
        None => (1, shape),
    };
    let inner = [0, 1, 2].map(|operand: usize| steps[operand].last().copied().unwrap_or(0));
    let mut index = vec![0usize; outer.len()];
    for out in out.chunks_exact_mut(row) {
        let at = |operand: usize| index.iter().zip(&steps[operand]).map(|(i, step)| i * step).sum::<usize>();
        let (condition, a, b) = (&condition.0[at(0)..], &a.0[at(1)..], &b.0[at(2)..]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = if condition[i * inner[0]] == T::default() { b[i * inner[2]] } else { a[i * inner[1]] };
        }
        advance(&mut index, outer);
    }
}

/// An index as a place on an axis of `size` elements; below 0 it counts from the end.
fn place<T: Element>(index: T, size: usize) -> Result<usize, String> {
    let value = index.to_f64();
    #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
    let len = size as f64;
    let at = if value < 0.0 { value + len } else { value };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    if at >= 0.0 && at < len {
        Ok(at as usize)
    } else {
        Err(format!("index {value} is out of range for {size} elements"))
    }
}

/// Slices along an axis of `len` elements with `inner` elements behind it.
pub(crate) fn gather<T: Element>(
    x: &[T],
    (len, inner): (usize, usize),
    indices: &[T],
    out: &mut [T],
) -> Result<(), String> {
    let places: Vec<usize> = indices.iter().map(|&index| place(index, len)).collect::<Result<_, _>>()?;
    if out.is_empty() {
        return Ok(());
    }
    let blocks = x.chunks_exact(len * inner).zip(out.chunks_exact_mut(places.len() * inner));
    for (x, out) in blocks {
        for (&at, out) in places.iter().zip(out.chunks_exact_mut(inner)) {
            out.copy_from_slice(&x[at * inner..][..inner]);
        }
    }
    Ok(())
}

/// Elements along an axis, each at the place of its index.
pub(crate) fn gather_elements<T: Element>(
    x: Shaped<'_, T>,
    indices: Shaped<'_, T>,
    axis: usize,
    out: &mut [T],
) -> Result<(), String> {
    let steps = strides(x.1);
    let mut position = vec![0usize; indices.1.len()];
    for (out, &index) in out.iter_mut().zip(indices.0) {
        let at = place(index, x.1[axis])?;
        let along = |i: usize| if i == axis { at } else { position[i] };
        *out = x.0[steps.iter().enumerate().map(|(i, step)| along(i) * step).sum::<usize>()];
        advance(&mut position, indices.1);
    }
    Ok(())
}

/// Slices by tuples of indices, the first `batch` axes of both in common.
pub(crate) fn gather_nd<T: Element>(
    x: Shaped<'_, T>,
    indices: Shaped<'_, T>,
    batch: usize,
    out: &mut [T],
) -> Result<(), String> {
    let depth = indices.1.last().copied().unwrap_or(0);
    let inner: usize = x.1[batch + depth..].iter().product();
    let batches: usize = x.1[..batch].iter().product();
    if out.is_empty() || batches == 0 {
        return Ok(());
    }
    let (steps, sizes) = (strides(&x.1[batch..]), &x.1[batch..]);
    let (x_block, out_block) = (x.0.len() / batches, out.len() / batches);
    let mut tuples = indices.0.chunks_exact(depth.max(1));
    for (b, out) in out.chunks_exact_mut(out_block).enumerate() {
        let x = &x.0[b * x_block..][..x_block];
        for out in out.chunks_exact_mut(inner) {
            let tuple = if depth == 0 { &[] } else { tuples.next().unwrap_or_default() };
            let mut at = 0;
            for (i, &index) in tuple.iter().enumerate() {
                at += place(index, sizes[i])? * steps[i];
            }
            out.copy_from_slice(&x[at..][..inner]);
        }
    }
    Ok(())
}

/// `x` with slices in the place of those that tuples of indices say.
pub(crate) fn scatter_nd<T: Element>(
    x: Shaped<'_, T>,
    indices: Shaped<'_, T>,
    updates: &[T],
    out: &mut [T],
) -> Result<(), String> {
    out.copy_from_slice(x.0);
    let depth = indices.1.last().copied().unwrap_or(0);
    let inner: usize = x.1[depth..].iter().product();
    if out.is_empty() || updates.is_empty() {
        return Ok(());
    }
    let steps = strides(x.1);
    let mut tuples = indices.0.chunks_exact(depth.max(1));
    for update in updates.chunks_exact(inner) {
        let tuple = if depth == 0 { &[] } else { tuples.next().unwrap_or_default() };
        let mut at = 0;
        for (axis, &index) in tuple.iter().enumerate() {
            at += place(index, x.1[axis])? * steps[axis];
        }
        out[at..][..inner].copy_from_slice(update);
    }
    Ok(())
}
