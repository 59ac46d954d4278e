//! Elementwise functions of two values, with numpy broadcasting.

use pulp::Arch;
use residua_ir::{Comparison, Elementwise, Property};

use super::GRAIN;
use crate::array::{advance, strides};
use crate::element::Element;
use crate::parallel;

/// `out = f(a, b)` where all three have the same shape.
fn same<T: Element>(arch: Arch, a: &[T], b: &[T], out: &mut [T], f: impl Fn(T, T) -> T + Sync) {
    let chunks = out.chunks_mut(GRAIN).zip(a.chunks(GRAIN)).zip(b.chunks(GRAIN));
    parallel::for_each(chunks, |((out, a), b)| {
        vectorised!(arch, out.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = f(a, b)));
    });
}

/// Steps by which an operand is walked over the result's axes: 0 where it is stretched.
pub(crate) fn broadcast_strides(shape: &[usize], result: &[usize]) -> Vec<usize> {
    let missing = result.len().saturating_sub(shape.len());
    let own = strides(shape);
    let mut out = vec![0; missing];
    out.extend(shape.iter().zip(own).map(|(&size, stride)| if size == 1 { 0 } else { stride }));
    out
}

/// The shape that two shapes which fit together broadcast to.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut out = long.to_vec();
    for (out, &size) in out.iter_mut().rev().zip(short.iter().rev()) {
        if *out == 1 {
            *out = size;
        }
    }
    out
}

/// `out = f(a, b)` over the result's shape, row by row along its last axis.
fn stretched<T: Element>(
    (a, a_shape): (&[T], &[usize]),
    (b, b_shape): (&[T], &[usize]),
    (out, shape): (&mut [T], &[usize]),
    f: impl Fn(T, T) -> T,
) {
    let (a_steps, b_steps) = (broadcast_strides(a_shape, shape), broadcast_strides(b_shape, shape));
    let Some((&row, outer)) = shape.split_last() else {
        out[0] = f(a[0], b[0]);
        return;
    };
    if out.is_empty() {
        return;
    }
    let (a_step, b_step) = (a_steps[outer.len()], b_steps[outer.len()]);
    let mut index = vec![0usize; outer.len()];
    for out in out.chunks_mut(row) {
        let at = |steps: &[usize]| index.iter().zip(steps).map(|(i, step)| i * step).sum::<usize>();
        let (a, b) = (&a[at(&a_steps)..], &b[at(&b_steps)..]);
        match (a_step, b_step) {
            (1, 1) => out.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = f(a, b)),
            (1, 0) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b[0])),
            (a_step, b_step) => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = f(a[i * a_step], b[i * b_step]);
                }
            }
        }
        advance(&mut index, outer);
    }
}

/// An operand with its shape.
pub(crate) type Shaped<'a, T> = (&'a [T], &'a [usize]);

/// One step of the fold over the operands of an elementwise operator, of whole numbers if they are `integers`;
/// [`Elementwise::Mean`] only sums here.
pub(crate) fn combine<T: Element>(
    arch: Arch,
    (op, integers): (Elementwise, bool),
    a: Shaped<'_, T>,
    b: Shaped<'_, T>,
    out: &mut [T],
    shape: &[usize],
) {
    let zero = T::default();
    let truth = |yes: bool| if yes { T::ONE } else { T::default() };
    match op {
        Elementwise::Add | Elementwise::Mean => run(arch, a, b, out, shape, |a, b| a + b),
        Elementwise::Sub => run(arch, a, b, out, shape, |a, b| a - b),
        Elementwise::Mul => run(arch, a, b, out, shape, |a, b| a * b),
        Elementwise::Div if integers => run(arch, a, b, out, shape, quotient),
        Elementwise::Div => run(arch, a, b, out, shape, |a, b| a / b),
        // NaN wins, as in numpy.
        Elementwise::Max => run(arch, a, b, out, shape, |a, b| if a >= b || a.is_nan() { a } else { b }),
        Elementwise::Min => run(arch, a, b, out, shape, |a, b| if a <= b || a.is_nan() { a } else { b }),
        Elementwise::Pow if integers => run(arch, a, b, out, shape, whole_power),
        Elementwise::Pow => run(arch, a, b, out, shape, T::powf),
        Elementwise::Mod => run(arch, a, b, out, shape, modulus),
        Elementwise::Rem => run(arch, a, b, out, shape, |a, b| a % b),
        Elementwise::And => run(arch, a, b, out, shape, move |a, b| truth(a != zero && b != zero)),
        Elementwise::Or => run(arch, a, b, out, shape, move |a, b| truth(a != zero || b != zero)),
        Elementwise::Xor => run(arch, a, b, out, shape, move |a, b| truth((a != zero) != (b != zero))),
    }
}

