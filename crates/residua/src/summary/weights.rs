//! What the tensors of each layer hold: range, mean, deviation, zeros, and a histogram. The only part of a summary that
//! reads weights: ranges are those that the rules know already, the rest takes one pass.

use rayon::prelude::*;
use residua_ir::{Graph, Parameter, Statistics, TensorError};
use residua_verify::Subject;
use serde::Serialize;

use super::is_counted;

/// Bars of a histogram.
const BARS: usize = 32;

/// What a tensor holds.
#[derive(Debug, Serialize)]
pub struct Weights {
    /// Name of the tensor.
    pub name: String,
    /// Element type, as stored.
    pub dtype: String,
    /// Its shape, channels first.
    pub shape: Vec<usize>,
    /// Null where the tensor could not be read; `error` says why.
    #[serde(flatten)]
    pub values: Option<Values>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What can be said of numbers. Those that are infinite or no number are counted and otherwise left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Values {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    /// Of the numbers themselves, not estimated for more.
    pub std: Option<f64>,
    pub zeros: usize,
    pub non_finite: usize,
    /// Numbers in each of equal parts of the range, the largest in the last; empty where there is no range.
    pub histogram: Vec<u32>,
}

/// The tensors of each layer, in the graph's order, read in parallel. `done` is told after each.
pub fn weights(graph: &Graph, subject: &Subject, done: impl Fn() + Sync) -> Vec<Vec<Weights>> {
    let counted: Vec<_> = subject.statistics().filter(|(parameter, _)| is_counted(parameter.role)).collect();
    let seen = |(parameter, range): &(&Parameter, &Result<Statistics, TensorError>)| {
        let (values, error) = match values(parameter, range) {
            Ok(values) => (Some(values), None),
            Err(error) => (None, Some(error)),
        };
        done();
        let tensor = &parameter.tensor;
        let (name, dtype) = (parameter.name.clone(), tensor.stored_dtype().to_string());
        Weights { name: name.into_raw(), dtype, shape: tensor.shape().to_vec(), values, error }
    };
    let found: Vec<Weights> = counted.par_iter().map(seen).collect();
    let mut layers: Vec<Vec<Weights>> = graph.layers().iter().map(|_| Vec::new()).collect();
    for ((parameter, _), weights) in counted.into_iter().zip(found) {
        layers[parameter.layer.index()].push(weights);
    }
    layers
}

fn values(parameter: &Parameter, range: &Result<Statistics, TensorError>) -> Result<Values, String> {
    let range = range.as_ref().map_err(ToString::to_string)?;
    let found = parameter.tensor.distribution(range, BARS).map_err(|error| error.to_string())?;
    let finite = |number: f64| Some(rounded(number)).filter(|number| number.is_finite());
    Ok(Values {
        min: finite(range.min),
        max: finite(range.max),
        mean: found.as_ref().and_then(|found| finite(found.mean)),
        std: found.as_ref().and_then(|found| finite(found.std)),
        zeros: found.as_ref().map_or(0, |found| found.zeros),
        non_finite: range.non_finite(),
        histogram: found.map(|found| found.bars).unwrap_or_default(),
    })
}

/// To six digits: more are nothing to look at.
fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}
