//! Heads that fastai's `create_head` builds, which a state dict shows as numbers alone: `1.2`, `1.4`, `1.6`, `1.8`.
//!
//! A learner's model is `Sequential(body, head)`. The head begins with a pool (0) and a `Flatten` (1); then come norms and
//! matrices, each with a number, and between them what has no tensors: a `Dropout` before a matrix, a ReLU between a matrix and
//! a norm. A norm twice as wide as the features tells the pool that gives maxima and, behind them, means. Where the numbers fit
//! nothing of that kind, the head is not read. (Source: fastai 2.8, `vision/learner.py` and `layers.py`; fastai 1 has the same
//! numbers.)

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_ir::Activation;
use residua_resnet::Field;
use residua_resnet::recipe::{HeadLayer, HeadPool};

use super::step::Step;

/// torch's.
const EPSILON: f64 = 1e-5;
/// Number of the first layer behind the pool and the `Flatten`.
const FIRST: usize = 2;

/// A head as fastai builds it.
pub(super) struct Head<'a> {
    pub(super) pool: HeadPool,
    pub(super) steps: Vec<Step<'a>>,
    /// Its module, which holds nothing else.
    pub(super) module: String,
    /// How it is known, in words.
    pub(super) known: &'static str,
}

/// A norm or a matrix.
struct Layer<'a> {
    number: usize,
    path: String,
    kind: Kind,
    tensors: Vec<(Field, &'a NamedTensor)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Norm { width: usize },
    Matrix { outputs: usize, inputs: usize },
}

/// The head beside a body whose names begin with `prefix` and that gives so many features; [`None`] where there is none as fastai
/// builds it.
pub(super) fn head<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a NamedTensor)>,
    prefix: &str,
    features: usize,
) -> Option<Head<'a>> {
    let module = format!("{}1", prefix.strip_suffix("0.")?);
    let mut numbers: BTreeMap<usize, Vec<(&str, &NamedTensor)>> = BTreeMap::new();
    for (name, tensor) in tensors {
        if name.starts_with(prefix) {
            continue;
        }
        let (number, field) = name.strip_prefix(&module)?.strip_prefix('.')?.split_once('.')?;
        numbers.entry(number.parse().ok()?).or_default().push((field, tensor));
    }
    let layers: Option<Vec<Layer>> =
        numbers.into_iter().map(|(number, tensors)| layer(number, format!("{module}.{number}"), &tensors)).collect();
    let layers = layers?;
    let takes = match layers.first()?.kind {
        Kind::Norm { width } => width,
        Kind::Matrix { inputs, .. } => inputs,
    };
    let pool = match takes.checked_div(features) {
        Some(1) if takes == features => HeadPool::Global,
        Some(2) if takes == features.saturating_mul(2) => HeadPool::MaxThenMean,
        Some(_) | None => return None,
    };
    let steps = steps(layers, takes)?;
    let known = if pool == HeadPool::MaxThenMean {
        "fastai builds it behind maxima and, behind them, means over all pixels"
    } else {
        "fastai builds it behind means over all pixels"
    };
    Some(Head { pool, steps, module, known })
}

/// A layer by the fields that it has.
fn layer<'a>(number: usize, path: String, tensors: &[(&str, &'a NamedTensor)]) -> Option<Layer<'a>> {
    let find = |name: &str| tensors.iter().find(|(field, _)| *field == name).map(|(_, tensor)| *tensor);
    let weight = find("weight")?;
    let (kind, fields): (Kind, &[(&str, Field)]) = match *weight.tensor.shape() {
        [outputs, inputs] => (Kind::Matrix { outputs, inputs }, &[("weight", Field::Weight), ("bias", Field::Bias)]),
        [width] => (
            Kind::Norm { width },
            &[
                ("weight", Field::Scale),
                ("bias", Field::Offset),
                ("running_mean", Field::Mean),
                ("running_var", Field::Variance),
                ("num_batches_tracked", Field::Batches),
            ],
        ),
        _ => return None,
    };
    let mut own = Vec::new();
    for &(name, tensor) in tensors {
        let (_, field) = *fields.iter().find(|(field, _)| *field == name)?;
        let fits = match (kind, field) {
            (_, Field::Batches) => tensor.tensor.shape().len() <= 1,
            (Kind::Matrix { outputs, .. }, Field::Bias) => tensor.tensor.shape() == [outputs],
            (Kind::Matrix { .. }, _) => true,
            (Kind::Norm { width }, _) => tensor.tensor.shape() == [width],
        };
        if !fits {
            return None;
        }
        own.push((field, tensor));
    }
    let whole = matches!(kind, Kind::Matrix { .. })
        || find("bias").and(find("running_mean")).and(find("running_var")).is_some();
    whole.then_some(Layer { number, path, kind, tensors: own })
}

/// All layers in their order, those without tensors where their numbers say that they are there.
fn steps(layers: Vec<Layer<'_>>, takes: usize) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut width = takes;
    // The number of the layer before, and whether that was a matrix.
    let mut before: Option<(usize, bool)> = None;
    for Layer { number, path, kind, tensors } in layers {
        let matrix = matches!(kind, Kind::Matrix { .. });
        match (before, matrix) {
            // A dropout may stand before a matrix.
            (None, true) if number == FIRST || number == FIRST + 1 => {}
            (None, false) if number == FIRST => {}
            (Some((last, false)), true) if number == last + 1 || number == last + 2 => {}
            (Some((last, true)), false) if number == last + 1 => {}
            (Some((last, true)), false) if number == last + 2 => {
                let path = path.rsplit_once('.').map_or_else(String::new, |(head, _)| format!("{head}.{}", last + 1));
                let layer = HeadLayer::Activation(Activation::RELU);
                steps.push(Step { path, layer, tensors: Vec::new(), text: "ReLU".to_owned() });
            }
            _ => return None,
        }
        let (layer, text) = match kind {
            Kind::Norm { width: norm } if norm == width => {
                (HeadLayer::BatchNorm { epsilon: EPSILON, affine: true }, "BatchNorm1d".to_owned())
            }
            Kind::Matrix { outputs, inputs } if inputs == width => {
                width = outputs;
                let bias = tensors.iter().any(|(field, _)| *field == Field::Bias);
                (HeadLayer::Dense { outputs, bias }, format!("Linear {inputs} to {outputs}"))
            }
            Kind::Norm { .. } | Kind::Matrix { .. } => return None,
        };
        steps.push(Step { path, layer, tensors, text });
        before = Some((number, matrix));
    }
    Some(steps)
}
