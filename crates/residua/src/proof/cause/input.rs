//! Another preparation of images: channels in another order, another scale, another mean.
//!
//! Up to its first activation a network is affine in its image. So the affine change of the input that makes the
//! stem of the second model give what the first model's gives is found by least squares, from what the stem gives for
//! each channel alone. Whatever it is: where it leaves nothing, that is the cause.

use crate::error::Result;
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{Op, ValueId, validate};
use residua_resnet::preprocessing::Preprocessing;

use super::super::examined::Examined;
use super::super::fused_layer::Weights;
use super::{Case, Change, Trial};

/// Channels that an image may have for this.
const MOST_CHANNELS: usize = 4;
/// Elements of the stem's result that are looked at.
const SAMPLES: usize = 20_000;
/// What may be left of the difference, and of numbers that should be 0 or 1.
const LEFT: f64 = 1e-3;

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let Some((pair, a, b)) = case.marks().next() else { return Ok(Vec::new()) };
    let is_stem = matches!((case.a_op(a), case.b_op(b)), (Op::Conv(_), Op::Conv(_)));
    if pair.holds() || !is_stem || case.b().inputs.len() != 1 {
        return Ok(Vec::new());
    }
    let (Some(end_a), Some(end_b)) = (Weights::of(case.a(), a), Weights::of(case.b(), b)) else {
        return Ok(Vec::new());
    };
    let end = |examined: &Examined, weights: &Weights| examined.model.graph().node(weights.end).output();
    let target = Stem::new(case.a(), end(case.a(), &end_a))?.run(&case.a().inputs[0])?;
    let stem = Stem::new(case.b(), end(case.b(), &end_b))?;
    let Some(affine) = Affine::fit(&stem, &case.b().inputs[0], &target)? else { return Ok(Vec::new()) };
    let inputs = vec![affine.apply(&case.b().inputs[0])?];
    Ok(affine.named().map(|(kind, what)| Trial { kind, what, change: Change::Input(inputs) }).into_iter().collect())
}

/// A model up to some value.
struct Stem {
    executor: Executor,
}

impl Stem {
    fn new(examined: &Examined, end: ValueId) -> Result<Self> {
        let model = validate(examined.model.graph().clone().with_outputs(&[end]))?;
        let options = Options { precision: Precision::F64, ..Options::default() };
        Ok(Self { executor: Executor::new(&model, &options)? })
    }

    fn run(&self, input: &Array) -> Result<Vec<f64>> {
        let results = self.executor.run(std::slice::from_ref(input))?;
        Ok(results.outputs.first().map(Array::to_f64).unwrap_or_default())
    }
}

/// Channel `c` becomes the sum of all channels times `factors[c]`, plus `summands[c]`.
#[derive(Debug, Clone, PartialEq)]
struct Affine {
    factors: Vec<Vec<f64>>,
    summands: Vec<f64>,
}

/// An image as planes of channels.
struct Planes {
    shape: Vec<usize>,
    channels: usize,
    size: usize,
    values: Vec<f64>,
}

impl Planes {
    fn of(input: &Array) -> Option<Self> {
        let &[_, channels, height, width] = input.shape() else { return None };
        let (shape, values) = (input.shape().to_vec(), input.to_f64());
        Some(Self { shape, channels, size: height * width, values })
    }

    /// The image whose channel `to` is what `pixel` says of the planes of an image, all others 0.
    fn only(&self, to: usize, pixel: impl Fn(&[f64], usize) -> f64) -> Result<Array> {
        let mut out = vec![0.0; self.values.len()];
        let image = self.channels * self.size;
        for (out, image) in out.chunks_mut(image).zip(self.values.chunks(image)) {
            for (at, out) in out[to * self.size..][..self.size].iter_mut().enumerate() {
                *out = pixel(image, at);
            }
        }
        Ok(Array::new(self.shape.clone(), out)?)
    }
}

