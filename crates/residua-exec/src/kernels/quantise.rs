//! Numbers to integers and back.
//!
//! IntegerChain are kept as numbers of the type that is computed in. All up to 16 bits are exact in it, and so are sums of
//! them below 2^24.

use pulp::Arch;
use residua_ir::{DType, DynamicRange, Granularity};

use super::combine::{self, Shaped};
use super::map_in_place;
use crate::element::Element;
use crate::parallel;

/// Scales and zero points of a value, and where each counts.
pub(crate) struct Grid<'a, T> {
    scale: &'a [T],
    zero: Option<&'a [T]>,
    /// Elements behind the axis.
    inner: usize,
    /// Elements along the axis.
    along: usize,
    block: Option<usize>,
}

impl<'a, T: Element> Grid<'a, T> {
    /// For a value of this shape.
    pub(crate) fn new(shape: &[usize], granularity: Granularity, scale: &'a [T], zero: Option<&'a [T]>) -> Self {
        let inner = shape.iter().skip(granularity.axis + 1).product();
        Self { scale, zero, inner, along: shape.get(granularity.axis).copied().unwrap_or(1), block: granularity.block }
    }

    fn zero(&self, at: usize) -> T {
        self.zero.map_or(T::default(), |zero| zero[at])
    }

    /// Calls `f` with elements that share a scale and a zero point.
    fn each(&self, arch: Arch, values: &mut [T], f: impl Fn(&mut [T], T, T) + Sync) {
        if let [scale] = *self.scale {
            let zero = self.zero(0);
            return map_in_place(arch, values, |values| f(values, scale, zero));
        }
        if self.inner == 0 || self.along == 0 {
            return;
        }
        for (index, row) in values.chunks_mut(self.inner).enumerate() {
            let (outer, along) = (index / self.along, index % self.along);
            let Some(block) = self.block else {
                vectorised!(arch, f(row, self.scale[along], self.zero(along)));
                continue;
            };
            let first = (outer * self.along.div_ceil(block) + along / block) * self.inner;
            for (i, value) in row.chunks_mut(1).enumerate() {
                f(value, self.scale[first + i], self.zero(first + i));
            }
        }
    }
}

/// `saturate(round(x / scale) + zero)`, ties to even. ONNX divides in the type of the scale, so the quotient is rounded to
/// f32 in both engines. NaN becomes the smallest integer, as in ONNX Runtime.
pub(crate) fn quantize<T: Element>(arch: Arch, grid: &Grid<'_, T>, dtype: DType, values: &mut [T]) {
    let (lowest, highest) = dtype.integer_range().unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let (lowest, highest) = (T::from_f64(lowest), T::from_f64(highest));
    grid.each(arch, values, |values, scale, zero| {
        let (low, high) = (lowest - zero, highest - zero);
        for value in values {
            let step = T::from_f32((*value / scale).to_f32()).round();
            let step = if step > low { step } else { low };
            *value = if step < high { step } else { high } + zero;
        }
    });
}

/// `(x - zero) * scale`.
pub(crate) fn dequantize<T: Element>(arch: Arch, grid: &Grid<'_, T>, values: &mut [T]) {
    grid.each(arch, values, |values, scale, zero| values.iter_mut().for_each(|x| *x = (*x - zero) * scale));
}

/// Scale or zero point that spreads all elements and 0 over the integers from 0 to 255. ONNX leaves open what
/// elements that are all 0 have; the scale 1 is ONNX Runtime's.
pub(crate) fn dynamic_range<T: Element>(part: DynamicRange, x: &[T]) -> T {
    let zero = T::default();
    let lowest = x.iter().fold(zero, |least, &x| if x < least { x } else { least });
    let highest = x.iter().fold(zero, |most, &x| if x > most { x } else { most });
    let steps = T::from_f64(255.0);
    let scale = if highest > lowest { (highest - lowest) / steps } else { T::ONE };
    match part {
        DynamicRange::Scale => scale,
        DynamicRange::ZeroPoint => {
            let point = (-lowest / scale).round();
            if point < steps { point } else { steps }
        }
    }
}

/// How numbers in steps become integers: rounded to the nearest, ties to even, and kept between `low` and `high`, both
/// counted from `zero`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounding {
    pub(crate) zero: f32,
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Rounding {
    /// Rounds, then adds the zero point.
    #[inline(always)]
    fn round(self, steps: f32) -> f32 {
        steps.max(self.low).min(self.high).round_ties_even() + self.zero
    }

    /// Rounds what the zero point and a shift were added to already.
    #[inline(always)]
    fn round_shifted(self, shifted: f32, shift: f32) -> f32 {
        (shifted.round_ties_even() - shift).max(self.low + self.zero).min(self.high + self.zero)
    }
}

