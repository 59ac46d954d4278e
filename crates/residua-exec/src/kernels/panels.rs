//! Panels: how the matrix kernel wants its operands to lie.
//!
//! The common axis is cut into blocks ([`BLOCK`]). Of each block, rows come in panels of `tile rows`, the last ones in
//! panels of smaller powers of two; a panel of width w is as many groups of w elements as the block has steps. So
//! nothing is padded, and rows are read from first to last as they lie. Columns come in panels over the whole common
//! axis, padded to whole vectors.

use std::ops::Range;

use super::micro::{BLOCK, Shape};
use crate::element::Element;
use crate::parallel;

/// The panels that `rows` rows are cut into.
pub(crate) fn row_panels(rows: usize, full: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = rows - start;
        let width = if rest >= full { full } else { (rest > 0).then(|| 1 << rest.ilog2())? };
        start += width;
        Some(start - width..start)
    })
}

/// The panels that `columns` columns are cut into, with their padded widths.
pub(crate) fn column_panels(columns: usize, shape: Shape) -> impl Iterator<Item = (Range<usize>, usize)> {
    let full = shape.columns();
    (0..columns).step_by(full.max(1)).map(move |start| {
        let end = columns.min(start + full);
        (start..end, (end - start).next_multiple_of(shape.lanes))
    })
}

/// Packs rows of a row-major matrix.
pub(crate) fn pack_rows<T: Element>(matrix: &[T], depth: usize, shape: Shape, out: &mut [T]) {
    if depth == 0 || matrix.is_empty() {
        return;
    }
    let rows = matrix.len() / depth;
    parallel::for_each(out.chunks_mut(rows * BLOCK).zip((0..depth).step_by(BLOCK)), |(out, start)| {
        let len = out.len() / rows;
        for panel in row_panels(rows, shape.rows) {
            let out = &mut out[panel.start * len..][..panel.len() * len];
            let width = panel.len();
            for (lane, row) in panel.enumerate() {
                let source = &matrix[row * depth + start..][..len];
                for (element, &x) in out[lane..].iter_mut().step_by(width).zip(source) {
                    *element = x;
                }
            }
        }
    });
}

/// Packs the transpose of a row-major matrix: column j is row j of `matrix`.
pub(crate) fn pack_transposed<T: Element>(matrix: &[T], depth: usize, shape: Shape) -> Vec<T> {
    if depth == 0 {
        return Vec::new();
    }
    let columns = matrix.len() / depth;
    let mut out = vec![T::default(); columns.next_multiple_of(shape.lanes) * depth];
    let panel = shape.columns() * depth;
    parallel::for_each(out.chunks_mut(panel).zip(matrix.chunks(panel)), |(out, matrix)| {
        let width = out.len() / depth;
        for (lane, row) in matrix.chunks(depth).enumerate() {
            for (element, &x) in out[lane..].iter_mut().step_by(width).zip(row) {
                *element = x;
            }
        }
    });
    out
}

/// Packs the columns of a row-major matrix of this many columns.
pub(crate) fn pack_columns<T: Element>(matrix: &[T], columns: usize, shape: Shape) -> Vec<T> {
    if columns == 0 {
        return Vec::new();
    }
    let depth = matrix.len() / columns;
    let mut out = vec![T::default(); columns.next_multiple_of(shape.lanes) * depth];
    for (range, width) in column_panels(columns, shape) {
        let panel = &mut out[range.start * depth..][..width * depth];
        for (out, row) in panel.chunks_mut(width).zip(matrix.chunks(columns)) {
            out[..range.len()].copy_from_slice(&row[range.clone()]);
        }
    }
    out
}