impl Affine {
    /// The change of the input that brings the stem nearest to the target; `None` where it does not come near.
    fn fit(stem: &Stem, input: &Array, target: &[f64]) -> Result<Option<Self>> {
        let Some(planes) = Planes::of(input).filter(|planes| (1..=MOST_CHANNELS).contains(&planes.channels)) else {
            return Ok(None);
        };
        let nothing = stem.run(&planes.only(0, |_, _| 0.0)?)?;
        let before = stem.run(input)?;
        if target.len() != nothing.len() || before.len() != nothing.len() {
            return Ok(None);
        }
        let step = (nothing.len() / SAMPLES).max(1);
        let sampled = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(&nothing).step_by(step).map(|(value, nothing)| value - nothing).collect()
        };
        let mut basis = Vec::new();
        let count = planes.channels;
        for to in 0..count {
            for from in 0..count {
                let alone = planes.only(to, |image, at| image[from * planes.size + at])?;
                basis.push(sampled(&stem.run(&alone)?));
            }
            basis.push(sampled(&stem.run(&planes.only(to, |_, _| 1.0)?)?));
        }
        let target = sampled(target);
        let Some(solution) = least_squares(&basis, &target) else { return Ok(None) };
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let left = norm(&mut (0..target.len()).map(|at| {
            let sum: f64 = basis.iter().zip(&solution).map(|(column, factor)| column[at] * factor).sum();
            sum - target[at]
        }));
        let apart = norm(&mut sampled(&before).iter().zip(&target).map(|(a, b)| a - b));
        if left.is_nan() || left > LEFT * apart {
            return Ok(None);
        }
        let rows = solution.chunks(count + 1);
        let (factors, summands) = rows.map(|row| (row[..count].to_vec(), row[count])).unzip();
        Ok(Some(Self { factors, summands }))
    }

    fn apply(&self, input: &Array) -> Result<Array> {
        let Some(planes) = Planes::of(input) else { return Ok(input.clone()) };
        let image = planes.channels * planes.size;
        let mut out = Vec::with_capacity(planes.values.len());
        for image in planes.values.chunks(image) {
            for (factors, summand) in self.factors.iter().zip(&self.summands) {
                let sum = |at: usize| {
                    factors
                        .iter()
                        .enumerate()
                        .map(|(from, factor)| factor * image[from * planes.size + at])
                        .sum::<f64>()
                };
                out.extend((0..planes.size).map(|at| sum(at) + summand));
            }
        }
        Ok(Array::new(planes.shape, out)?)
    }

    /// What it is, for people; `None` where it changes nothing.
    fn named(&self) -> Option<(&'static str, String)> {
        let count = self.summands.len();
        let largest = self.factors.iter().flatten().fold(0.0f64, |largest, factor| largest.max(factor.abs()));
        let only = |at: &dyn Fn(usize) -> usize| {
            let mut each = self.factors.iter().enumerate();
            each.all(|(to, row)| row.iter().enumerate().all(|(from, f)| from == at(to) || f.abs() <= LEFT * largest))
        };
        let reversed = count > 1 && only(&|to| count - 1 - to);
        if !reversed && !only(&|to| to) {
            return Some(("preprocessing", "the channels of its images are mixed otherwise in B".to_owned()));
        }
        let from = |to: usize| if reversed { count - 1 - to } else { to };
        let each: Vec<(f64, f64)> = (0..count).map(|to| (self.factors[to][from(to)], self.summands[to])).collect();
        let plain = each.iter().all(|(factor, summand)| (factor - 1.0).abs() <= LEFT && summand.abs() <= LEFT);
        let order = "B takes the channels of its images in the reverse order (BGR against RGB)";
        match (plain, reversed) {
            (true, false) => None,
            (true, true) => Some(("channel_order", order.to_owned())),
            (false, _) => Some(("preprocessing", preparation(&each, reversed))),
        }
    }
}

