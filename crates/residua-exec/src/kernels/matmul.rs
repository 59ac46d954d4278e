//! Matrix products: rows packed when they come, columns packed by the caller, once where they are weights.

use pulp::Arch;

use super::conv::Epilogue;
use super::micro::Strip;
use super::panels::{Axis, pack_rows};
use super::tile::{BLOCK, Shape, column_panels};
use crate::element::Element;
use crate::parallel;

/// `out[i][j] = Σ a[i][k] · b[k][j]` for a row-major `a` and columns packed by [`super::panels`].
pub(crate) fn matmul<T: Element>(arch: Arch, a: &[T], columns: &[T], depth: usize, width: usize, out: &mut [T]) {
    if depth == 0 || out.is_empty() {
        out.fill(T::default());
        return;
    }
    let shape = T::tile_shape(arch);
    let height = a.len() / depth;
    let mut rows = vec![T::default(); a.len()];
    pack_rows(a, Axis { depth, block: BLOCK, steps: None }, shape, &mut rows);
    let parts = tasks(shape, width, out);
    parallel::for_each(parts.into_iter(), |(first, mut parts)| {
        for (panel, padded) in column_panels(parts[0].len(), shape) {
            let b = &columns[(first + panel.start) * depth..][..padded * depth];
            for (index, (a, b)) in rows.chunks(BLOCK * height).zip(b.chunks(BLOCK * padded)).enumerate() {
                let strip = Strip {
                    a,
                    depth: b.len() / padded,
                    b,
                    rows: &mut parts,
                    column: panel.start,
                    first: index == 0,
                    start: None,
                    finish: None,
                };
                T::run_strip(arch, strip);
            }
        }
    });
}

/// Finishes rows of so many features: factor and bias by feature, then what else there is.
pub(crate) fn finish<T: Element>(arch: Arch, epilogue: &Epilogue<'_, T>, features: usize, out: &mut [T]) {
    let rest = Epilogue { factor: None, bias: None, ..*epilogue };
    for (index, row) in out.chunks_mut(features.max(1)).enumerate() {
        vectorised!(arch, {
            if let Some(factor) = epilogue.factor {
                row.iter_mut().zip(factor).for_each(|(y, &factor)| *y = *y * factor);
            }
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use pulp::x86::{V3, V4};

    use super::*;
    use crate::kernels::panels::pack_columns;

    fn product<T: Element>(arch: Arch, [rows, depth, columns]: [usize; 3]) -> Vec<T> {
        let numbers =
            |count: usize| (0..count).map(|i| T::from_f64(((i * 7919) % 1013) as f64 / 507.0 - 1.0)).collect();
        let (a, b): (Vec<T>, Vec<T>) = (numbers(rows * depth), numbers(depth * columns));
        let mut out = vec![T::from_f64(f64::NAN); rows * columns];
        matmul(arch, &a, &pack_columns(&b, columns, T::tile_shape(arch)), depth, columns, &mut out);
        out
    }

    /// On a machine with one instruction set only, this compares it with arithmetic that is not fused.
    #[test]
    fn the_width_of_vectors_does_not_change_a_bit() {
        for sizes in [[1, 1, 1], [13, 300, 50], [8, 129, 49], [3, 128, 97]] {
            let (scalar, scalar_wide) = (product::<f32>(Arch::Scalar, sizes), product::<f64>(Arch::Scalar, sizes));
            let wide: Vec<Arch> =
                [V3::try_new().map(Arch::V3), V4::try_new().map(Arch::V4)].into_iter().flatten().collect();
            let found: Vec<_> =
                wide.iter().map(|&arch| (product::<f32>(arch, sizes), product::<f64>(arch, sizes))).collect();
            assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
            for (narrow, wide) in found {
                assert!(narrow.iter().zip(&scalar).all(|(a, b)| (a - b).abs() < 1e-4), "{sizes:?}");
                assert!(wide.iter().zip(&scalar_wide).all(|(a, b)| (a - b).abs() < 1e-12), "{sizes:?}");
            }
        }
    }
}
