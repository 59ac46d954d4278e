//! Whether two models are the same function, shown by running both.
//!
//! [`prove`] holds a written file against the graph it was written from, [`compare`] any model against any other,
//! [`golden`] a model against outputs that its own framework computed. All give a [`Verification`].
//!
//! Invariant: a verdict is reached on outputs alone, in f64. Landmarks inside the models are looked at only to say where
//! a difference begins.

mod bound;
mod golden;
mod interface;
mod landmarks;
mod locate;
mod probe;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use residua_exec::compare::{Difference, bit_identical, difference, top1_agreement};
use residua_exec::{Array, Executor, Options, Precision, Results};
use residua_ir::{Activation, Checked, Op, ValueId};
use serde::Serialize;

pub use golden::{Golden, golden};
use interface::Interface;

/// What the caller knows and wants.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Threads to run on; all processors where it is `None`.
    pub threads: Option<usize>,
    /// Sizes of the inputs in this workspace's axis order, where the user fixed them.
    pub input_shapes: Vec<Option<Vec<usize>>>,
    /// Range of the values that the inputs are made of: that of prepared pictures, where it is known.
    pub input_range: Option<(f32, f32)>,
    /// Replaces the derived bound.
    pub tolerance: Option<f64>,
    /// Where only one of two models squashes an output (softmax, sigmoid), what goes into that is compared instead.
    pub before_softmax: bool,
}

/// What lies between a source and what was written from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Names, axes and containers changed: outputs must be bit-identical.
    Identical,
    /// Arithmetic was done or rearranged: outputs must agree within the derived bound.
    Rearranged,
}

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
}

/// The first place where the models differ.
#[derive(Debug, Clone, Serialize)]
pub struct Divergence {
    /// The layer in the first model.
    pub a: String,
    /// The same place in the second.
    pub b: String,
    /// Largest absolute difference there.
    pub max_abs: f64,
    /// What it may be there.
    pub bound: f64,
    /// What is different about the two layers, as far as it can be told.
    pub cause: Option<String>,
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
    /// The first place where they differ.
    pub first_divergence: Option<Divergence>,
    /// What rounding cost, where weights were rounded.
    pub rounding: Option<RoundingCost>,
}

impl Verification {
    fn new(method: &str) -> Self {
        Self {
            verdict: Verdict::Same,
            method: method.to_owned(),
            reason: None,
            outputs: Vec::new(),
            top1_agree: None,
            first_divergence: None,
            rounding: None,
        }
    }

    fn different(method: &str, reason: String) -> Self {
        Self { verdict: Verdict::Different, reason: Some(reason), ..Self::new(method) }
    }
}

/// A value that must be the same in both models.
struct Witness {
    name: String,
    a: ValueId,
    b: ValueId,
}

/// The outputs, and behind each one that is squashed (softmax, sigmoid) what goes into it: probabilities near 0 and 1
/// would hide almost any difference. Where only one model squashes, what goes into it instead, if that `will_do`.
fn witnesses(a: &Checked, b: &Checked, will_do: bool) -> Vec<Witness> {
    let mut witnesses = Vec::new();
    for (&x, &y) in a.graph().outputs().iter().zip(b.graph().outputs()) {
        let name = a.graph().value(x).name.clone();
        let before = |a, b| Witness { name: format!("{name} before its activation"), a, b };
        let plain = Witness { name: name.clone(), a: x, b: y };
        match (squashed(a, x), squashed(b, y)) {
            (Some(before_x), Some(before_y)) => witnesses.extend([plain, before(before_x, before_y)]),
            (Some(before_x), None) if will_do => witnesses.push(before(before_x, y)),
            (None, Some(before_y)) if will_do => witnesses.push(before(x, before_y)),
            (Some(_), None) | (None, Some(_)) | (None, None) => witnesses.push(plain),
        }
    }
    witnesses
}

/// The output that only one of two models squashes.
fn squashed_once(a: &Checked, b: &Checked) -> Option<String> {
    let pairs = a.graph().outputs().iter().zip(b.graph().outputs());
    let mut once = pairs.filter(|&(&x, &y)| squashed(a, x).is_some() != squashed(b, y).is_some());
    once.next().map(|(&x, _)| a.graph().value(x).name.clone())
}

