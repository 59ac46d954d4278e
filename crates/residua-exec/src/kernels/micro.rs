//! The matrix kernel: a strip of packed columns times panels of packed rows, in vector registers.
//!
//! Every element of the result is a sum of blocks of [`BLOCK`](super::tile::BLOCK) steps along the common axis (others for convolutions),
//! each a chain of fused multiply-adds in ascending order, whatever the tile it lies in and the width of the machine's
//! vectors. So results do not depend on how work is cut up, and are the same bits on all machines that
//! have fused multiply-add. Blocks also keep the rounding error of long sums down: it grows with their length and number,
//! not with the whole axis.

use std::marker::PhantomData;
use std::ops::{Add, Mul};

use pulp::{Simd, WithSimd};

use super::tile::{Shape, row_panels};

/// Columns at the end of a row for which a vector holds rows instead: of a whole vector of columns most would be dropped.
const FEW: usize = 4;
/// Panels of rows that few columns are multiplied with at once, so that sums wait for no other.
const ABREAST: usize = 4;

/// Elements of the widest vector of the narrowest type.
const MOST_LANES: usize = 16;

/// One strip of columns: `rows[i][column..] (+)= Σ a[i][k] · b[k]` over one block of the common axis.
pub(crate) struct Strip<'a, 'r, T> {
    /// The rows' panels of this block, as [`super::panels::pack_rows`] makes them.
    pub(crate) a: &'a [T],
    /// Steps of this block.
    pub(crate) depth: usize,
    /// `depth` rows of one, two or three vectors.
    pub(crate) b: &'a [T],
    /// Rows of the result.
    pub(crate) rows: &'a mut [&'r mut [T]],
    /// First column of the result; those beyond the rows' ends are computed and dropped.
    pub(crate) column: usize,
    /// Whether this is the first block, which overwrites what the rows hold.
    pub(crate) first: bool,
    /// What sums start from instead of 0.
    pub(crate) start: Option<Like<'a, T>>,
    /// What is done to the sums after this block.
    pub(crate) finish: Option<Finish<'a, T>>,
}

/// Rows like those of the result, so many elements apart.
pub(crate) type Like<'a, T> = (&'a [T], usize);

/// What is done to finished sums while they are in registers still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finish<'a, T> {
    /// One a row.
    pub(crate) factor: Option<&'a [T]>,
    /// One a row.
    pub(crate) bias: Option<&'a [T]>,
    /// Added last.
    pub(crate) residual: Option<Like<'a, T>>,
    /// Whether negative results become 0.
    pub(crate) relu: bool,
}

