//! The top of a network: where it begins, and the words for another one.

use residua_ir::{Checked, Op, ValueId};

/// A part of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// A dense layer of so many units, and what follows it.
    Dense(usize, Option<Squash>),
    /// Dropout of this share, in training.
    Dropout(f64),
    /// A function of each number, or of a row.
    Activation(Squash),
}

/// What follows a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squash {
    /// `max(x, 0)`.
    Relu,
    /// `exp(x) / Σ exp(x)`.
    Softmax,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Squash {
    fn named(name: &str) -> Option<Self> {
        match name {
            "relu" => Some(Self::Relu),
            "softmax" => Some(Self::Softmax),
            "sigmoid" => Some(Self::Sigmoid),
            "tanh" => Some(Self::Tanh),
            _ => None,
        }
    }
}

/// Units of a layer: beyond, it would be larger than any network.
const MOST_UNITS: usize = 1 << 20;

/// `dense 2048 relu, dropout 0.5, dense 2 softmax`.
///
/// # Errors
/// What is no such text, in a sentence.
pub fn parse_head(text: &str) -> Result<Vec<Part>, String> {
    let part = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let wrong = || {
            format!(
                "expected `dense UNITS [relu|softmax|sigmoid|tanh]`, `dropout SHARE` or one of these functions, found `{}`",
                text.trim()
            )
        };
        let units = |units: &str| units.parse().ok().filter(|units| (1..=MOST_UNITS).contains(units)).ok_or_else(wrong);
        match words[..] {
            ["dense", count] => Ok(Part::Dense(units(count)?, None)),
            ["dense", count, "linear"] => Ok(Part::Dense(units(count)?, None)),
            ["dense", count, function] => {
                Ok(Part::Dense(units(count)?, Some(Squash::named(function).ok_or_else(wrong)?)))
            }
            ["dropout", share] => {
                let share = share.parse().ok().filter(|share| (0.0..1.0).contains(share));
                share.map(Part::Dropout).ok_or_else(wrong)
            }
            [function] => Squash::named(function).map(Part::Activation).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    };
    text.split(',').map(part).collect()
}

/// The last map of features before the output: what is there without pool and classifier.
pub(super) fn before(model: &Checked) -> Option<ValueId> {
    let graph = model.graph();
    let [mut value] = graph.outputs()[..] else { return None };
    loop {
        let node = graph.node(graph.producer(value)?);
        let shape = model.shape_of(value)?;
        let maps = shape.rank() == 4;
        let one = maps && shape.dims().iter().skip(2).all(|dim| dim.fixed() == Some(1));
        let of_head = match &node.op {
            Op::GlobalPool(_) | Op::Reduce(_) | Op::Identity(_) | Op::Cast { .. } => true,
            Op::Flatten { .. }
            | Op::Reshape { .. }
            | Op::Squeeze { .. }
            | Op::Softmax { .. }
            | Op::LogSoftmax { .. } => true,
            Op::AvgPool(_) | Op::MaxPool(_) => one,
            _ => !maps,
        };
        if !of_head {
            return Some(value);
        }
        value = node.inputs.iter().copied().find(|&input| graph.as_parameter(input).is_none())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written_in_words() {
        let parts = parse_head("dense 2048 relu, dropout 0.5, dense 2 softmax").unwrap();
        let expected =
            [Part::Dense(2048, Some(Squash::Relu)), Part::Dropout(0.5), Part::Dense(2, Some(Squash::Softmax))];
        assert_eq!(parts, expected);
        assert_eq!(parse_head("dense 3").unwrap(), [Part::Dense(3, None)]);
        for bad in [
            "",
            "dense",
            "dense 0",
            "dense -1 relu",
            "dense 5 rleu",
            "dropout 1",
            "dropout",
            "conv 3",
            "dense 2 relu x",
        ] {
            assert!(parse_head(bad).is_err(), "{bad}");
        }
    }
}