/// What division leaves, with the sign of the divisor.
fn modulus<T: Element>(a: T, b: T) -> T {
    let zero = T::default();
    let rest = a % b;
    if rest != zero && (rest < zero) != (b < zero) { rest + b } else { rest }
}

/// A quotient of whole numbers, rounded towards zero. Division rounds to a whole number where the exact quotient lies
/// just below one, so what is left is taken from it.
fn quotient<T: Element>(a: T, b: T) -> T {
    if b == T::default() { T::INFINITY } else { (a - a % b) / b }
}

/// A power of a whole number, which is whole again.
fn whole_power<T: Element>(a: T, b: T) -> T {
    let (a, b) = (a.to_f64(), b.to_f64());
    let power = a.powf(b);
    T::from_f64(if b == b.trunc() { power.round() } else { power.trunc() })
}

/// 1 where the comparison holds, 0 elsewhere.
pub(crate) fn compare<T: Element>(
    arch: Arch,
    comparison: Comparison,
    a: Shaped<'_, T>,
    b: Shaped<'_, T>,
    out: &mut [T],
    shape: &[usize],
) {
    let truth = |yes: bool| if yes { T::ONE } else { T::default() };
    match comparison {
        Comparison::Equal => run(arch, a, b, out, shape, |a, b| truth(a == b)),
        Comparison::Less => run(arch, a, b, out, shape, |a, b| truth(a < b)),
        Comparison::LessOrEqual => run(arch, a, b, out, shape, |a, b| truth(a <= b)),
        Comparison::Greater => run(arch, a, b, out, shape, |a, b| truth(a > b)),
        Comparison::GreaterOrEqual => run(arch, a, b, out, shape, |a, b| truth(a >= b)),
    }
}

/// 1 where an element has the property, 0 elsewhere; in place.
pub(crate) fn has<T: Element>(property: Property, values: &mut [T]) {
    for value in values {
        let yes = match property {
            Property::Nan => value.is_nan(),
            Property::Infinite { negative, positive } => {
                (negative && *value == -T::INFINITY) || (positive && *value == T::INFINITY)
            }
        };
        *value = if yes { T::ONE } else { T::default() };
    }
}

/// `out = f(a, b)` over the shape that both are stretched to.
pub(crate) fn run<T: Element>(
    arch: Arch,
    a: Shaped<'_, T>,
    b: Shaped<'_, T>,
    out: &mut [T],
    shape: &[usize],
    f: impl Fn(T, T) -> T + Sync,
) {
    if a.1 == shape && b.1 == shape { same(arch, a.0, b.0, out, f) } else { stretched(a, b, (out, shape), f) }
}

/// `x >= 0 ? x : slope * x` with a slope that broadcasts to `x`.
pub(crate) fn prelu<T: Element>(arch: Arch, x: Shaped<'_, T>, slope: Shaped<'_, T>, out: &mut [T]) {
    run(arch, x, slope, out, x.1, |x, slope| if x < T::default() { slope * x } else { x });
}
