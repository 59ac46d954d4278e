//! Reductions over axes, sums along one, and softmax. Sums are taken in f64, in row-major order.

use residua_ir::{CumSum, PoolKind};

use crate::array::offsets;
use crate::element::Element;
use crate::parallel;

fn fold<T: Element>(kind: PoolKind, values: impl Iterator<Item = T> + Clone, count: usize) -> T {
    // NaN wins, as in numpy.
    let larger = |a: T, b: T| if a >= b || a.is_nan() { a } else { b };
    let smaller = |a: T, b: T| if a <= b || a.is_nan() { a } else { b };
    #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
    match kind {
        PoolKind::Max => values.fold(-T::INFINITY, larger),
        PoolKind::Min => values.fold(T::INFINITY, smaller),
        PoolKind::Sum => T::from_f64(values.map(T::to_f64).sum()),
        PoolKind::Mean => T::from_f64(values.map(T::to_f64).sum::<f64>() / count as f64),
        PoolKind::Product => T::from_f64(values.map(T::to_f64).product()),
        PoolKind::L1 => T::from_f64(values.map(|x| x.to_f64().abs()).sum::<f64>()),
        PoolKind::L2 => T::from_f64(values.map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt()),
        PoolKind::SumSquare => T::from_f64(values.map(|x| x.to_f64() * x.to_f64()).sum::<f64>()),
        PoolKind::LogSum => T::from_f64(values.map(T::to_f64).sum::<f64>().ln()),
        PoolKind::LogSumExp => {
            let most = values.clone().fold(-T::INFINITY, larger).to_f64();
            // Nothing is taken from what is infinite.
            let shift = if most.is_finite() { most } else { 0.0 };
            T::from_f64(values.map(|x| (x.to_f64() - shift).exp()).sum::<f64>().ln() + shift)
        }
    }
}

/// Reduces the last axes, `len` elements in all, to one element each.
pub(crate) fn reduce_last<T: Element>(kind: PoolKind, x: &[T], len: usize, out: &mut [T]) {
    if len == 0 {
        out.fill(fold(kind, std::iter::empty(), 0));
        return;
    }
    parallel::for_each(out.iter_mut().zip(x.chunks(len)), |(out, x)| {
        *out = fold(kind, x.iter().copied(), len);
    });
}

/// Reduces `axes` (ascending) of a value of this shape.
pub(crate) fn reduce<T: Element>(kind: PoolKind, x: &[T], shape: &[usize], axes: &[usize], out: &mut [T]) {
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    if axes.iter().copied().eq(kept.len()..shape.len()) {
        return reduce_last(kind, x, axes.iter().map(|&axis| shape[axis]).product(), out);
    }
    let inner = offsets(shape, axes);
    for (out, start) in out.iter_mut().zip(offsets(shape, &kept)) {
        *out = fold(kind, inner.iter().map(|at| x[start + at]), inner.len());
    }
}

/// Sums so far along an axis of `len` elements with `inner` elements behind it.
pub(crate) fn cum_sum<T: Element>(x: &[T], sum: &CumSum, (len, inner): (usize, usize), out: &mut [T]) {
    let block = len * inner;
    if block == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
        for lane in 0..inner {
            let mut so_far = 0.0;
            for step in 0..len {
                let at = (if sum.reverse { len - 1 - step } else { step }) * inner + lane;
                let before = so_far;
                so_far += x[at].to_f64();
                out[at] = T::from_f64(if sum.exclusive { before } else { so_far });
            }
        }
    }
}

/// Softmax over an axis of `len` elements with `inner` elements behind it, less the maximum so that nothing overflows; or
/// its logarithm.
pub(crate) fn softmax<T: Element>(x: &[T], len: usize, inner: usize, log: bool, out: &mut [T]) {
    let block = len * inner;
    if block == 0 {
        return;
    }
    for (out, x) in out.chunks_mut(block).zip(x.chunks(block)) {
        for lane in 0..inner {
            let row = || x[lane..].iter().step_by(inner).copied();
            let most = fold(PoolKind::Max, row(), len);
            let mut sum = 0.0;
            for (out, x) in out[lane..].iter_mut().step_by(inner).zip(row()) {
                let exp = (x - most).exp();
                *out = if log { x - most } else { exp };
                sum += exp.to_f64();
            }
            let out = out[lane..].iter_mut().step_by(inner);
            if log {
                let sum = T::from_f64(sum.ln());
                out.for_each(|out| *out = *out - sum);
            } else {
                let sum = T::from_f64(sum);
                out.for_each(|out| *out = *out / sum);
            }
        }
    }
}