/// Which two modes of preparing images differ by this, or the numbers.
fn preparation(each: &[(f64, f64)], reversed: bool) -> String {
    let pairs = Preprocessing::ALL.into_iter().flat_map(|a| Preprocessing::ALL.map(|b| (a, b)));
    let fits = |a: Preprocessing, b: Preprocessing| {
        let swaps = (a == Preprocessing::Caffe) != (b == Preprocessing::Caffe);
        swaps == reversed
            && each.iter().enumerate().all(|(channel, &(factor, summand))| {
                let at = (each.len() == 3).then_some(channel);
                let of_a = (each.len() == 3).then(|| if reversed { 2 - channel } else { channel });
                let ((p, r), (q, s)) = (a.affine(of_a), b.affine(at));
                // Pixels are (x − r) / p for A; what B wants of them is q · pixel + s.
                let (wanted, offset) = (q / p, s - r * q / p);
                (factor - wanted).abs() <= LEFT * wanted.abs()
                    && (summand - offset).abs() <= LEFT * (1.0 + offset.abs())
            })
    };
    if let Some((a, b)) = pairs.into_iter().find(|&(a, b)| a != b && fits(a, b)) {
        return format!(
            "images are prepared otherwise: `{}` ({}) in A, `{}` ({}) in B",
            a.name(),
            a.describe(),
            b.name(),
            b.describe()
        );
    }
    let numbers: Vec<String> = each.iter().map(|(factor, summand)| format!("{factor:.6} x {summand:+.6}")).collect();
    let order = if reversed { ", channels in the reverse order" } else { "" };
    format!("images are prepared otherwise: where A takes x, B takes {}{order}", numbers.join(", "))
}

/// The factors of the columns that bring their sum nearest to the target; `None` where columns are not independent.
fn least_squares(columns: &[Vec<f64>], target: &[f64]) -> Option<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Columns of length 1, so that pivots can be judged.
    let lengths: Vec<f64> = columns.iter().map(|column| dot(column, column).sqrt()).collect();
    if lengths.iter().any(|length| *length <= 0.0 || !length.is_finite()) {
        return None;
    }
    let count = columns.len();
    let mut rows: Vec<Vec<f64>> = (0..count)
        .map(|i| {
            let products = (0..count).map(|j| dot(&columns[i], &columns[j]) / (lengths[i] * lengths[j]));
            products.chain([dot(&columns[i], target) / lengths[i]]).collect()
        })
        .collect();
    for pivot in 0..count {
        let best = (pivot..count).max_by(|&i, &j| rows[i][pivot].abs().total_cmp(&rows[j][pivot].abs()))?;
        rows.swap(pivot, best);
        if rows[pivot][pivot].abs() < 1e-12 {
            return None;
        }
        let (above, below) = rows.split_at_mut(pivot + 1);
        for row in below {
            let factor = row[pivot] / above[pivot][pivot];
            row.iter_mut().zip(&above[pivot]).skip(pivot).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = vec![0.0; count];
    for i in (0..count).rev() {
        let sum: f64 = (i + 1..count).map(|j| rows[i][j] * solution[j]).sum();
        solution[i] = (rows[i][count] - sum) / rows[i][i];
    }
    Some(solution.iter().zip(&lengths).map(|(factor, length)| factor / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_finds_what_was_summed() {
        let columns = [vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 1.0, 1.0, 1.0]];
        let found = least_squares(&columns, &[5.0, 7.0, 9.0, 11.0]).unwrap();
        assert!((found[0] - 2.0).abs() < 1e-12 && (found[1] - 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(least_squares(&[vec![1.0, 2.0], vec![2.0, 4.0]], &[1.0, 1.0]), None);
    }

    #[test]
    fn known_preparations_are_named() {
        let diagonal = |pairs: [(f64, f64); 3], reversed: bool| {
            let mut factors = vec![vec![0.0; 3]; 3];
            for (to, (factor, _)) in pairs.iter().enumerate() {
                factors[to][if reversed { 2 - to } else { to }] = *factor;
            }
            Affine { factors, summands: pairs.iter().map(|pair| pair.1).collect() }.named()
        };
        assert_eq!(diagonal([(1.0, 0.0); 3], false), None);
        assert_eq!(diagonal([(1.0, 0.0); 3], true).unwrap().0, "channel_order");
        let (kind, what) = diagonal([(2.0 / 255.0, -1.0); 3], false).unwrap();
        assert!(kind == "preprocessing" && what.contains("`raw`") && what.contains("`tf`"), "{what}");
        let caffe = [(127.5, 127.5 - 103.939), (127.5, 127.5 - 116.779), (127.5, 127.5 - 123.68)];
        let (_, what) = diagonal(caffe, true).unwrap();
        assert!(what.contains("`tf`") && what.contains("`caffe`"), "{what}");
        let (_, what) = diagonal([(3.0, 0.5); 3], false).unwrap();
        assert!(what.contains("3.000000 x +0.500000"), "{what}");
    }
}
