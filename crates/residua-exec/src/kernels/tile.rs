//! Tiles: what of a product of matrices is computed at once in registers, and the panels that operands are cut into for it.

use std::ops::Range;

/// Steps along the common axis that are summed before they are added to the result. Three vectors of f32 or f64 a
/// step, of 64 bytes each, take 24 KiB: what of a first-level cache of 32 KiB the rows leave.
pub(crate) const BLOCK: usize = 128;
/// Vectors side by side in a tile.
const VECTORS: usize = 3;

/// How tiles are shaped on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Elements of one vector.
    pub(crate) lanes: usize,
}

impl Shape {
    /// Columns of a full tile.
    pub(crate) fn columns(self) -> usize {
        VECTORS * self.lanes
    }
}

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
