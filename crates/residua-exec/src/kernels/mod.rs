//! What computes: one module a family of operators, on slices and sizes only.
//!
//! Kernels know nothing of graphs. They split their work over the rayon pool that they are called in, along lines that
//! do not change what is added in which order: results are the same bits for any number of threads.

pub(crate) mod activation;
pub(crate) mod combine;
pub(crate) mod conv;
pub(crate) mod depthwise;
pub(crate) mod image;
pub(crate) mod matmul;
pub(crate) mod micro;
pub(crate) mod moves;
pub(crate) mod norm;
pub(crate) mod panels;
pub(crate) mod pool;
pub(crate) mod quantise;
pub(crate) mod rank;
pub(crate) mod reduce;
pub(crate) mod resize;
pub(crate) mod select;
pub(crate) mod transposed;

use pulp::Arch;
use rayon::prelude::*;

use crate::element::Element;

/// Elements that one task of an elementwise kernel takes.
const GRAIN: usize = 1 << 14;

/// Calls `f` on chunks of the values, in parallel, compiled for the vectors of this machine.
pub(crate) fn map_in_place<T: Element>(arch: Arch, values: &mut [T], f: impl Fn(&mut [T]) + Sync) {
    values.par_chunks_mut(GRAIN).for_each(|values| arch.dispatch(|| f(values)));
}
