//! The result of holding two models against each other.

use serde::Serialize;

/// Whether the models are the same function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They are, within the bound.
    Same,
    /// They are not.
    Different,
}

/// How far one output of the second model is from that of the first.
#[derive(Debug, Clone, Serialize)]
pub struct OutputDifference {
    /// Name of the output in the first model.
    pub name: String,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// The same, relative to the largest value of the output.
    pub max_rel: f64,
    /// Largest difference in units of the last place of f32.
    pub max_ulp: u32,
    /// Cosine of the angle between both.
    pub cosine: f64,
    /// What `max_abs` may be.
    pub bound: f64,
    /// Where that comes from.
    pub bound_from: String,
    /// Whether the best class is the same for every probe; `None` where the output is no vector of classes.
    pub top1_agree: Option<bool>,
    /// Whether the five best classes are the same five; `None` where there are not more than five.
    pub top5_agree: Option<bool>,
}

/// The first place where the models differ.
#[derive(Debug, Clone, Serialize)]
pub struct Divergence {
    /// The layer in the first model.
    pub a: String,
    /// The same place in the second.
    pub b: String,
    /// Where in a residual network that is: `stages.2.blocks.1.conv2`, counted from 0 as in names of tensors.
    pub place: Option<String>,
    /// Largest absolute difference there; where the shapes differ, at the next place where both can be compared.
    pub max_abs: f64,
    /// What it may be there.
    pub bound: f64,
    /// What is different about the two layers, as far as it can be told.
    pub cause: Option<String>,
}

/// How far both models are apart at one place within them.
#[derive(Debug, Clone, Serialize)]
pub struct LayerDifference {
    /// Where in a residual network that is.
    pub place: Option<String>,
    /// The layer in the first model.
    pub a: String,
    /// The same place in the second.
    pub b: String,
    /// Shape of what the first model has there, channels first.
    pub shape: Vec<usize>,
    /// Shape of what the second has, where that is another.
    pub other_shape: Option<Vec<usize>>,
    /// Largest absolute difference; `None` where the shapes differ.
    pub max_abs: Option<f64>,
    /// The same, relative to the largest value.
    pub max_rel: Option<f64>,
    /// What `max_abs` may be.
    pub bound: f64,
    /// Whether it is within that.
    pub within: bool,
}

/// What rounding the weights to a narrower type changed in the outputs.
#[derive(Debug, Clone, Serialize)]
pub struct RoundingCost {
    /// Largest absolute difference over all outputs.
    pub max_abs: f64,
    /// Smallest cosine over all outputs.
    pub cosine: f64,
    /// Whether the best class stayed the same.
    pub top1_agree: Option<bool>,
}

/// The result of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Whether the models are the same function.
    pub verdict: Verdict,
    /// In words: what was held against what, and how.
    pub method: String,
    /// Why they differ, where no number says it: another number of outputs, another shape.
    pub reason: Option<String>,
    /// Each output.
    pub outputs: Vec<OutputDifference>,
    /// Whether the best class is the same for every probe; `None` where the output is no vector of classes.
    pub top1_agree: Option<bool>,
    /// Whether the five best classes are the same five; `None` where no output has more than five.
    pub top5_agree: Option<bool>,
    /// The first place where they differ.
    pub first_divergence: Option<Divergence>,
    /// What rounding cost, where weights were rounded.
    pub rounding: Option<RoundingCost>,
}

impl Verification {
    pub(super) fn new(method: &str) -> Self {
        Self {
            verdict: Verdict::Same,
            method: method.to_owned(),
            reason: None,
            outputs: Vec::new(),
            top1_agree: None,
            top5_agree: None,
            first_divergence: None,
            rounding: None,
        }
    }

    pub(super) fn different(method: &str, reason: String) -> Self {
        Self { verdict: Verdict::Different, reason: Some(reason), ..Self::new(method) }
    }

    /// Adds what was found of an output.
    pub(super) fn push(&mut self, output: OutputDifference) {
        self.top1_agree = agree(self.top1_agree, output.top1_agree);
        self.top5_agree = agree(self.top5_agree, output.top5_agree);
        self.outputs.push(output);
    }
}

/// Whether two answers agree, of which either may be missing.
pub(super) fn agree(so_far: Option<bool>, here: Option<bool>) -> Option<bool> {
    match (so_far, here) {
        (Some(a), Some(b)) => Some(a && b),
        (a, b) => a.or(b),
    }
}
