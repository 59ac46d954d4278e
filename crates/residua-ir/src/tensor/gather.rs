//! Walks strided elements in row-major order of the view, in tiles that keep both sides in cache.

/// Edge of a transposition tile, in elements: two tiles of 8-byte elements fit in a 32 KiB L1 cache.
const TILE: usize = 32;

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

/// Whether the view is the storage itself, in order.
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

fn append_sized<const N: usize>(source: &[u8], view: &[(usize, usize)], offset: usize, out: &mut Vec<u8>) {
    let count: usize = view.iter().map(|&(dim, _)| dim).product();
    let start = out.len();
    out.resize(start + count * N, 0);
    let (source, _) = source.as_chunks::<N>();
    let (target, _) = out[start..].as_chunks_mut::<N>();

    // The axis that is contiguous in the source and the one that is contiguous in the result make the tile; all
    // others are outer loops.
    let Some(&(inner, inner_stride)) = view.last() else {
        target[0] = source[offset];
        return;
    };
    let outer = &view[..view.len() - 1];
    let mut out_strides = vec![1; view.len()];
    for axis in (0..outer.len()).rev() {
        out_strides[axis] = out_strides[axis + 1] * view[axis + 1].0;
    }
    let across = (inner_stride != 1).then(|| (0..outer.len()).min_by_key(|&axis| outer[axis].1)).flatten();
    let loops: Vec<(usize, usize, usize)> = (0..outer.len())
        .filter(|&axis| Some(axis) != across)
        .map(|axis| (outer[axis].0, outer[axis].1, out_strides[axis]))
        .collect();
    let (rows, row_stride, row_out) =
        across.map_or((1, 0, 0), |axis| (outer[axis].0, outer[axis].1, out_strides[axis]));

    let mut index = vec![0usize; loops.len()];
    loop {
        let from: usize = offset + index.iter().zip(&loops).map(|(i, l)| i * l.1).sum::<usize>();
        let to: usize = index.iter().zip(&loops).map(|(i, l)| i * l.2).sum();
        if rows == 1 && inner_stride == 1 {
            target[to..to + inner].copy_from_slice(&source[from..from + inner]);
        } else {
            for row0 in (0..rows).step_by(TILE) {
                for col0 in (0..inner).step_by(TILE) {
                    for row in row0..rows.min(row0 + TILE) {
                        let from = from + row * row_stride;
                        let cols = col0..inner.min(col0 + TILE);
                        let to = to + row * row_out;
                        for (element, col) in target[to + cols.start..to + cols.end].iter_mut().zip(cols) {
                            *element = source[from + col * inner_stride];
                        }
                    }
                }
            }
        }
        // The next outer index, innermost first.
        let mut axis = loops.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < loops[axis].0 {
                break;
            }
            index[axis] = 0;
        }
    }
}
