//! Panels: how the matrix kernel wants its operands to lie.
//!
//! The common axis is cut into blocks. Of each block, rows come in panels of `tile rows`, the last ones in
//! panels of smaller powers of two; a panel of width w is as many groups of w elements as the block has steps. So
//! nothing is padded, and rows are read from first to last as they lie. Columns come in panels over the whole common
//! axis, padded to whole vectors.

use std::ops::Range;

use super::tile::{BLOCK, Shape, column_panels, row_panels};
use crate::element::Element;
use crate::parallel;

/// An element of a matrix that is packed: a number, or what becomes one on the way, so that a file is packed as it is read.
pub(crate) trait Raw<T>: Copy + Sync {
    fn number(self) -> T;
}

impl<T: Element> Raw<T> for T {
    #[inline(always)]
    fn number(self) -> T {
        self
    }
}

/// The bytes of an f32, the lowest first.
impl<T: Element> Raw<T> for [u8; 4] {
    #[inline(always)]
    fn number(self) -> T {
        T::from_f32(f32::from_le_bytes(self))
    }
}

/// How the common axis of rows is packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis<'a> {
    pub(crate) depth: usize,
    /// Steps of a block.
    pub(crate) block: usize,
    /// Where each step lies in a row; [`None`] where they are in order.
    pub(crate) steps: Option<&'a [usize]>,
}

/// Packs rows of a row-major matrix.
pub(crate) fn pack_rows<T: Element>(matrix: &[impl Raw<T>], axis: Axis<'_>, shape: Shape, out: &mut [T]) {
    let Axis { depth, block, .. } = axis;
    if depth == 0 || matrix.is_empty() {
        return;
    }
    let rows = matrix.len() / depth;
    // Rows are read from first to last, so each panel is written to all its blocks in one go.
    let mut panels: Vec<(Range<usize>, Vec<&mut [T]>)> =
        row_panels(rows, shape.rows).map(|panel| (panel, Vec::with_capacity(depth.div_ceil(block)))).collect();
    for mut rest in out.chunks_mut(rows * block) {
        let steps = rest.len() / rows;
        for (panel, parts) in &mut panels {
            let part;
            (part, rest) = rest.split_at_mut(panel.len() * steps);
            parts.push(part);
        }
    }
    parallel::for_each(panels.into_iter(), |(panel, parts)| {
        let matrix = &matrix[panel.start * depth..panel.end * depth];
        match panel.len() {
            8 => interleave::<T, _, 8>(matrix, axis, parts),
            4 => interleave::<T, _, 4>(matrix, axis, parts),
            2 => interleave::<T, _, 2>(matrix, axis, parts),
            _ => interleave::<T, _, 1>(matrix, axis, parts),
        }
    });
}

/// Writes one panel of `W` rows, block by block.
fn interleave<T: Element, R: Raw<T>, const W: usize>(matrix: &[R], axis: Axis<'_>, parts: Vec<&mut [T]>) {
    let Axis { depth, block, steps } = axis;
    let rows: [&[R]; W] = std::array::from_fn(|row| &matrix[row * depth..][..depth]);
    for (part, start) in parts.into_iter().zip((0..).step_by(block)) {
        let (groups, _) = part.as_chunks_mut::<W>();
        if let Some(steps) = steps {
            for (group, &step) in groups.iter_mut().zip(&steps[start..]) {
                *group = rows.map(|row| row[step].number());
            }
            continue;
        }
        let rows = rows.map(|row| &row[start..][..groups.len()]);
        for (k, group) in groups.iter_mut().enumerate() {
            *group = rows.map(|row| row[k].number());
        }
    }
}

/// Packs the transpose of a row-major matrix: column j is row j of `matrix`.
pub(crate) fn pack_transposed<T: Element>(matrix: &[impl Raw<T>], depth: usize, shape: Shape) -> Vec<T> {
    if depth == 0 {
        return Vec::new();
    }
    let columns = matrix.len() / depth;
    let mut out = vec![T::default(); columns.next_multiple_of(shape.lanes) * depth];
    let panel = shape.columns() * depth;
    parallel::for_each(out.chunks_mut(panel).zip(matrix.chunks(panel)), |(out, matrix)| {
        let width = out.len() / depth;
        // A few steps of all rows, so that what is written stays in cache until its lines are full.
        for (part, start) in out.chunks_mut(BLOCK * width).zip((0..).step_by(BLOCK)) {
            for (lane, row) in matrix.chunks(depth).enumerate() {
                for (element, x) in part[lane..].iter_mut().step_by(width).zip(&row[start..]) {
                    *element = x.number();
                }
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
