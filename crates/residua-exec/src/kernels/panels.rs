//! Panels: how the matrix kernel wants its operands to lie.
//!
//! Rows come in panels of `tile rows`, the last ones in panels of smaller powers of two; a panel of width w that
//! starts at row i lies at `i · depth`, as `depth` groups of w elements. So nothing is padded, and a part of the
//! common axis is contiguous in each panel. Columns lie likewise, but padded to whole vectors.

use std::ops::Range;

use rayon::prelude::*;

use super::micro::Shape;
use crate::element::Element;

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
    let mut rest = out;
    let mut panels = Vec::new();
    for panel in row_panels(rows, shape.rows) {
        let (out, tail) = rest.split_at_mut(panel.len() * depth);
        panels.push((panel, out));
        rest = tail;
    }
    panels.into_par_iter().with_min_len(4).for_each(|(panel, out)| {
        let width = panel.len();
        for (lane, row) in panel.enumerate() {
            let source = &matrix[row * depth..][..depth];
            for (element, &x) in out[lane..].iter_mut().step_by(width).zip(source) {
                *element = x;
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
    out.par_chunks_mut(shape.columns() * depth).zip(matrix.par_chunks(shape.columns() * depth)).for_each(
        |(out, matrix)| {
            let width = out.len() / depth;
            for (lane, row) in matrix.chunks(depth).enumerate() {
                for (element, &x) in out[lane..].iter_mut().step_by(width).zip(row) {
                    *element = x;
                }
            }
        },
    );
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
