//! Operators that rank the elements along an axis. NaN is larger than every number when the largest are looked for, and
//! smaller when the smallest are, as numpy's first NaN wins both.

use std::cmp::Ordering;

use residua_ir::{ArgExtremum, Extremum, TopK};

use crate::element::Element;

/// Which of two elements comes first in the order that starts with the extremum.
fn order<T: Element>(of: Extremum, a: T, b: T) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    match of {
        Extremum::Largest => ascending.reverse(),
        Extremum::Smallest => ascending,
    }
}

/// Position of the extremum among these elements; ties go to the first, or to the last.
fn extremum<T: Element>(of: Extremum, last: bool, lane: impl Iterator<Item = T>) -> usize {
    let mut best: Option<(usize, T)> = None;
    for (at, x) in lane.enumerate() {
        let better = best.is_none_or(|(_, held)| match order(of, x, held) {
            Ordering::Less => true,
            Ordering::Equal => last,
            Ordering::Greater => false,
        });
        if better {
            best = Some((at, x));
        }
    }
    best.map_or(0, |(at, _)| at)
}

#[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements; f32 is checked for what it cannot hold")]
fn position<T: Element>(at: usize) -> T {
    T::from_f64(at as f64)
}

/// Positions along an axis of `len` elements with `inner` elements behind it.
pub(crate) fn arg_extremum<T: Element>(x: &[T], arg: &ArgExtremum, (len, inner): (usize, usize), out: &mut [T]) {
    if len * inner == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
        for (lane, out) in out.iter_mut().enumerate() {
            *out = position(extremum(arg.of, arg.last, x[lane..].iter().step_by(inner).copied()));
        }
    }
}

/// The first elements of the order along an axis, or their positions.
pub(crate) fn top_k<T: Element>(x: &[T], top: &TopK, (len, inner): (usize, usize), out: &mut [T]) {
    if len * inner == 0 || top.k == 0 {
        return;
    }
    let mut places: Vec<usize> = Vec::with_capacity(len);
    for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(top.k * inner)) {
        for lane in 0..inner {
            let at = |i: usize| x[i * inner + lane];
            places.clear();
            places.extend(0..len);
            // Ties by position, so that the order does not depend on the algorithm.
            places.sort_unstable_by(|&a, &b| order(top.of, at(a), at(b)).then(a.cmp(&b)));
            for (&place, out) in places.iter().zip(out[lane..].iter_mut().step_by(inner)) {
                *out = if top.indices { position(place) } else { at(place) };
            }
        }
    }
}

/// 1 where the first largest element along an axis is, 0 elsewhere.
pub(crate) fn hardmax<T: Element>(x: &[T], (len, inner): (usize, usize), out: &mut [T]) {
    out.fill(T::default());
    if len * inner == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(len * inner)) {
        for lane in 0..inner {
            let most = extremum(Extremum::Largest, false, x[lane..].iter().step_by(inner).copied());
            out[most * inner + lane] = T::ONE;
        }
    }
}
