//! Convolution as a matrix product: packed filters times columns that are gathered panel by panel.
//!
//! The common axis is cut into blocks, so that a panel of columns stays in the first cache while all filters go over it;
//! what is done after the sums happens while the tile is in cache still. Sums of f32 are rounded as they are ordered, and
//! a deep network can make a hundred roundings of one; so their [`SumOrder`] is that of ONNX Runtime.

use std::ops::Range;

use pulp::Arch;
use residua_ir::Activation;

use super::activation;
use super::image::Geometry;
use super::micro::{Finish, Like, Strip, prefetch};
use super::tile::{BLOCK, Shape, column_panels};
use crate::buffer::Buffer;
use crate::element::Element;
use crate::parallel;

/// Bytes of the result that one task sweeps over for each block of the common axis: half of a second-level cache.
const TILE_BYTES: usize = 512 << 10;
/// What gathering a panel of columns costs, in panels of rows multiplied.
const GATHER_COST: usize = 3;

/// Steps of the longest block: panels of columns are as long, and there is one a thread.
const LONGEST: usize = 4096;

/// What is done to each sum: `activation(sum * factor + bias + residual)`. Where there is no factor, sums start from the
/// residual, as ONNX Runtime's do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a, T> {
    /// One a filter.
    pub(crate) factor: Option<&'a [T]>,
    /// One a filter.
    pub(crate) bias: Option<&'a [T]>,
    /// As large as the result.
    pub(crate) residual: Option<&'a [T]>,
    pub(crate) activation: Option<Activation>,
}

impl<T: Element> Epilogue<'_, T> {
    /// What the rows of a task start from, and what the matrix kernel does to them: all but activations other than ReLU.
    fn at(&self, geometry: &Geometry, task: &Task<'_, T>) -> (Option<Like<'_, T>>, Finish<'_, T>) {
        let filter = task.group * (geometry.filters / geometry.groups) + task.filter;
        let positions = geometry.output[0] * geometry.output[1];
        let start = (task.image * geometry.filters + filter) * positions + task.columns.start;
        let residual = self.residual.map(|residual| (&residual[start..], positions));
        let (first, last) = if self.factor.is_some() { (None, residual) } else { (residual, None) };
        let finish = Finish {
            factor: self.factor.map(|factor| &factor[filter..]),
            bias: self.bias.map(|bias| &bias[filter..]),
            residual: last,
            relu: self.activation == Some(Activation::RELU),
        };
        (first, finish)
    }

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

/// In which order products are summed.
///
/// The common axis runs over groups of channels, in a group over kernel rows and columns, and at each of them over the
/// channels of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SumOrder {
    /// Channels of a group.
    pub(crate) channels: usize,
    /// Steps that are summed before they are added to the result.
    pub(crate) block: usize,
}

impl SumOrder {
    /// Products in the order in which filters lie.
    pub(crate) const PLAIN: Self = Self { channels: 1, block: BLOCK };

    /// The order of ONNX Runtime's convolutions of blocked images (`snchwc.cpp` in its `mlas/lib`, `nchwc_transformer.cc`)
    /// with vectors of 16 elements, for filters `[O, I, KH, KW]`; [`None`] for those that it does not compute so.
    pub(crate) fn of_blocked(filters: &[usize], groups: usize) -> Option<Self> {
        const LANES: usize = 16;
        let (channels, taps) = (filters[1], filters[2..].iter().product::<usize>());
        let is_blocked = match groups {
            1 => channels < LANES || channels.is_multiple_of(4),
            _ => channels.is_multiple_of(LANES) && (filters[0] / groups).is_multiple_of(LANES),
        };
        let order = if channels < LANES {
            Self { channels: 1, block: taps }
        } else if taps == 1 {
            Self { channels: 1, block: 128 }
        } else {
            Self { channels: LANES, block: LANES.saturating_mul(taps) }
        };
        Some(order).filter(|order| is_blocked && order.block <= LONGEST)
    }

    /// The order of those that it computes as a matrix product (`convolve.cpp`, `sgemm.cpp`), in longer blocks where the
    /// result has few positions. So it computes where filters are restored from integers.
    pub(crate) fn of_product(depth: usize, positions: usize) -> Self {
        let few = [64, 32, 16].into_iter().filter(|&most| positions <= most && positions < depth);
        Self { channels: 1, block: few.fold(BLOCK, |block, _| 2 * block) }
    }

    /// Where each step of the common axis lies in a row-major filter `[I, KH, KW]`; [`None`] where they are in order.
    pub(crate) fn steps(self, channels: usize, taps: usize) -> Option<Vec<usize>> {
        if self.channels == 1 || taps == 1 {
            return None;
        }
        let mut steps = Vec::with_capacity(channels * taps);
        for first in (0..channels).step_by(self.channels) {
            let group = first..channels.min(first + self.channels);
            for tap in 0..taps {
                steps.extend(group.clone().map(|channel| channel * taps + tap));
            }
        }
        Some(steps)
    }
}

/// Filters packed group by group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters<'a, T> {
    pub(crate) packed: &'a [T],
    pub(crate) order: SumOrder,
}