/// One type's vectors under one instruction set.
trait Vector<S: Simd>: Copy + Default + PartialOrd + Add<Output = Self> + Mul<Output = Self> {
    type V: Copy;
    const LANES: usize;
    fn vectors(values: &[Self]) -> &[Self::V];
    fn splat(simd: S, value: Self) -> Self::V;
    fn mul_add(simd: S, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(simd: S, a: Self::V, b: Self::V) -> Self::V;
    fn mul(simd: S, a: Self::V, b: Self::V) -> Self::V;
    /// `x < 0 ? 0 : x`.
    fn relu(simd: S, x: Self::V) -> Self::V;
    fn load(simd: S, values: &[Self]) -> Self::V;
    fn store(simd: S, values: &mut [Self], vector: Self::V);
}

macro_rules! vector {
    ($ty:ident, $v:ident, $lanes:ident, $as:ident, $splat:ident, $fma:ident, $add:ident, $mul:ident, $less:ident, $select:ident,
     $load:ident, $store:ident) => {
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
            fn mul(simd: S, a: Self::V, b: Self::V) -> Self::V {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn relu(simd: S, x: Self::V) -> Self::V {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$less(x, zero), zero, x)
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
    mul_f32s,
    less_than_f32s,
    select_f32s,
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
    mul_f64s,
    less_than_f64s,
    select_f64s,
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
    let Strip { a, depth, b, rows, column, first, start, finish } = strip;
    let ends = Ends { first, start, finish };
    let vectors = b.len() / (depth * T::LANES).max(1);
    let mut done = 0;
    if vectors == 1 {
        macro_rules! few {
            ($($columns:literal)*) => {
                match rows.first().map_or(0, |row| row.len().saturating_sub(column)) {
                    $($columns => done = few::<S, T, $columns>(simd, (a, b, depth), rows, column, ends),)*
                    _ => {}
                }
            };
        }
        few!(1 2 3 4);
    }
    for panel in row_panels(rows.len(), full_rows::<S>()).skip_while(|panel| panel.start < done) {
        let width = panel.len();
        let a = &a[panel.start * depth..][..width * depth];
        let ends = ends.from(panel.start, column);
        let rows = &mut rows[panel];
        macro_rules! dispatch {
            ($(($m:literal, $v:literal))*) => {
                match (width, vectors) {
                    $(($m, $v) => tile::<S, T, $m, $v>(simd, (a, b), rows, column, ends),)*
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
    (a, b, depth): (&[T], &[T], usize),
    rows: &mut [&mut [T]],
    column: usize,
    ends: Ends<'_, T>,
) -> usize {
    let height = full_rows::<S>();
    if height > T::LANES || C > FEW {
        return 0;
    }
    let step = height * ABREAST;
    for (group, rows) in rows.chunks_exact_mut(step).enumerate() {
        let panels: [&[T]; ABREAST] =
            std::array::from_fn(|index| &a[(group * step + index * height) * depth..][..height * depth]);
        let mut sums = [[T::splat(simd, T::default()); C]; ABREAST];
        for (k, b) in b.chunks_exact(T::LANES).enumerate() {
            let factors: [T::V; C] = std::array::from_fn(|c| T::splat(simd, b[c]));
            for (sums, panel) in sums.iter_mut().zip(panels) {
                let a = T::load(simd, &panel[k * height..]);
                for (sum, &factor) in sums.iter_mut().zip(&factors) {
                    *sum = T::mul_add(simd, a, factor, *sum);
                }
            }
        }
        for (index, (sums, rows)) in sums.iter().zip(rows.chunks_exact_mut(height)).enumerate() {
            for (c, &sum) in sums.iter().enumerate() {
                let mut sum_of_row = [T::default(); MOST_LANES];
                T::store(simd, &mut sum_of_row[..T::LANES], sum);
                let Ends { first, start, finish } = ends.from(group * step + index * height, column + c);
                for (i, (row, &sum)) in rows.iter_mut().zip(&sum_of_row).enumerate() {
                    let y = &mut row[column + c];
                    *y = match (first, start) {
                        (true, None) => sum,
                        (true, Some((start, pitch))) => start[i * pitch] + sum,
                        (false, _) => *y + sum,
                    };
                    if let Some(finish) = finish {
                        *y = finish.one(i, *y);
                    }
                }
            }
        }
    }
    rows.len() / step * step
}

#[inline(always)]
fn tile<S: Simd, T: Vector<S>, const M: usize, const V: usize>(
    simd: S,
    (a, b): (&[T], &[T]),
    rows: &mut [&mut [T]],
    column: usize,
    ends: Ends<'_, T>,
) {
    let Ends { first, start, finish } = ends;
    let mut sums = [[T::splat(simd, T::default()); V]; M];
    // The panel that comes next lies behind this one.
    let next = a.as_ptr().wrapping_add(a.len());
    let (a, _) = a.as_chunks::<M>();
    let (b, _) = T::vectors(b).as_chunks::<V>();
    for (k, (a, b)) in a.iter().zip(b).enumerate() {
        prefetch(next.wrapping_add(k * M));
        for i in 0..M {
            let factor = T::splat(simd, a[i]);
            for v in 0..V {
                sums[i][v] = T::mul_add(simd, factor, b[v], sums[i][v]);
            }
        }
    }
    for (i, (sums, row)) in sums.iter().zip(rows).enumerate() {
        let row = &mut row[column..];
        for (v, &sum) in sums.iter().enumerate() {
            let at = (v * T::LANES).min(row.len());
            let row = &mut row[at..];
            let mut sum = match (first, start) {
                (true, None) => sum,
                (true, Some((start, pitch))) => {
                    let start = &start[i * pitch + at..][..row.len()];
                    <T as Vector<S>>::add(simd, T::load(simd, start), sum)
                }
                (false, _) => <T as Vector<S>>::add(simd, T::load(simd, row), sum),
            };
            if let Some(finish) = finish {
                sum = finish.vector(simd, (i, at), row.len(), sum);
            }
            T::store(simd, row, sum);
        }
    }
}

/// What a block of sums is added to, and what is done to it then.
#[derive(Clone, Copy)]
struct Ends<'a, T> {
    first: bool,
    start: Option<Like<'a, T>>,
    finish: Option<Finish<'a, T>>,
}

impl<T: Copy> Ends<'_, T> {
    /// The same from this row and column on.
    #[inline(always)]
    fn from(self, row: usize, column: usize) -> Self {
        Self {
            first: self.first,
            start: self.start.map(|(start, pitch)| (&start[row * pitch + column..], pitch)),
            finish: self.finish.map(|finish| finish.from(row, column)),
        }
    }
}

impl<T: Copy> Finish<'_, T> {
    /// The same from this row and column on.
    #[inline(always)]
    fn from(self, row: usize, column: usize) -> Self {
        Self {
            factor: self.factor.map(|factor| &factor[row..]),
            bias: self.bias.map(|bias| &bias[row..]),
            residual: self.residual.map(|(residual, pitch)| (&residual[row * pitch + column..], pitch)),
            relu: self.relu,
        }
    }

    /// A vector of sums that starts there, of which so many elements count.
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, (row, column): (usize, usize), len: usize, mut sum: T::V) -> T::V
    where
        T: Vector<S>,
    {
        if let Some(factor) = self.factor {
            sum = <T as Vector<S>>::mul(simd, sum, T::splat(simd, factor[row]));
        }
        if let Some(bias) = self.bias {
            sum = <T as Vector<S>>::add(simd, sum, T::splat(simd, bias[row]));
        }
        if let Some((residual, pitch)) = self.residual {
            let residual = &residual[row * pitch + column..][..len];
            sum = <T as Vector<S>>::add(simd, sum, T::load(simd, residual));
        }
        if self.relu { T::relu(simd, sum) } else { sum }
    }

    /// One sum of the first column.
    #[inline(always)]
    fn one(self, row: usize, mut sum: T) -> T
    where
        T: Default + PartialOrd + Add<Output = T> + Mul<Output = T>,
    {
        if let Some(factor) = self.factor {
            sum = sum * factor[row];
        }
        if let Some(bias) = self.bias {
            sum = sum + bias[row];
        }
        if let Some((residual, pitch)) = self.residual {
            sum = sum + residual[row * pitch];
        }
        if self.relu && sum < T::default() { T::default() } else { sum }
    }
}

/// Asks for the cache line that holds this address, which need not be one of ours: where processors wait for memory
/// longer than for arithmetic, they know too late what is read next.
#[inline(always)]
pub(super) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "std has no safe form")]
    // SAFETY: a prefetch is a hint; it reads nothing that can be seen and faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
