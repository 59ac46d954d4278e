//! The matrix kernel: a strip of packed columns times panels of packed rows, in vector registers.
//!
//! Every element of the result is a sum of blocks of [`BLOCK`] steps along the common axis, each a chain of fused
//! multiply-adds in ascending order, whatever the tile it lies in and the width of the machine's vectors. So results
//! do not depend on how work is cut up, and are the same bits on all machines that have fused multiply-add. Blocks
//! also keep the rounding error of long sums down: it grows with their length and number, not with the whole axis.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::panels::row_panels;

/// Steps along the common axis that are summed before they are added to the result. Three vectors of f32 or f64 a
/// step, of 64 bytes each, take 24 KiB: what of a first-level cache of 32 KiB the rows leave.
pub(crate) const BLOCK: usize = 128;
/// Vectors side by side in a tile.
const VECTORS: usize = 3;
/// Columns at the end of a row for which a vector holds rows instead: of a whole vector of columns most would be dropped.
const FEW: usize = 4;
/// Panels of rows that few columns are multiplied with at once, so that sums wait for no other.
const ABREAST: usize = 4;

/// Elements of the widest vector of the narrowest type.
const MOST_LANES: usize = 16;

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

/// One strip of columns: `rows[i][column..] (+)= Σ a[i][k] · b[k]`.
pub(crate) struct Strip<'a, 'r, T> {
    /// Row panels over the whole common axis, as [`super::panels::pack_rows`] makes them.
    pub(crate) a: &'a [T],
    /// Length of the common axis.
    pub(crate) depth: usize,
    /// Block of the common axis that this strip adds; the block at 0 overwrites what the rows hold.
    pub(crate) range: Range<usize>,
    /// `range.len()` rows of one, two or three vectors.
    pub(crate) b: &'a [T],
    /// Rows of the result.
    pub(crate) rows: &'a mut [&'r mut [T]],
    /// First column of the result; those beyond the rows' ends are computed and dropped.
    pub(crate) column: usize,
}

/// One type's vectors under one instruction set.
trait Vector<S: Simd>: Copy + Default + std::ops::Add<Output = Self> {
    type V: Copy;
    const LANES: usize;
    fn vectors(values: &[Self]) -> &[Self::V];
    fn splat(simd: S, value: Self) -> Self::V;
    fn mul_add(simd: S, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(simd: S, a: Self::V, b: Self::V) -> Self::V;
    fn load(simd: S, values: &[Self]) -> Self::V;
    fn store(simd: S, values: &mut [Self], vector: Self::V);
}

macro_rules! vector {
    ($ty:ident, $v:ident, $lanes:ident, $as:ident, $splat:ident, $fma:ident, $add:ident, $load:ident, $store:ident) => {
        impl<S: Simd> Vector<S> for $ty {
            type V = S::$v;
            const LANES: usize = S::$lanes;
            #[inline(always)]
            fn vectors(values: &[Self]) -> &[Self::V] {
                S::$as(values).0
            }
            #[inline(always)]
            fn splat(simd: S, value: Self) -> Self::V {
                simd.$splat(value)
            }
            #[inline(always)]
            fn mul_add(simd: S, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                simd.$fma(a, b, c)
            }
            #[inline(always)]
            fn add(simd: S, a: Self::V, b: Self::V) -> Self::V {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn load(simd: S, values: &[Self]) -> Self::V {
                match S::$as(values).0 {
                    [first, ..] => *first,
                    [] => simd.$load(values),
                }
            }
            #[inline(always)]
            fn store(simd: S, values: &mut [Self], vector: Self::V) {
                if values.len() < S::$lanes {
                    simd.$store(values, vector);
                } else {
                    values[..S::$lanes].copy_from_slice(pulp::bytemuck::cast_slice(std::slice::from_ref(&vector)));
                }
            }
        }

        impl WithSimd for Strip<'_, '_, $ty> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                strip(simd, self);
            }
        }

        impl WithSimd for ShapeOf<$ty> {
            type Output = Shape;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Shape {
                Shape { rows: full_rows::<S>(), lanes: S::$lanes }
            }
        }
    };
}

vector!(
    f32,
    f32s,
    F32_LANES,
    as_simd_f32s,
    splat_f32s,
    mul_add_e_f32s,
    add_f32s,
    partial_load_f32s,
    partial_store_f32s
);
vector!(
    f64,
    f64s,
    F64_LANES,
    as_simd_f64s,
    splat_f64s,
    mul_add_e_f64s,
    add_f64s,
    partial_load_f64s,
    partial_store_f64s
);