/// What sums of products are multiplied by, and what is added to them before, each one number or one an output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rescale<'a, T> {
    pub(crate) factor: &'a [f32],
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) rounding: Rounding,
}

impl<T: Element> Rescale<'_, T> {
    /// Rounds sums of one output each, a row of `row` elements for each of `outputs`.
    pub(crate) fn rows(&self, arch: Arch, outputs: usize, row: usize, sums: &mut [T]) {
        if row == 0 || outputs == 0 {
            return;
        }
        parallel::for_each(sums.chunks_mut(row).enumerate(), |(index, sums)| {
            let output = index % outputs;
            let factor = at(self.factor, output);
            let bias = self.bias.map_or(T::default(), |bias| at(bias, output));
            vectorised!(arch, sums.iter_mut().for_each(|sum| *sum = self.one(*sum, bias, factor)));
        });
    }

    /// Rounds rows of sums of all outputs.
    pub(crate) fn columns(&self, arch: Arch, outputs: usize, sums: &mut [T]) {
        parallel::for_each(sums.chunks_mut(outputs.max(1)), |sums| {
            vectorised!(arch, {
                for (output, sum) in sums.iter_mut().enumerate() {
                    let bias = self.bias.map_or(T::default(), |bias| at(bias, output));
                    *sum = self.one(*sum, bias, at(self.factor, output));
                }
            });
        });
    }

    #[inline(always)]
    fn one(&self, sum: T, bias: T, factor: f32) -> T {
        T::from_f32(self.rounding.round((sum + bias).to_f32() * factor))
    }
}

#[inline(always)]
fn at<V: Copy>(values: &[V], index: usize) -> V {
    if let [only] = *values { only } else { values[index] }
}

/// A function of two integers, as ONNX Runtime computes it for x86-64.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pair {
    /// The sum of integers that are so many steps of the result each, all of them shifted. Of the fused multiply-adds that
    /// of the operand which is stretched along a row comes first, else that of the second.
    Add { ratios: [f32; 2], zeros: [f32; 2], rounding: Rounding, shift: f32 },
    /// Their product, in steps of the result.
    Mul { factor: f32, zeros: [f32; 2], rounding: Rounding },
}

/// `out = f(a, b)` over the shape that both are stretched to.
pub(crate) fn pairs<T: Element>(
    arch: Arch,
    pair: Pair,
    a: Shaped<'_, T>,
    b: Shaped<'_, T>,
    out: &mut [T],
    shape: &[usize],
) {
    match pair {
        Pair::Add { ratios: [left, right], zeros, rounding, shift } => {
            let zero = rounding.zero + shift;
            let fixed = zero - left.mul_add(zeros[0] + shift, right * (zeros[1] + shift));
            let last = |shape: &[usize]| shape.last().copied().unwrap_or(1);
            if last(a.1) == 1 && last(b.1) > 1 {
                let sum = |a: f32, b: f32| (b + shift).mul_add(right, (a + shift).mul_add(left, fixed));
                combine::run(arch, a, b, out, shape, shifted(sum, rounding, shift));
            } else {
                let sum = |a: f32, b: f32| (a + shift).mul_add(left, (b + shift).mul_add(right, fixed));
                combine::run(arch, a, b, out, shape, shifted(sum, rounding, shift));
            }
        }
        Pair::Mul { factor, zeros, rounding } => {
            let product = |a: f32, b: f32| (a - zeros[0]) * (b - zeros[1]) * factor + rounding.zero;
            combine::run(arch, a, b, out, shape, shifted(product, rounding, 0.0));
        }
    }
}

/// A function whose results hold the zero point and a shift already, rounded.
fn shifted<T: Element>(
    f: impl Fn(f32, f32) -> f32 + Sync,
    rounding: Rounding,
    shift: f32,
) -> impl Fn(T, T) -> T + Sync {
    move |a: T, b: T| T::from_f32(rounding.round_shifted(f(a.to_f32(), b.to_f32()), shift))
}

/// The mean of each `len` integers: their sum less `len` zero points, in steps of the result.
pub(crate) fn mean<T: Element>(x: &[T], len: usize, zero: T, scales: [f32; 2], rounding: Rounding, out: &mut [T]) {
    #[expect(clippy::cast_precision_loss, reason = "no image has 2^24 pixels")]
    let count = len as f32;
    let factor = scales[0] / (scales[1] * count);
    for (out, x) in out.iter_mut().zip(x.chunks(len.max(1))) {
        let sum: f64 = x.iter().map(|&x| (x - zero).to_f64()).sum();
        *out = T::from_f32(rounding.round(T::from_f64(sum).to_f32() * factor));
    }
}
