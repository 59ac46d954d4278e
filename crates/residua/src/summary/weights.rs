//! What the tensors of each layer hold: range, mean, deviation, zeros, and a histogram. The only part of a summary that
//! reads weights; each tensor is decoded once.

use rayon::prelude::*;
use residua_ir::{DType, Graph, Parameter, TensorError};
use serde::Serialize;

use super::is_counted;

/// Bars of a histogram.
const BARS: usize = 32;

/// What a tensor holds.
#[derive(Debug, Serialize)]
pub(crate) struct Weights {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    /// Null where the tensor could not be read; `error` says why.
    #[serde(flatten)]
    pub(crate) values: Option<Values>,
    pub(crate) error: Option<String>,
}

/// What can be said of numbers. Those that are infinite or no number are counted and otherwise left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Values {
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) mean: Option<f64>,
    /// Of the numbers themselves, not estimated for more.
    pub(crate) std: Option<f64>,
    pub(crate) zeros: usize,
    pub(crate) non_finite: usize,
    /// Numbers in each of equal parts of the range, the largest in the last; empty where there is no range.
    pub(crate) histogram: Vec<u32>,
}

impl Values {
    /// Of numbers in any order.
    pub(crate) fn of<T: Copy + Into<f64>>(numbers: &[T]) -> Self {
        let finite = || numbers.iter().map(|&number| number.into()).filter(|number| number.is_finite());
        let (mut min, mut max, mut sum, mut count, mut zeros) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0usize, 0usize);
        for number in finite() {
            min = min.min(number);
            max = max.max(number);
            sum += number;
            count += 1;
            zeros += usize::from(number == 0.0);
        }
        let non_finite = numbers.len() - count;
        if count == 0 {
            return Self { min: None, max: None, mean: None, std: None, zeros, non_finite, histogram: Vec::new() };
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean of fewer than 2^53")]
        let count = count as f64;
        let mean = sum / count;
        let mut squares = 0.0;
        let mut histogram = vec![0u32; if max > min { BARS } else { 0 }];
        let bars = BARS as f64 / (max - min);
        for number in finite() {
            squares += (number - mean) * (number - mean);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the bars")]
            let bar = (((number - min) * bars) as usize).min(BARS - 1);
            if let Some(bar) = histogram.get_mut(bar) {
                *bar = bar.saturating_add(1);
            }
        }
        let std = (squares / count).sqrt();
        let finite = |number: f64| Some(number).filter(|number| number.is_finite());
        Self { min: Some(min), max: Some(max), mean: finite(mean), std: finite(std), zeros, non_finite, histogram }
    }
}

/// The tensors of each layer, in the graph's order, read in parallel. `done` is told after each.
pub(crate) fn weights(graph: &Graph, done: impl Fn() + Sync) -> Vec<Vec<Weights>> {
    let counted: Vec<&Parameter> = graph.parameters().iter().filter(|p| is_counted(p.role)).collect();
    let seen = |parameter: &&Parameter| {
        let (values, error) = match values(parameter) {
            Ok(values) => (Some(values), None),
            Err(error) => (None, Some(error.to_string())),
        };
        done();
        let tensor = &parameter.tensor;
        let (name, dtype) = (parameter.name.clone(), tensor.stored_dtype().to_string());
        Weights { name, dtype, shape: tensor.shape().to_vec(), values, error }
    };
    let found: Vec<Weights> = counted.par_iter().map(seen).collect();
    let mut layers: Vec<Vec<Weights>> = graph.layers().iter().map(|_| Vec::new()).collect();
    for (parameter, weights) in counted.into_iter().zip(found) {
        layers[parameter.layer.index()].push(weights);
    }
    layers
}

fn values(parameter: &Parameter) -> Result<Values, TensorError> {
    let tensor = &parameter.tensor;
    if matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16) {
        Ok(Values::of(&tensor.to_f32()?))
    } else {
        Ok(Values::of(&tensor.to_f64()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_summed_up_and_fall_into_their_bars() {
        let numbers: Vec<f32> = (0..64).map(|n| n as f32).chain([f32::NAN, f32::INFINITY]).collect();
        let values = Values::of(&numbers);
        assert_eq!((values.min, values.max, values.mean), (Some(0.0), Some(63.0), Some(31.5)));
        assert!((values.std.unwrap() - (4095.0f64 / 12.0).sqrt()).abs() < 1e-12);
        assert_eq!((values.zeros, values.non_finite), (1, 2));
        assert_eq!(values.histogram, [2; 32]);
    }

    #[test]
    fn what_has_no_range_has_no_histogram() {
        let values = Values::of(&[2.5f32; 7]);
        assert_eq!((values.mean, values.std, values.histogram), (Some(2.5), Some(0.0), Vec::new()));
        assert_eq!(Values::of::<f32>(&[]).mean, None);
        assert_eq!(Values::of(&[f64::NAN]).non_finite, 1);
    }
}