/// Convolves prepared images ([`Geometry::prepare`]).
pub(crate) fn conv<T: Element>(
    arch: Arch,
    geometry: &Geometry,
    images: &[T],
    filters: Filters<'_, T>,
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
    let Filters { packed, order } = filters;
    let (per_group, image_len) = (packed.len() / geometry.groups, geometry.channels * gather.channel);
    let channels = geometry.channels / geometry.groups * gather.channel;
    parallel::for_each_with(
        tasks.into_iter(),
        || Buffer::new(order.block.min(depth) * shape.columns() + COPY),
        |scratch, mut task| {
            let (start, finish) = epilogue.at(geometry, &task);
            let product = Product {
                image: &images[task.image * image_len + task.group * channels..][..channels],
                filters: &packed[task.group * per_group..][..per_group],
                order,
                depth,
                first: task.filter,
                residual: start,
                finish,
            };
            gather.multiply(arch, product, &mut task.rows, &task.columns, scratch);
            if let Some(function) = epilogue.activation.filter(|&function| function != Activation::RELU) {
                vectorised!(arch, task.rows.iter_mut().for_each(|row| activation::apply(function, row)));
            }
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
        let task_rows = row_panels.div_ceil(rows);
        let width = positions.min(positions.div_ceil(columns).next_multiple_of(shape.columns()));
        let tile = task_rows * shape.rows * width * size_of::<T>();
        let spill = if tile > TILE_BYTES { 17 } else { 16 };
        let task = width.div_ceil(shape.lanes) * (task_rows + GATHER_COST) * spill + 24;
        // Threads are not equally fast: at the end, all wait for a part of the last task.
        (4 * rounds + 1) * task
    };
    (1..=row_panels.min(4 * threads))
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

/// Elements that are copied at once; where fewer are wanted, what lies behind them is copied too and overwritten.
const COPY: usize = 16;

/// Elements that lie side by side in the prepared image, at most [`COPY`].
struct Piece {
    /// Where in a row of the panel.
    to: usize,
    /// Where in the image.
    from: usize,
    len: usize,
}

/// Operands of the product that one task computes.
struct Product<'a, T> {
    /// The prepared channels of the group.
    image: &'a [T],
    /// All filters of the group.
    filters: &'a [T],
    order: SumOrder,
    /// Length of the common axis.
    depth: usize,
    /// First filter of the task.
    first: usize,
    /// What sums start from.
    residual: Option<Like<'a, T>>,
    finish: Finish<'a, T>,
}

/// Gathers columns out of prepared images.
struct Gather {
    taps: Vec<usize>,
    /// Elements of one channel of a prepared image.
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

    fn multiply<T: Element>(
        &self,
        arch: Arch,
        product: Product<'_, T>,
        rows: &mut [&mut [T]],
        columns: &Range<usize>,
        scratch: &mut [T],
    ) {
        let Product { image, filters, order, depth, first, residual, finish } = product;
        let all_filters = filters.len() / depth;
        for start in (0..depth).step_by(order.block) {
            let block = start..depth.min(start + order.block);
            let a = &filters[start * all_filters + first * block.len()..][..rows.len() * block.len()];
            for (panel, width) in column_panels(columns.len(), self.shape) {
                let pieces = self.pieces(columns.start + panel.start, panel.len());
                vectorised!(arch, self.gather(image, order, block.clone(), &pieces, width, scratch));
                let strip = Strip {
                    a,
                    depth: block.len(),
                    b: &scratch[..block.len() * width],
                    rows,
                    column: panel.start,
                    first: start == 0,
                    start: residual,
                    finish: (block.end == depth).then_some(finish),
                };
                T::run_strip(arch, strip);
            }
        }
    }

    /// One panel, and a hint at what the next one wants: `width` elements for each step of `block`. What no piece covers is whatever lies behind one: columns
    /// that are computed and dropped.
    #[inline(always)]
    fn gather<T: Element>(
        &self,
        image: &[T],
        order: SumOrder,
        block: Range<usize>,
        pieces: &[Piece],
        width: usize,
        panel: &mut [T],
    ) {
        let ahead = self.shape.columns();
        let (taps, channels) = (self.taps.len(), image.len() / self.channel);
        let group = block.start / (order.channels * taps) * order.channels;
        let mut group = group..channels.min(group + order.channels);
        let within = block.start - group.start * taps;
        let (mut tap, mut channel) = (within / group.len(), group.start + within % group.len());
        for row in 0..block.len() {
            let source = &image[channel * self.channel + self.taps[tap]..];
            let row = &mut panel[row * width..];
            for &Piece { to, from, len } in pieces {
                prefetch(source.as_ptr().wrapping_add(from + ahead));
                match (row[to..].first_chunk_mut::<COPY>(), source[from..].first_chunk::<COPY>()) {
                    (Some(row), Some(source)) => *row = *source,
                    _ => row[to..to + len].copy_from_slice(&source[from..from + len]),
                }
            }
            channel += 1;
            if channel == group.end {
                (channel, tap) = (group.start, tap + 1);
                if tap == taps {
                    group = group.end..channels.min(group.end + order.channels);
                    (channel, tap) = (group.start, 0);
                }
            }
        }
    }

    /// What lies under `len` positions from `first`.
    fn pieces(&self, first: usize, len: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < len {
            let (y, x) = ((first + done) / self.width, (first + done) % self.width);
            let run = if self.pitch == self.width { len } else { self.width - x };
            let piece = Piece { to: done, from: y * self.pitch + x, len: run.min(len - done).min(COPY) };
            done += piece.len;
            pieces.push(piece);
        }
        pieces
    }
}
