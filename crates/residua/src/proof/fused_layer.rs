//! What the weights of a fused layer come to, its batch norm folded in: the same numbers whether somebody folded it or not.

use residua_ir::{BatchNorm, Checked, Node, NodeId, Op};

use super::examined::Examined;
use super::landmarks::Landmark;

/// Numbers that differ by less, relative to the largest of a filter, were rounded to f32 once more.
const ROUNDED: f64 = 1e-5;

/// A kernel and a bias, one row a filter.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    /// Row-major, filters first.
    pub(super) kernel: Vec<f64>,
    /// One a filter.
    pub(super) bias: Vec<f64>,
    /// The last node that is part of them.
    pub(super) end: NodeId,
}

/// All elements of an operand that is a tensor.
fn numbers(model: &Checked, node: &Node, index: usize) -> Option<Vec<f64>> {
    model.graph().as_parameter(*node.inputs.get(index)?)?.tensor.to_f64().ok()
}

/// Factor and summand of a batch norm, a pair a channel.
fn affine(model: &Checked, node: &Node, norm: BatchNorm) -> Option<(Vec<f64>, Vec<f64>)> {
    let [scale, offset, mean, variance] = [1, 2, 3, 4].map(|index| numbers(model, node, index));
    let (scale, offset, mean, variance) = (scale?, offset?, mean?, variance?);
    let factor: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + norm.epsilon).sqrt()).collect();
    let summand = offset.iter().zip(&mean).zip(&factor).map(|((o, m), f)| o - m * f).collect();
    Some((factor, summand))
}

impl Weights {
    /// The weights of a convolution, matrix product or norm.
    pub(super) fn of(examined: &Examined, mark: &Landmark) -> Option<Self> {
        let (model, graph) = (&examined.model, examined.model.graph());
        let node = graph.node(mark.anchor);
        let mut weights = match node.op {
            Op::Conv(_) | Op::Linear => {
                let kernel = numbers(model, node, 1)?;
                let filters = *graph.as_parameter(node.inputs[1])?.tensor.shape().first()?;
                let bias = if node.inputs.len() > 2 { numbers(model, node, 2)? } else { vec![0.0; filters] };
                Self { kernel, bias, end: mark.anchor }
            }
            Op::BatchNorm(norm) => {
                let (kernel, bias) = affine(model, node, norm)?;
                Self { kernel, bias, end: mark.anchor }
            }
            _ => return None,
        };
        for &next in &mark.followers {
            let node = graph.node(next);
            let Op::BatchNorm(norm) = node.op else { break };
            let (factor, summand) = affine(model, node, norm)?;
            if factor.len() != weights.bias.len() {
                return None;
            }
            let row = weights.row();
            for ((kernel, bias), (factor, summand)) in
                weights.kernel.chunks_mut(row).zip(&mut weights.bias).zip(factor.iter().zip(&summand))
            {
                kernel.iter_mut().for_each(|value| *value *= factor);
                *bias = *bias * factor + summand;
            }
            weights.end = next;
        }
        Some(weights)
    }

    /// Elements of a filter; at least 1.
    pub(super) fn row(&self) -> usize {
        (self.kernel.len() / self.bias.len().max(1)).max(1)
    }

    /// In what two differ; `None` where they have other sizes.
    pub(super) fn differences(&self, other: &Self) -> Option<Differences> {
        if self.kernel.len() != other.kernel.len() || self.bias.len() != other.bias.len() {
            return None;
        }
        let mut found = Differences::default();
        let rows = self.kernel.chunks(self.row()).zip(other.kernel.chunks(self.row()));
        for (filter, (a, b)) in rows.enumerate() {
            let largest = |row: &[f64]| row.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
            let (size, distance) = (largest(a).max(largest(b)), apart(a, b));
            if distance > ROUNDED * size {
                found.kernel = found.kernel.max(distance);
                let (dot, square) =
                    a.iter().zip(b).fold((0.0, 0.0), |(dot, square), (a, b)| (dot + a * b, square + a * a));
                let factor = if square > 0.0 { dot / square } else { 0.0 };
                let scaled: Vec<f64> = a.iter().map(|value| value * factor).collect();
                let only_scaled = factor != 0.0 && apart(&scaled, b) <= ROUNDED * size;
                if only_scaled { found.scaled.push(filter) } else { found.filters.push(filter) }
            }
        }
        let size = self.bias.iter().chain(&other.bias).fold(0.0f64, |most, value| most.max(value.abs()));
        for (channel, (a, b)) in self.bias.iter().zip(&other.bias).enumerate() {
            let distance = (a - b).abs();
            if distance > 10.0 * ROUNDED * size {
                found.bias = found.bias.max(distance);
                found.biases.push(channel);
            }
        }
        Some(found)
    }
}

/// In what two fused layers differ.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Differences {
    /// Filters whose kernels differ by more than a factor.
    pub(super) filters: Vec<usize>,
    /// Filters whose kernels differ by a factor.
    pub(super) scaled: Vec<usize>,
    /// Largest difference of two kernels.
    pub(super) kernel: f64,
    /// Channels whose biases differ.
    pub(super) biases: Vec<usize>,
    /// Largest difference of two biases.
    pub(super) bias: f64,
}

impl Differences {
    pub(super) fn is_none(&self) -> bool {
        self.filters.is_empty() && self.scaled.is_empty() && self.biases.is_empty()
    }

    /// In words; `count` is the number of filters.
    pub(super) fn words(&self, count: usize) -> Option<String> {
        let mut phrases = Vec::new();
        if !self.filters.is_empty() {
            phrases.push(format!(
                "the kernels of {} differ by up to {:.3e}",
                channels(&self.filters, count),
                self.kernel
            ));
        }
        if !self.scaled.is_empty() {
            phrases.push(format!("the scales of {} differ", channels(&self.scaled, count)));
        }
        if !self.biases.is_empty() {
            phrases.push(format!("the biases of {} differ by up to {:.3e}", channels(&self.biases, count), self.bias));
        }
        (!phrases.is_empty()).then(|| phrases.join(", "))
    }
}

/// Some of so many channels.
fn channels(some: &[usize], count: usize) -> String {
    /// Channels that are listed one by one.
    const LISTED: usize = 4;
    if some.len() == count {
        return format!("all {count} channels");
    }
    if some.len() <= LISTED {
        let listed: Vec<String> = some.iter().map(ToString::to_string).collect();
        let word = if some.len() == 1 { "channel" } else { "channels" };
        return format!("{word} {}", listed.join(", "));
    }
    format!("{} of {count} channels", some.len())
}
