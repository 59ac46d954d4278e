//! Whether two models are the same function, shown by running both.
//!
//! [`prove`] holds a written file against the graph it was written from, [`compare`] any model against any other,
//! [`golden`] a model against outputs that its own framework computed. All give a [`Verification`]; [`examine`] says
//! besides how far both are apart in each layer, and why.
//!
//! Invariant: a verdict is reached on outputs alone, in f64. Landmarks inside the models are looked at only to say where
//! a difference begins, and what was exported is seen there as the network that it was before.

mod bound;
mod cause;
mod golden;
mod interface;
mod landmarks;
mod layers;
mod locate;
mod narrow;
mod probe;
mod run;
mod side;
#[cfg(test)]
mod tests;
mod unit;
mod verification;
mod witness;

use anyhow::{Context, Result};
use residua_exec::compare::{bit_identical, difference};
use residua_exec::{Array, Precision};
use residua_ir::{Checked, ValueId};
use serde::Serialize;

use bound::{Bound, within};
pub use cause::{Cause, Part};
pub use golden::{Golden, golden};
use interface::Interface;
pub use interface::{Written, WrittenInterface};
pub use layers::Failing;
use layers::Layers;
use run::{Run, run, top1};
use side::Side;
use verification::agree;
pub use verification::{Divergence, LayerDifference, OutputDifference, RoundingCost, Verdict, Verification};
use witness::{Witness, squashed_once, witnesses};

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
    /// How the second model's inputs and outputs lie; told from their shapes where it is `None`.
    pub written: Option<WrittenInterface>,
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

/// The seed of the probes: any number does, as long as it is always the same.
const SEED: u64 = 0x7265_7369_6475_6131;

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
    Ok(hold_against(written_from, read_back, relation, &method, settings, Wanted::default())?.verification)
}

/// Holds any two models against each other.
///
/// # Errors
/// Where one of them cannot be run.
pub fn compare(a: &Checked, b: &Checked, settings: &Settings) -> Result<Verification> {
    Ok(examine(a, b, settings, Wanted::default())?.verification)
}

/// What is to be found out about a difference, beside where it begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Every place that both models have, whether they differ or not.
    pub layers: bool,
    /// What goes into and comes out of the first layer that differs.
    pub failing: bool,
    /// Why they differ.
    pub cause: bool,
}

/// A comparison, and what was to be found out about it.
#[derive(Debug)]
pub struct Examination {
    /// The comparison.
    pub verification: Verification,
    /// Every place that both models have, in the order of the first one.
    pub layers: Vec<LayerDifference>,
    /// What goes into and comes out of the first layer that differs.
    pub failing: Option<Failing>,
    /// Why they differ, as far as that could be tried.
    pub cause: Option<Cause>,
}

/// Holds any two models against each other, and looks into them.
///
/// # Errors
/// Where one of them cannot be run.
pub fn examine(a: &Checked, b: &Checked, settings: &Settings, wanted: Wanted) -> Result<Examination> {
    let method = match settings.tolerance {
        Some(tolerance) => format!("f64 outputs within {tolerance:e}"),
        None => "f64 outputs within the f32 rounding noise of both models".to_owned(),
    };
    let mut found = hold_against(a, b, Relation::Rearranged, &method, settings, wanted)?;
    let verification = &mut found.verification;
    if let (Verdict::Different, None, Some(output)) = (verification.verdict, &verification.reason, squashed_once(a, b))
        && !settings.before_softmax
    {
        let reason = "ends in a softmax or sigmoid in one of them only; --before-softmax compares what goes into it";
        verification.reason = Some(format!("output `{output}` {reason}"));
    }
    Ok(found)
}

/// Two models at known sizes with what they are run on.
struct Both {
    a: Checked,
    b: Checked,
    inputs: Vec<Array>,
    inputs_b: Vec<Array>,
    written: Option<WrittenInterface>,
    /// Whether bits must be the same.
    exactly: bool,
}

