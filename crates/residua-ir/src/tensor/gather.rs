//! Walks strided elements in row-major order of the view, so that every cache line is read and written once.
//!
//! What lies across is turned in blocks that fit into the first cache, and within them in squares that fit into vector
//! registers: loops over arrays of known size, which the compiler makes shuffles of.

/// Elements along the axis that is contiguous in the source, read at a time: four cache lines of four-byte elements, so
/// that a page of the source is not visited for a line alone.
const LINES: usize = 64;
/// Elements that are contiguous in the result, written at a time.
const RUN: usize = 64;
/// Side of the squares that are turned in registers.
const SIDE: usize = 8;

/// What is turned at a time.
type Block<const N: usize> = [[[u8; N]; RUN]; LINES];

/// Merges neighbouring dims that are walked as one, and drops dims of one element.
fn coalesce(dims: &[usize], strides: &[usize]) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(dims.len());
    for (&dim, &stride) in dims.iter().zip(strides) {
        if dim == 1 {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.1 == stride * dim => *last = (last.0 * dim, stride),
            Some(_) | None => merged.push((dim, stride)),
        }
    }
    merged
}

/// Whether the view is a run of the storage, in order.
pub(super) fn is_row_major(dims: &[usize], strides: &[usize]) -> bool {
    dims.contains(&0) || matches!(coalesce(dims, strides)[..], [] | [(_, 1)])
}

/// Writes the elements of the view to `target`, row-major, without changing their bytes; `target` has room for exactly them.
pub(super) fn copy(source: &[u8], size: usize, dims: &[usize], strides: &[usize], offset: usize, target: &mut [u8]) {
    if dims.contains(&0) {
        return;
    }
    let view = coalesce(dims, strides);
    match size {
        1 => copy_sized::<1>(source, &view, offset, target),
        2 => copy_sized::<2>(source, &view, offset, target),
        4 => copy_sized::<4>(source, &view, offset, target),
        _ => copy_sized::<8>(source, &view, offset, target),
    }
}

/// Source offsets of all elements of these dims, in row-major order.
fn offsets(view: &[(usize, usize)]) -> Vec<usize> {
    let mut all = vec![0];
    for &(dim, stride) in view {
        all = all.iter().flat_map(|&base| (0..dim).map(move |i| base + i * stride)).collect();
    }
    all
}

fn copy_sized<const N: usize>(source: &[u8], view: &[(usize, usize)], offset: usize, target: &mut [u8]) {
    let (source, _) = source.as_chunks::<N>();
    let (target, _) = target.as_chunks_mut::<N>();

    // The axis that is (nearly) contiguous in the source splits the view: axes before it are walked one by one, axes
    // behind it make the runs that are contiguous in the result.
    let Some(across) = (0..view.len()).min_by_key(|&axis| view[axis].1) else {
        target[0] = source[offset];
        return;
    };
    let (rows, step) = view[across];
    let behind = offsets(&view[across + 1..]);
    let mut block: Block<N> = [[[0; N]; RUN]; LINES];
    for (base, part) in offsets(&view[..across]).into_iter().zip(target.chunks_exact_mut(rows * behind.len())) {
        let base = offset + base;
        if let ([_], 1) = (&behind[..], step) {
            part.copy_from_slice(&source[base..base + rows]);
        } else {
            transpose(&source[base..], step, &behind, part, &mut block);
        }
    }
}

/// `target[row][i] = source[row * step + behind[i]]`, through a block: with strides that are powers of two, a plain
/// double loop evicts its own lines.
fn transpose<const N: usize>(
    source: &[[u8; N]],
    step: usize,
    behind: &[usize],
    target: &mut [[u8; N]],
    block: &mut Block<N>,
) {
    let width = behind.len();
    for (part, lines) in target.chunks_mut(LINES * width).enumerate() {
        let source = &source[part * LINES * step..];
        let rows = lines.len() / width;
        for (run, behind) in behind.chunks(RUN).enumerate() {
            if step == 1 {
                turn(source, behind, rows, block);
            } else {
                for (column, &from) in behind.iter().enumerate() {
                    for (row, element) in block[..rows].iter_mut().zip(source[from..].iter().step_by(step)) {
                        row[column] = *element;
                    }
                }
            }
            for (row, line) in block.iter().zip(lines.chunks_exact_mut(width)) {
                line[run * RUN..][..behind.len()].copy_from_slice(&row[..behind.len()]);
            }
        }
    }
}

/// `block[row][i] = source[row + behind[i]]`.
fn turn<const N: usize>(source: &[[u8; N]], behind: &[usize], rows: usize, block: &mut Block<N>) {
    let (groups, rest) = behind.as_chunks::<SIDE>();
    let (squares, few) = block[..rows].as_chunks_mut::<SIDE>();
    for (group, from) in groups.iter().enumerate() {
        let columns = from.map(|from| source[from..][..rows].as_chunks::<SIDE>());
        for (square, lines) in squares.iter_mut().enumerate() {
            let values: [[[u8; N]; SIDE]; SIDE] = std::array::from_fn(|column| columns[column].0[square]);
            for (row, line) in lines.iter_mut().enumerate() {
                line.as_chunks_mut::<SIDE>().0[group] = std::array::from_fn(|column| values[column][row]);
            }
        }
        for (row, line) in few.iter_mut().enumerate() {
            line.as_chunks_mut::<SIDE>().0[group] = std::array::from_fn(|column| columns[column].1[row]);
        }
    }
    for (column, &from) in (groups.len() * SIDE..).zip(rest) {
        for (line, element) in block[..rows].iter_mut().zip(&source[from..]) {
            line[column] = *element;
        }
    }
}
