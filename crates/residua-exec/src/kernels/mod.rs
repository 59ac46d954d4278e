//! What computes: one module a family of operators, on slices and sizes only.
//!
//! Kernels know nothing of graphs. They split their work over the rayon pool that they are called in, along lines that
//! do not change what is added in which order: results are the same bits for any number of threads.

/// Computes an expression, compiled for the vectors of this machine. Only what is inlined into it is.
macro_rules! vectorised {
    ($arch:expr, $body:expr) => {
        $arch.dispatch($crate::kernels::Vectorised(
            #[inline(always)]
            || $body,
        ))
    };
}

pub(crate) mod activation;
pub(crate) mod combine;
pub(crate) mod conv;
pub(crate) mod depthwise;
pub(crate) mod image;
pub(crate) mod matmul;
pub(crate) mod micro;
pub(crate) mod moves;
pub(crate) mod norm;
pub(crate) mod pack;
pub(crate) mod panels;
pub(crate) mod pool;
pub(crate) mod quantise;
pub(crate) mod reduce;
pub(crate) mod resize;
pub(crate) mod select;
pub(crate) mod tile;
pub(crate) mod top_k;
pub(crate) mod transposed;

use pulp::{Arch, Simd, WithSimd};

use crate::element::Element;
use crate::parallel;

/// Elements that one task of an elementwise kernel takes.
const GRAIN: usize = 1 << 14;

/// A closure that is compiled for the vectors of a machine. `pulp` itself would call it through a shim of
/// [`FnOnce`], which is not inlined and so compiled for the vectors of all machines.
struct Vectorised<F>(F);

impl<F: FnMut()> WithSimd for Vectorised<F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// Calls `f` on chunks of the values, in parallel, compiled for the vectors of this machine.
pub(crate) fn map_in_place<T: Element>(arch: Arch, values: &mut [T], f: impl Fn(&mut [T]) + Sync) {
    let chunks = values.chunks_mut(GRAIN);
    parallel::for_each(chunks, |values| vectorised!(arch, f(values)));
}

/// Calls `f` on each element of `out` and that of `x` which lies so many steps on for each.
#[inline(always)]
fn each_apart<T: Copy>(out: &mut [T], x: &[T], stride: usize, f: impl Fn(&mut T, T)) {
    match stride {
        1 => out.iter_mut().zip(x).for_each(|(out, &x)| f(out, x)),
        // The common stride, in a form that becomes vectors.
        2 => {
            let (pairs, rest) = x.as_chunks::<2>();
            let (whole, last) = out.split_at_mut(out.len().min(pairs.len()));
            whole.iter_mut().zip(pairs).for_each(|(out, &[x, _])| f(out, x));
            last.iter_mut().zip(rest).for_each(|(out, &x)| f(out, x));
        }
        stride => out.iter_mut().zip(x.iter().step_by(stride)).for_each(|(out, &x)| f(out, x)),
    }
}
