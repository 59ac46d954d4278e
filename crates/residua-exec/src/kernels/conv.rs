//! Convolution as a matrix product: packed filters times columns that are gathered panel by panel.
//!
//! The common axis runs over (channel, kernel row, kernel column) in ascending order. It is cut into blocks, so that a
//! panel of columns stays in the first cache while all filters go over it; what is done after the sums happens while
//! the tile is in cache still.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::activation;
use super::image::Geometry;
use super::micro::{BLOCK, Shape, Strip};
use super::panels::column_panels;
use crate::element::Element;

/// Bytes of the result that one task sweeps over for each block of the common axis: half of a second-level cache.
const TILE_BYTES: usize = 512 << 10;
/// Bytes of a cache line, and of the widest vector.
const CACHE_LINE: usize = 64;
/// What gathering a panel of columns costs, in panels of rows multiplied.
const GATHER_COST: usize = 3;

/// What is done to each sum: `activation(sum * factor + bias + residual)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a, T> {
    /// One a filter.
    pub(crate) factor: Option<&'a [T]>,
    /// One a filter.
    pub(crate) bias: Option<&'a [T]>,
    /// As large as the result.
    pub(crate) residual: Option<&'a [T]>,
    pub(crate) activation: Option<residua_ir::Activation>,
}

impl<T: Element> Epilogue<'_, T> {
    /// Finishes the part of a row of the result that starts at `at` there.
    #[inline(always)]
    pub(crate) fn finish(&self, filter: usize, at: usize, row: &mut [T]) {
        if let Some(factor) = self.factor.map(|factor| factor[filter]) {
            row.iter_mut().for_each(|y| *y = *y * factor);
        }
        let bias = self.bias.map(|bias| bias[filter]);
        match (bias, self.residual.map(|residual| &residual[at..][..row.len()])) {
            (Some(bias), Some(residual)) => row.iter_mut().zip(residual).for_each(|(y, &r)| *y = *y + bias + r),
            (Some(bias), None) => row.iter_mut().for_each(|y| *y += bias),
            (None, Some(residual)) => row.iter_mut().zip(residual).for_each(|(y, &r)| *y += r),
            (None, None) => {}
        }
        if let Some(function) = self.activation {
            activation::apply(function, row);
        }
    }
}

/// A part of one group's result: some filters at some positions.
struct Task<'a, T> {
    image: usize,
    group: usize,
    /// First filter, counted in the group.
    filter: usize,
    columns: Range<usize>,
    rows: Vec<&'a mut [T]>,
}

/// Convolves prepared pictures ([`Geometry::prepare`]) with filters packed group by group.
pub(crate) fn conv<T: Element>(
    arch: Arch,
    geometry: &Geometry,
    pictures: &[T],
    filters: &[T],
    epilogue: &Epilogue<'_, T>,
    out: &mut [T],
) {
    let depth = geometry.channels / geometry.groups * geometry.kernel[0] * geometry.kernel[1];
    if depth == 0 || out.is_empty() {
        out.fill(T::default());
        return;
    }
    let shape = T::tile_shape(arch);
    let gather = Gather::new(geometry, shape);
    let tasks = tasks::<T>(geometry, shape, out);
    let per_group = filters.len() / geometry.groups;
    let picture_len = geometry.channels * gather.channel;
    tasks.into_par_iter().for_each_init(
        || vec![T::default(); BLOCK * shape.columns() + CACHE_LINE / size_of::<T>()],
        |scratch, mut task| {
            // No vector of a panel lies across two cache lines.
            let aligned = scratch.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE / size_of::<T>());
            let scratch = &mut scratch[aligned..];
            let channels = geometry.channels / geometry.groups * gather.channel;
            let picture = &pictures[task.image * picture_len + task.group * channels..][..channels];
            let filters = &filters[task.group * per_group + task.filter * depth..][..task.rows.len() * depth];
            gather.multiply(arch, picture, filters, depth, &mut task.rows, &task.columns, scratch);
            let positions = geometry.output[0] * geometry.output[1];
            let first = task.group * (geometry.filters / geometry.groups) + task.filter;
            arch.dispatch(|| {
                for (row, filter) in task.rows.iter_mut().zip(first..) {
                    let at = (task.image * geometry.filters + filter) * positions + task.columns.start;
                    epilogue.finish(filter, at, row);
                }
            });
        },
    );
}