/// Asks for the [`Shape`] of a type's tiles.
#[derive(Default)]
pub(crate) struct ShapeOf<T>(PhantomData<T>);

/// Rows of a tile: its accumulators, the vectors of `b` and a splat element of `a` must fit in the registers.
const fn full_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
}

#[inline(always)]
fn strip<S: Simd, T: Vector<S>>(simd: S, strip: Strip<'_, '_, T>) {
    let Strip { a, depth, range, b, rows, column } = strip;
    let vectors = b.len() / (range.len() * T::LANES).max(1);
    let mut done = 0;
    if vectors == 1 {
        macro_rules! few {
            ($($columns:literal)*) => {
                match rows.first().map_or(0, |row| row.len().saturating_sub(column)) {
                    $($columns => done = few::<S, T, $columns>(simd, a, depth, &range, b, rows, column),)*
                    _ => {}
                }
            };
        }
        few!(1 2 3 4);
    }
    for panel in row_panels(rows.len(), full_rows::<S>()).skip_while(|panel| panel.start < done) {
        let width = panel.len();
        let a = &a[panel.start * depth + range.start * width..][..range.len() * width];
        let rows = &mut rows[panel];
        let first = range.start == 0;
        macro_rules! dispatch {
            ($(($m:literal, $v:literal))*) => {
                match (width, vectors) {
                    $(($m, $v) => tile::<S, T, $m, $v>(simd, a, b, rows, column, first),)*
                    _ => {}
                }
            };
        }
        dispatch!((8, 3)(8, 2)(8, 1)(4, 3)(4, 2)(4, 1)(2, 3)(2, 2)(2, 1)(1, 3)(1, 2)(1, 1));
    }
}

/// Few columns of full panels of rows, as many panels as come abreast; how many rows that were.
#[inline(always)]
fn few<S: Simd, T: Vector<S>, const C: usize>(
    simd: S,
    a: &[T],
    depth: usize,
    range: &Range<usize>,
    b: &[T],
    rows: &mut [&mut [T]],
    column: usize,
) -> usize {
    let height = full_rows::<S>();
    if height > T::LANES || C > FEW {
        return 0;
    }
    let step = height * ABREAST;
    for (group, rows) in rows.chunks_exact_mut(step).enumerate() {
        let panel =
            |index: usize| &a[(group * step + index * height) * depth + range.start * height..][..range.len() * height];
        let panels: [&[T]; ABREAST] = std::array::from_fn(panel);
        let mut sums = [[T::splat(simd, T::default()); C]; ABREAST];
        for (k, b) in b.chunks_exact(T::LANES).enumerate() {
            let factors: [T::V; C] = std::array::from_fn(|c| T::splat(simd, b[c]));
            for (sums, panel) in sums.iter_mut().zip(panels) {
                let a = T::load(simd, &panel[k * height..][..height]);
                for (sum, &factor) in sums.iter_mut().zip(&factors) {
                    *sum = T::mul_add(simd, a, factor, *sum);
                }
            }
        }
        for (sums, rows) in sums.iter().zip(rows.chunks_exact_mut(height)) {
            for (c, &sum) in sums.iter().enumerate() {
                let mut sum_of_row = [T::default(); MOST_LANES];
                T::store(simd, &mut sum_of_row[..T::LANES], sum);
                for (row, &sum) in rows.iter_mut().zip(&sum_of_row) {
                    let y = &mut row[column + c];
                    *y = if range.start == 0 { sum } else { *y + sum };
                }
            }
        }
    }
    rows.len() / step * step
}

#[inline(always)]
fn tile<S: Simd, T: Vector<S>, const M: usize, const V: usize>(
    simd: S,
    a: &[T],
    b: &[T],
    rows: &mut [&mut [T]],
    column: usize,
    first: bool,
) {
    let mut sums = [[T::splat(simd, T::default()); V]; M];
    let (a, _) = a.as_chunks::<M>();
    let (b, _) = T::vectors(b).as_chunks::<V>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..M {
            let factor = T::splat(simd, a[i]);
            for v in 0..V {
                sums[i][v] = T::mul_add(simd, factor, b[v], sums[i][v]);
            }
        }
    }
    for (sums, row) in sums.iter().zip(rows) {
        let end = row.len();
        for (v, &sum) in sums.iter().enumerate() {
            let row = &mut row[(column + v * T::LANES).min(end)..];
            let sum = if first { sum } else { <T as Vector<S>>::add(simd, T::load(simd, row), sum) };
            T::store(simd, row, sum);
        }
    }
}