/// What a value is the softmax or sigmoid of.
fn squashed(model: &Checked, value: ValueId) -> Option<ValueId> {
    let graph = model.graph();
    let node = graph.node(graph.producer(value)?);
    match &node.op {
        Op::Softmax { .. } | Op::Activation(Activation::Sigmoid) => Some(node.inputs[0]),
        Op::Identity(_)
        | Op::Cast { .. }
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::Transpose { .. }
        | Op::Reshape { .. } => squashed(model, node.inputs[0]),
        _ => None,
    }
}

/// A model with what it gave in f64.
struct Run<'m> {
    model: &'m Checked,
    inputs: &'m [Array],
    values: Vec<ValueId>,
    exact: Vec<Array>,
}

impl<'m> Run<'m> {
    fn new(model: &'m Checked, inputs: &'m [Array], values: Vec<ValueId>, settings: &Settings) -> Result<Self> {
        let exact = run(model, Precision::F64, inputs, &values, settings)?;
        Ok(Self { model, inputs, exact: taken(exact, &values)?, values })
    }

    /// How far each value may be from the exact one.
    fn noise(&self, settings: &Settings) -> Result<Vec<f64>> {
        let rounded = taken(run(self.model, Precision::F32, self.inputs, &self.values, settings)?, &self.values)?;
        self.exact.iter().zip(&rounded).map(|(exact, rounded)| bound::noise(exact, rounded)).collect()
    }
}

/// The values that were to be kept, in the order of `values`.
fn taken(results: Results, values: &[ValueId]) -> Result<Vec<Array>> {
    values
        .iter()
        .map(|&value| results.kept(value).cloned().context("a value that was to be kept is not there"))
        .collect()
}

/// The seed of the probes: any number does, as long as it is always the same.
const SEED: u64 = 0x7265_7369_6475_6131;

/// One run of a model, in one precision.
fn run(
    model: &Checked,
    precision: Precision,
    inputs: &[Array],
    keep: &[ValueId],
    settings: &Settings,
) -> Result<Results> {
    let options = Options { precision, threads: settings.threads, keep: keep.to_vec(), ..Options::default() };
    Ok(Executor::new(model, &options)?.run(inputs)?)
}

/// Holds what was written, as it was read back, against the graph it was written from.
///
/// # Errors
/// Where one of the models cannot be run.
pub fn prove(
    written_from: &Checked,
    read_back: &Checked,
    relation: Relation,
    settings: &Settings,
) -> Result<Verification> {
    let method = match (relation, settings.tolerance) {
        (_, Some(tolerance)) => format!("f64 outputs of the written file within {tolerance:e} of the source's"),
        (Relation::Identical, None) => "f64 outputs of the written file bit-identical to the source's".to_owned(),
        (Relation::Rearranged, None) => {
            "f64 outputs of the written file within the f32 rounding noise of the source".to_owned()
        }
    };
    hold_against(written_from, read_back, relation, &method, settings)
}

/// Holds any two models against each other.
///
/// # Errors
/// Where one of them cannot be run.
pub fn compare(a: &Checked, b: &Checked, settings: &Settings) -> Result<Verification> {
    let method = match settings.tolerance {
        Some(tolerance) => format!("f64 outputs within {tolerance:e}"),
        None => "f64 outputs within the f32 rounding noise of both models".to_owned(),
    };
    let mut verification = hold_against(a, b, Relation::Rearranged, &method, settings)?;
    if let (Verdict::Different, None, Some(output)) = (verification.verdict, &verification.reason, squashed_once(a, b))
        && !settings.before_softmax
    {
        let reason = "ends in a softmax or sigmoid in one of them only; --before-softmax compares what goes into it";
        verification.reason = Some(format!("output `{output}` {reason}"));
    }
    Ok(verification)
}