/// How many parts filters and positions are cut into, so that all threads end at about the same time and little is
/// gathered twice.
fn cuts<T>(geometry: &Geometry, shape: Shape, threads: usize) -> (usize, usize) {
    let row_panels = (geometry.filters / geometry.groups).div_ceil(shape.rows);
    let positions = geometry.output[0] * geometry.output[1];
    let column_panels = positions.div_ceil(shape.columns());
    let groups = geometry.batch * geometry.groups;
    let cost = |(rows, columns): (usize, usize)| {
        let rounds = (groups * rows * columns).div_ceil(threads);
        let (task_rows, task_columns) = (row_panels.div_ceil(rows), column_panels.div_ceil(columns));
        let tile = task_rows * shape.rows * task_columns * shape.columns() * size_of::<T>();
        let spill = if tile > TILE_BYTES { 17 } else { 16 };
        rounds * (task_columns * (task_rows + GATHER_COST) * spill + 8)
    };
    (1..=row_panels.min(2 * threads))
        .flat_map(|rows| (1..=column_panels.min(64)).map(move |columns| (rows, columns)))
        .min_by_key(|&cut| cost(cut))
        .unwrap_or((1, 1))
}

fn tasks<'a, T: Element>(geometry: &Geometry, shape: Shape, out: &'a mut [T]) -> Vec<Task<'a, T>> {
    let filters = geometry.filters / geometry.groups;
    let positions = geometry.output[0] * geometry.output[1];
    let (row_cuts, column_cuts) = cuts::<T>(geometry, shape, rayon::current_num_threads());
    let height = filters.div_ceil(row_cuts).next_multiple_of(shape.rows);
    let width = positions.div_ceil(column_cuts).next_multiple_of(shape.columns());
    let mut tasks = Vec::new();
    for (index, group) in out.chunks_mut(filters * positions).enumerate() {
        for (part, rows) in group.chunks_mut(height * positions).enumerate() {
            let first = tasks.len();
            tasks.extend((0..positions).step_by(width).map(|start| Task {
                image: index / geometry.groups,
                group: index % geometry.groups,
                filter: part * height,
                columns: start..positions.min(start + width),
                rows: Vec::with_capacity(rows.len() / positions),
            }));
            for row in rows.chunks_mut(positions) {
                for (task, part) in tasks[first..].iter_mut().zip(row.chunks_mut(width)) {
                    task.rows.push(part);
                }
            }
        }
    }
    tasks
}

/// Positions that lie side by side in the prepared picture.
struct Run {
    /// Where in the panel.
    to: usize,
    /// Where in the picture.
    from: usize,
    len: usize,
}

/// Gathers columns out of prepared pictures.
struct Gather {
    taps: Vec<usize>,
    /// Elements of one channel of a prepared picture.
    channel: usize,
    pitch: usize,
    width: usize,
    shape: Shape,
}

impl Gather {
    fn new(geometry: &Geometry, shape: Shape) -> Self {
        let layout = geometry.layout();
        Self { taps: geometry.taps(), channel: layout.channel(), pitch: layout.pitch, width: geometry.output[1], shape }
    }

    #[expect(clippy::too_many_arguments, reason = "operands and result of one product, and where to put panels")]
    fn multiply<T: Element>(
        &self,
        arch: Arch,
        picture: &[T],
        filters: &[T],
        depth: usize,
        rows: &mut [&mut [T]],
        columns: &Range<usize>,
        scratch: &mut [T],
    ) {
        for start in (0..depth).step_by(BLOCK) {
            let range = start..depth.min(start + BLOCK);
            for (panel, width) in column_panels(columns.len(), self.shape) {
                let b = &mut scratch[..range.len() * width];
                self.gather(picture, &range, columns.start + panel.start, panel.len(), width, b);
                T::run_strip(arch, Strip { a: filters, depth, range: range.clone(), b, rows, column: panel.start });
            }
        }
    }

    /// One panel: for each tap of `range`, the elements under `len` positions from `first`, padded to `width`.
    fn gather<T: Element>(
        &self,
        picture: &[T],
        range: &Range<usize>,
        first: usize,
        len: usize,
        width: usize,
        b: &mut [T],
    ) {
        let runs = self.runs(first, len);
        let taps = self.taps.len();
        for (k, row) in range.clone().zip(b.chunks_exact_mut(width)) {
            let source = &picture[k / taps * self.channel + self.taps[k % taps]..];
            for run in &runs {
                row[run.to..run.to + run.len].copy_from_slice(&source[run.from..run.from + run.len]);
            }
            if len < width {
                row[len..].fill(T::default());
            }
        }
    }

    fn runs(&self, first: usize, len: usize) -> Vec<Run> {
        if self.pitch == self.width {
            return vec![Run { to: 0, from: first, len }];
        }
        let mut runs = Vec::new();
        let mut done = 0;
        while done < len {
            let (y, x) = ((first + done) / self.width, (first + done) % self.width);
            let run = Run { to: done, from: y * self.pitch + x, len: (self.width - x).min(len - done) };
            done += run.len;
            runs.push(run);
        }
        runs
    }
}
