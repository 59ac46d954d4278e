//! Walks strided elements in row-major order of the view, so that every cache line is read and written once.

/// Elements along the axis that is contiguous in the source, read at a time: a cache line of four-byte elements.
const LINE: usize = 16;
/// Elements that are contiguous in the result, written at a time.
const RUN: usize = 64;

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

/// Appends the elements of the view to `out`, row-major, without changing their bytes.
pub(super) fn append(source: &[u8], size: usize, dims: &[usize], strides: &[usize], offset: usize, out: &mut Vec<u8>) {
    if dims.contains(&0) {
        return;
    }
    let view = coalesce(dims, strides);
    match size {
        1 => append_sized::<1>(source, &view, offset, out),
        2 => append_sized::<2>(source, &view, offset, out),
        4 => append_sized::<4>(source, &view, offset, out),
        _ => append_sized::<8>(source, &view, offset, out),
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

fn append_sized<const N: usize>(source: &[u8], view: &[(usize, usize)], offset: usize, out: &mut Vec<u8>) {
    let count: usize = view.iter().map(|&(dim, _)| dim).product();
    let start = out.len();
    out.resize(start + count * N, 0);
    let (source, _) = source.as_chunks::<N>();
    let (target, _) = out[start..].as_chunks_mut::<N>();

    // The axis that is (nearly) contiguous in the source splits the view: axes before it are walked one by one, axes
    // behind it make the runs that are contiguous in the result.
    let Some(across) = (0..view.len()).min_by_key(|&axis| view[axis].1) else {
        target[0] = source[offset];
        return;
    };
    let (rows, step) = view[across];
    let behind = offsets(&view[across + 1..]);
    for (base, block) in offsets(&view[..across]).into_iter().zip(target.chunks_exact_mut(rows * behind.len())) {
        let base = offset + base;
        if let ([_], 1) = (&behind[..], step) {
            block.copy_from_slice(&source[base..base + rows]);
        } else {
            transpose(&source[base..], step, &behind, block);
        }
    }
}

/// `target[row][i] = source[row * step + behind[i]]`, through a small block so that each line of both sides is touched
/// once: with strides that are powers of two, a plain double loop evicts its own lines.
fn transpose<const N: usize>(source: &[[u8; N]], step: usize, behind: &[usize], target: &mut [[u8; N]]) {
    let width = behind.len();
    let mut block = [[[0; N]; RUN]; LINE];
    for (line, lines) in target.chunks_mut(LINE * width).enumerate() {
        let first = line * LINE * step;
        let rows = lines.len() / width;
        for (run, behind) in behind.chunks(RUN).enumerate() {
            for (column, &from) in behind.iter().enumerate() {
                let from = &source[first + from..];
                for (row, element) in block[..rows].iter_mut().zip(from.iter().step_by(step)) {
                    row[column] = *element;
                }
            }
            for (row, line) in block.iter().zip(lines.chunks_exact_mut(width)) {
                line[run * RUN..][..behind.len()].copy_from_slice(&row[..behind.len()]);
            }
        }
    }
}