impl Both {
    /// # Errors
    /// Within: why no input of one is one of the other.
    fn new(
        a: &Checked,
        b: &Checked,
        relation: Relation,
        settings: &Settings,
    ) -> Result<std::result::Result<Self, String>> {
        // Where the first leaves a size free, the second may not.
        let written = settings.written.as_ref();
        let elsewhere = Interface::between(a, b, written).map(|interface| interface.sizes(b)).unwrap_or_default();
        let a = probe::fix_sizes(a, &settings.input_shapes, &elsewhere).context("the first model")?;
        let fitted =
            Interface::between(&a, b, written).and_then(|interface| Ok((interface.fix_sizes(&a, b)?, interface)));
        let (b, interface) = match fitted {
            Ok(fitted) => fitted,
            Err(reason) => return Ok(Err(reason)),
        };
        let inputs = probe::arrays(a.graph(), &a, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
        let inputs_b = interface.inputs(&inputs)?;
        let exactly = relation == Relation::Identical && settings.tolerance.is_none();
        Ok(Ok(Self { a, b, inputs, inputs_b, written: settings.written.clone(), exactly }))
    }

    /// How a value lies in the second model, where it is an output of both and that is known.
    fn written_as(&self, a: ValueId, b: ValueId) -> Option<&Written> {
        let mut outputs = self.a.graph().outputs().iter().zip(self.b.graph().outputs());
        let place = outputs.position(|(&x, &y)| (x, y) == (a, b))?;
        self.written.as_ref()?.outputs.get(place)
    }

    /// The verdict on the outputs.
    fn hold(&self, method: &str, settings: &Settings) -> Result<Verification> {
        let witnesses = witnesses(&self.a, &self.b, settings.before_softmax);
        let (keep_a, keep_b) = (witnesses.iter().map(|w| w.a).collect(), witnesses.iter().map(|w| w.b).collect());
        let first = Run::new(&self.a, &self.inputs, keep_a, settings).context("the first model")?;
        let second = Run::new(&self.b, &self.inputs_b, keep_b, settings).context("the second model")?;
        let bounds = match (self.exactly, settings.tolerance) {
            (true, _) => vec![Bound::exact(); witnesses.len()],
            (false, Some(tolerance)) => vec![Bound::tolerance(tolerance); witnesses.len()],
            (false, None) => {
                let (a, b) = (first.noise(settings, "A")?, second.noise(settings, "B")?);
                a.into_iter().zip(b).map(|(a, b)| a.or(b)).collect()
            }
        };
        let mut verification = Verification::new(method);
        for (index, (Witness { name, a: id, b: id_b }, bound)) in witnesses.iter().zip(bounds).enumerate() {
            let (found_a, found_b) = (&first.exact[index], &second.exact[index]);
            let order = &self.a.graph().value(*id).order;
            let Some(found_b) = interface::same_shape(found_a, found_b, order, self.written_as(*id, *id_b))? else {
                let reason = format!("`{name}`: shape {:?} against {:?}", found_a.shape(), found_b.shape());
                return Ok(Verification { reason: Some(reason), verdict: Verdict::Different, ..verification });
            };
            let difference = difference(found_a, &found_b)?;
            let holds = if self.exactly { bit_identical(found_a, &found_b) } else { within(&difference, bound.value) };
            if !holds {
                verification.verdict = Verdict::Different;
            }
            verification.push(run::output(name, (found_a, &found_b), &difference, &bound));
        }
        Ok(verification)
    }
}

fn hold_against(
    a: &Checked,
    b: &Checked,
    relation: Relation,
    method: &str,
    settings: &Settings,
    wanted: Wanted,
) -> Result<Examination> {
    let nothing = |verification| Examination { verification, layers: Vec::new(), failing: None, cause: None };
    let both = match Both::new(a, b, relation, settings)? {
        Ok(both) => both,
        Err(reason) => return Ok(nothing(Verification::different(method, reason))),
    };
    let mut found = nothing(both.hold(method, settings)?);
    let differs = found.verification.verdict == Verdict::Different && !found.verification.outputs.is_empty();
    if !differs && !wanted.layers {
        return Ok(found);
    }
    let (side_a, side_b) =
        (Side::new(&both.a, &both.inputs, both.exactly)?, Side::new(&both.b, &both.inputs_b, both.exactly)?);
    let layers = Layers::compare(&side_a, &side_b, both.exactly, settings)?;
    if wanted.layers {
        found.layers = layers.table();
    }
    if differs {
        found.verification.first_divergence = layers.divergence();
        found.failing = if wanted.failing { layers.failing(settings)? } else { None };
        let bounds: Vec<f64> = found.verification.outputs.iter().map(|output| output.bound).collect();
        found.cause = if wanted.cause { cause::find(&layers, &bounds, settings)? } else { None };
    }
    Ok(found)
}

/// What rounding the weights changed: `rounded` is `source` with its weights rounded.
///
/// # Errors
/// Where one of them cannot be run.
pub fn rounding_cost(source: &Checked, rounded: &Checked, settings: &Settings) -> Result<RoundingCost> {
    let source = probe::fix_sizes(source, &settings.input_shapes, &[])?;
    let rounded = probe::fix_sizes(rounded, &settings.input_shapes, &[])?;
    let inputs = probe::arrays(source.graph(), &source, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
    let exact = run(&source, Precision::F64, &inputs, &[], settings)?;
    let after = run(&rounded, Precision::F64, &inputs, &[], settings)?;
    let mut cost = RoundingCost { max_abs: 0.0, cosine: 1.0, top1_agree: None };
    for (exact, after) in exact.outputs.iter().zip(&after.outputs) {
        let difference = difference(exact, after)?;
        cost.max_abs = cost.max_abs.max(difference.max_abs);
        cost.cosine = cost.cosine.min(difference.cosine);
        cost.top1_agree = agree(cost.top1_agree, top1(exact, after));
    }
    Ok(cost)
}
