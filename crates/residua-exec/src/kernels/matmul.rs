//! Matrix products: rows packed when they come, columns packed by the caller, once where they are weights.

use pulp::Arch;
use rayon::prelude::*;

use super::conv::Epilogue;
use super::micro::{BLOCK, Shape, Strip};
use super::panels::{column_panels, pack_rows};
use crate::element::Element;

/// `out[i][j] = Σ a[i][k] · b[k][j]` for a row-major `a` and columns packed by [`super::panels`].
pub(crate) fn matmul<T: Element>(arch: Arch, a: &[T], columns: &[T], depth: usize, width: usize, out: &mut [T]) {
    if depth == 0 || out.is_empty() {
        out.fill(T::default());
        return;
    }
    let shape = T::tile_shape(arch);
    let mut rows = vec![T::default(); a.len()];
    pack_rows(a, depth, shape, &mut rows, |_, x| x);
    let parts = tasks(shape, width, out);
    parts.into_par_iter().for_each(|(first, mut parts)| {
        for (panel, padded) in column_panels(parts[0].len(), shape) {
            let b = &columns[(first + panel.start) * depth..][..padded * depth];
            for start in (0..depth).step_by(BLOCK) {
                let range = start..depth.min(start + BLOCK);
                let b = &b[range.start * padded..range.end * padded];
                T::run_strip(arch, Strip { a: &rows, depth, range, b, rows: &mut parts, column: panel.start });
            }
        }
    });
}

/// Finishes rows of so many features: bias by feature, then what else there is.
pub(crate) fn finish<T: Element>(arch: Arch, epilogue: &Epilogue<'_, T>, features: usize, out: &mut [T]) {
    let rest = Epilogue { bias: None, ..*epilogue };
    for (index, row) in out.chunks_mut(features.max(1)).enumerate() {
        arch.dispatch(|| {
            if let Some(bias) = epilogue.bias {
                row.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
            }
            rest.finish(0, index * features, row);
        });
    }
}

/// The rows of the result cut into bands of whole panels of columns, with the first column of each.
fn tasks<T: Element>(shape: Shape, width: usize, out: &mut [T]) -> Vec<(usize, Vec<&mut [T]>)> {
    let bands = (4 * rayon::current_num_threads()).min(width.div_ceil(shape.columns()));
    let band = width.div_ceil(bands).next_multiple_of(shape.columns());
    let mut tasks: Vec<_> = (0..width).step_by(band).map(|first| (first, Vec::new())).collect();
    for row in out.chunks_mut(width) {
        for (task, part) in tasks.iter_mut().zip(row.chunks_mut(band)) {
            task.1.push(part);
        }
    }
    tasks
}