fn hold_against(
    a: &Checked,
    b: &Checked,
    relation: Relation,
    method: &str,
    settings: &Settings,
) -> Result<Verification> {
    let a = probe::fix_sizes(a, &settings.input_shapes).context("the first model")?;
    let interface = match Interface::between(&a, b) {
        Ok(interface) => interface,
        Err(reason) => return Ok(Verification::different(method, reason)),
    };
    let b = match interface.fix_sizes(&a, b) {
        Ok(b) => b,
        Err(reason) => return Ok(Verification::different(method, reason)),
    };
    let inputs = probe::arrays(a.graph(), &a, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
    let inputs_b = interface.inputs(&inputs)?;
    let witnesses = witnesses(&a, &b, settings.before_softmax);
    let (keep_a, keep_b) = (witnesses.iter().map(|w| w.a).collect(), witnesses.iter().map(|w| w.b).collect());
    let first = Run::new(&a, &inputs, keep_a, settings).context("the first model")?;
    let second = Run::new(&b, &inputs_b, keep_b, settings).context("the second model")?;
    let exactly = relation == Relation::Identical && settings.tolerance.is_none();
    let bounds = match (exactly, settings.tolerance) {
        (true, _) => vec![0.0; witnesses.len()],
        (false, Some(tolerance)) => vec![tolerance; witnesses.len()],
        (false, None) => {
            first.noise(settings)?.into_iter().zip(second.noise(settings)?).map(|(a, b)| a.max(b)).collect()
        }
    };

    let mut verification = Verification::new(method);
    for (index, (Witness { name, a: id, .. }, bound)) in witnesses.iter().zip(bounds).enumerate() {
        let (found_a, found_b) = (&first.exact[index], &second.exact[index]);
        let Some(found_b) = interface::same_shape(found_a, found_b, &a.graph().value(*id).order)? else {
            let reason = format!("`{name}`: shape {:?} against {:?}", found_a.shape(), found_b.shape());
            return Ok(Verification { reason: Some(reason), verdict: Verdict::Different, ..verification });
        };
        let difference = difference(found_a, &found_b)?;
        let holds = if exactly { bit_identical(found_a, &found_b) } else { bound::within(&difference, bound) };
        if !holds {
            verification.verdict = Verdict::Different;
        }
        verification.top1_agree = agree(verification.top1_agree, top1(found_a, &found_b)?);
        verification.outputs.push(output_difference(name.clone(), &difference, bound));
    }
    if verification.verdict == Verdict::Different {
        verification.first_divergence = locate::first_divergence(&a, &b, &inputs, &inputs_b, exactly, settings)?;
    }
    Ok(verification)
}

/// What rounding the weights changed: `rounded` is `source` with its weights rounded.
///
/// # Errors
/// Where one of them cannot be run.
pub fn rounding_cost(source: &Checked, rounded: &Checked, settings: &Settings) -> Result<RoundingCost> {
    let source = probe::fix_sizes(source, &settings.input_shapes)?;
    let rounded = probe::fix_sizes(rounded, &settings.input_shapes)?;
    let inputs = probe::arrays(source.graph(), &source, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
    let exact = run(&source, Precision::F64, &inputs, &[], settings)?;
    let after = run(&rounded, Precision::F64, &inputs, &[], settings)?;
    let mut cost = RoundingCost { max_abs: 0.0, cosine: 1.0, top1_agree: None };
    for (exact, after) in exact.outputs.iter().zip(&after.outputs) {
        let difference = difference(exact, after)?;
        cost.max_abs = cost.max_abs.max(difference.max_abs);
        cost.cosine = cost.cosine.min(difference.cosine);
        cost.top1_agree = agree(cost.top1_agree, top1(exact, after)?);
    }
    Ok(cost)
}

fn agree(so_far: Option<bool>, here: Option<bool>) -> Option<bool> {
    match (so_far, here) {
        (Some(a), Some(b)) => Some(a && b),
        (a, b) => a.or(b),
    }
}

/// Whether every row has the same best class; `None` where the output is no row of classes.
fn top1(reference: &Array, other: &Array) -> Result<Option<bool>> {
    match reference.shape() {
        [_, classes] if *classes > 1 => Ok(Some(top1_agreement(reference, other)? >= 1.0)),
        _ => Ok(None),
    }
}

fn output_difference(name: String, difference: &Difference, bound: f64) -> OutputDifference {
    OutputDifference {
        name,
        max_abs: difference.max_abs,
        max_rel: difference.max_rel,
        max_ulp: difference.max_ulp,
        cosine: difference.cosine,
        bound,
    }
}
