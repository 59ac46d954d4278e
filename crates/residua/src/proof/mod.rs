//! Whether two models are the same function, shown by what they are made of, or by running both.
//!
//! [`prove`] holds a written file against the graph it was written from, [`compare`] any model against any other,
//! [`golden`] a model against outputs that its own framework computed. All give a [`Verification`]; [`examine`] says
//! besides how far both are apart in each layer, and why.
//!
//! Invariant: where models are not made alike, a verdict is reached on outputs alone, in f64. Landmarks inside the models are looked at only to say where
//! a difference begins, and what was exported is seen there as the network that it was before.

mod batches;
mod bound;
mod cause;
mod compared_values;
mod cut;
mod examined;
pub mod finite;
mod forced;
mod forced_unlike;
mod fused_layer;
mod golden;
mod identical;
mod in_parts;
mod in_types;
mod interface;
mod landmarks;
mod layers;
mod locate;
mod lockstep;
mod narrow;
mod one_by_one;
mod parts;
mod probe;
mod run;
#[cfg(feature = "writers")]
pub(crate) mod save;
#[cfg(test)]
mod tests;
mod verification;

use std::collections::{HashMap, HashSet};

use crate::error::{Context, Result};
use residua_exec::compare::{bit_identical, difference};
use residua_exec::{Array, Precision, estimate};
use residua_ir::budget::{self, Limit};
use residua_ir::{Checked, Hint, ValueId};
use serde::Serialize;

pub use batches::{at_sizes_of, prove_batches};
use bound::{Bound, within};
pub use cause::{Cause, Part};
use compared_values::{ComparedValue, compared_values, squashed_once};
use examined::Examined;
use finite::Traced;
pub use golden::{Golden, golden};
pub use identical::{Identical, Structure, Unalike, structure};
pub use in_parts::{ByNumbers, InParts};
pub use in_types::hold_in_types;
use interface::Interface;
pub use interface::{Written, WrittenInterface};
pub use layers::Failing;
use layers::Layers;
use one_by_one::OneByOne;
pub(crate) use probe::uniform;
use run::{Run, run, top1};
pub use verification::{
    Beyond, CostInType, Divergence, EndToEnd, LayerDifference, NonFiniteValues, OutputDifference, RoundingCost,
    Verdict, Verification,
};
use verification::{Method, agree};

/// What the caller knows and wants.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Threads to run on; all processors where it is `None`.
    pub threads: Option<usize>,
    /// Sizes of the inputs in this workspace's axis order, where the user fixed them.
    pub input_shapes: Vec<Option<Vec<usize>>>,
    /// Range of the values that the inputs are made of: that of prepared images, where it is known.
    pub input_range: Option<(f32, f32)>,
    /// Replaces the derived bound.
    pub tolerance: Option<f64>,
    /// Where only one of two models squashes an output (softmax, sigmoid), what goes into that is compared instead.
    pub before_softmax: bool,
    /// Whether both models are run also where they are made alike.
    pub numeric: bool,
    /// Whether what was written holds its graph as it was given, so that one that is made otherwise is another.
    pub holds_graph: bool,
    /// Whether what was written holds all tensors as they were given, so that other bits are another model, though no input that
    /// is tried may show it.
    pub holds_bits: bool,
    /// Whether what does not go by structure is run from end to end, so that there are bounds for outputs.
    pub as_a_whole: bool,
    /// Whether it is enough to know that models differ, without where.
    pub verdict_alone: bool,
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
    let outputs = "f64 outputs of the written file";
    let (holds, fails) = match (relation, settings.tolerance) {
        (_, Some(tolerance)) => (
            format!("{outputs} within {tolerance:e} of the source's"),
            format!("{outputs} differ from the source's by more than {tolerance:e}"),
        ),
        (Relation::Identical, None) => (
            format!("{outputs} bit-identical to the source's"),
            format!("{outputs} are not bit-identical to the source's"),
        ),
        (Relation::Rearranged, None) => (
            format!("{outputs} within the f32 rounding noise of the source"),
            format!("{outputs} differ from the source's by more than its f32 rounding noise"),
        ),
    };
    let layers =
        "each layer of the written file within that layer's f32 rounding noise, given what the source gives to it";
    let method = Method { names: ["the source", "the written file"], holds, fails, layers: layers.to_owned() };
    let holds_graph = settings.holds_graph && relation == Relation::Identical;
    let found = structure(written_from, read_back, settings.written.as_ref())?;
    let identical = match &found {
        Structure::Identical(identical) => Some(identical.as_ref()),
        Structure::Unlike(_) => None,
    };
    if let Some(identical) = identical.filter(|identical| !settings.numeric && identical.run_because.is_none()) {
        return Ok(Verification::of_identical(written_from, read_back, &method, identical.clone()));
    }
    let is_another = |unlike: &Unalike| {
        holds_graph && unlike.certain || settings.holds_bits && relation == Relation::Identical && unlike.bits_alone
    };
    if let (Structure::Unlike(unlike), true) = (&found, settings.verdict_alone)
        && is_another(unlike)
    {
        return Ok(Verification::new(&method).made_otherwise(unlike.clone(), true));
    }
    let unlike = match found {
        Structure::Identical(identical) => {
            let ran = hold_against(written_from, read_back, relation, &method, settings, Wanted::default())?;
            return Ok(ran.verification.made_alike(*identical));
        }
        Structure::Unlike(unlike) => unlike,
    };
    let is_another = is_another(&unlike);
    if !(settings.numeric || settings.as_a_whole || is_another)
        && let Ok(both) = Both::new(written_from, read_back, relation, settings)?
        && let Some(parts) = both.in_parts(settings)?
    {
        return Ok(Verification::of_parts(written_from, read_back, &method, parts, unlike, both.exactly));
    }
    let ran = hold_against(written_from, read_back, relation, &method, settings, Wanted::default())?;
    Ok(ran.verification.made_otherwise(unlike, is_another))
}

/// Holds a file, as it was read back, against the graph that was made of its source to be written; `verification` is what was
/// found of the file and the source.
///
/// # Errors
/// Where a tensor cannot be read.
pub fn hold_written(
    written_from: &Checked,
    read_back: &Checked,
    mut verification: Verification,
    settings: &Settings,
) -> Result<Verification> {
    if verification.verdict == Verdict::Different {
        return Ok(verification);
    }
    Ok(match structure(written_from, read_back, settings.written.as_ref())? {
        Structure::Identical(_) => {
            verification.found.push_str("; the file holds what was made of the source, every bit of it");
            verification
        }
        Structure::Unlike(unlike) => verification.made_otherwise(unlike, true),
    })
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
    let (holds, fails) = match settings.tolerance {
        Some(tolerance) => {
            (format!("f64 outputs within {tolerance:e}"), format!("f64 outputs differ by more than {tolerance:e}"))
        }
        None => (
            "f64 outputs within the f32 rounding noise of both models".to_owned(),
            "f64 outputs differ by more than the f32 rounding noise of both models".to_owned(),
        ),
    };
    let layers = "each layer of B within that layer's f32 rounding noise, given what A gives to it".to_owned();
    let method = Method { names: ["A", "B"], holds, fails, layers };
    let (identical, unlike) = match structure(a, b, settings.written.as_ref())? {
        Structure::Identical(identical) => (Some(*identical), None),
        Structure::Unlike(unlike) => (None, Some(unlike)),
    };
    let run = settings.numeric || wanted.layers || identical.as_ref().is_none_or(|found| found.run_because.is_some());
    if let (false, Some(identical)) = (run, &identical) {
        let verification = Verification::of_identical(a, b, &method, identical.clone());
        return Ok(Examination { verification, layers: Vec::new(), failing: None, cause: None });
    }
    let mut found = hold_against(a, b, Relation::Rearranged, &method, settings, wanted)?;
    if let Some(identical) = identical {
        found.verification = found.verification.made_alike(identical);
    }
    found.verification.unlike = unlike;
    let verification = &mut found.verification;
    if let (Verdict::Different, None, Some(output)) = (verification.verdict, &verification.reason, squashed_once(a, b))
        && !settings.before_softmax
    {
        let hint = Hint::BeforeSoftmax;
        let reason = format!("ends in a softmax or sigmoid in one of them only; {hint} compares what goes into it");
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
    /// The position of each output of both.
    outputs: HashMap<(ValueId, ValueId), usize>,
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
        for (model, which) in [(&a, "the first model"), (&b, "the second model")] {
            let found = estimate(model, Precision::F64, &[]);
            found.within_budget().context(which)?;
            Limit::ProbeBytes.check_against(budget::probe(found.weights), found.held).context(which)?;
        }
        let inputs = probe::arrays(a.graph(), &a, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
        let inputs_b = interface.inputs(&inputs)?;
        let exactly = relation == Relation::Identical && settings.tolerance.is_none();
        let pairs = a.graph().outputs().iter().copied().zip(b.graph().outputs().iter().copied());
        let mut outputs = HashMap::new();
        for (position, pair) in pairs.enumerate() {
            outputs.entry(pair).or_insert(position);
        }
        Ok(Ok(Self { a, b, inputs, inputs_b, written: settings.written.clone(), outputs, exactly }))
    }

    /// How a value lies in the second model, where it is an output of both and that is known.
    fn written_as(&self, a: ValueId, b: ValueId) -> Option<&Written> {
        self.written.as_ref()?.outputs.get(*self.outputs.get(&(a, b))?)
    }

    /// The verdict on the outputs.
    fn hold(&self, method: &Method, settings: &Settings) -> Result<Verification> {
        let compared_values = compared_values(&self.a, &self.b, settings.before_softmax);
        let (keep_a, keep_b) =
            (compared_values.iter().map(|w| w.a).collect(), compared_values.iter().map(|w| w.b).collect());
        let first = Run::new(&self.a, &self.inputs, keep_a, settings).context("the first model")?;
        let second = Run::new(&self.b, &self.inputs_b, keep_b, settings).context("the second model")?;
        let bounds = match (self.exactly, settings.tolerance) {
            (true, _) => vec![Bound::exact(); compared_values.len()],
            (false, Some(tolerance)) => vec![Bound::tolerance(tolerance); compared_values.len()],
            (false, None) => {
                let (a, b) = (first.noise(settings, "A")?, second.noise(settings, "B")?);
                a.into_iter().zip(b).map(|(a, b)| a.or(b)).collect()
            }
        };
        let mut verification = Verification::new(method);
        let mut outputs = Vec::with_capacity(compared_values.len());
        let shown: HashSet<ValueId> = self.a.graph().outputs().iter().copied().collect();
        for (index, (ComparedValue { name, a: id, b: id_b }, bound)) in compared_values.iter().zip(bounds).enumerate() {
            let (found_a, found_b) = (&first.exact[index], &second.exact[index]);
            let order = &self.a.graph().value(*id).order;
            let Some(found_b) = interface::same_shape(found_a, found_b, order, self.written_as(*id, *id_b))? else {
                let reason = format!("`{name}`: shape {:?} against {:?}", found_a.shape(), found_b.shape());
                let different = Verification { reason: Some(reason), verdict: Verdict::Different, ..verification };
                return Ok(different.settled(method));
            };
            let difference = difference(found_a, &found_b)?;
            let holds = if self.exactly { bit_identical(found_a, &found_b) } else { within(&difference, bound.value) };
            outputs.push(shown.contains(id));
            if !holds {
                verification.verdict = Verdict::Different;
            }
            verification.push(run::output(name, (found_a, &found_b), &difference, &bound));
        }
        self.trace(&mut verification, &compared_values, settings)?;
        finite::judge(&mut verification, &outputs);
        Ok(verification.settled(method))
    }

    /// Says since which layer of each model values are infinite or NaN, where some are.
    fn trace(
        &self,
        verification: &mut Verification,
        compared_values: &[ComparedValue],
        settings: &Settings,
    ) -> Result<()> {
        if verification.outputs.iter().all(|output| output.non_finite.is_none()) {
            return Ok(());
        }
        let a = Traced::new(&self.a, &self.inputs, settings).context("the first model")?;
        let b = Traced::new(&self.b, &self.inputs_b, settings).context("the second model")?;
        for (output, compared) in verification.outputs.iter_mut().zip(compared_values) {
            if let Some(values) = &mut output.non_finite {
                (values.since_a, values.since_b) = (a.since(compared.a), b.since(compared.b));
            }
        }
        Ok(())
    }
}

fn hold_against(
    a: &Checked,
    b: &Checked,
    relation: Relation,
    method: &Method,
    settings: &Settings,
    wanted: Wanted,
) -> Result<Examination> {
    let nothing = |verification| Examination { verification, layers: Vec::new(), failing: None, cause: None };
    let both = match Both::new(a, b, relation, settings)? {
        Ok(both) => both,
        Err(reason) => return Ok(nothing(Verification::different(method, reason))),
    };
    let mut found = nothing(both.hold(method, settings)?);
    // Layers decide where bits need not be the same.
    let known = settings.verdict_alone && both.exactly;
    if (!differs(&found.verification) || known) && !wanted.layers {
        return Ok(found);
    }
    both.look_into(&mut found, method, settings, wanted)?;
    Ok(found)
}

/// Whether there are outputs, and they are not the same.
fn differs(verification: &Verification) -> bool {
    verification.verdict == Verdict::Different && !verification.outputs.is_empty()
}

impl Both {
    /// Whether it is worth to look at each layer on its own: all outputs are numbers, and what they may differ by is what
    /// rounding does.
    fn only_numbers_differ(&self, settings: &Settings, verification: &Verification) -> bool {
        let numbers = verification.outputs.iter().all(|output| output.non_finite.is_none());
        !self.exactly && settings.tolerance.is_none() && numbers && verification.reason.is_none()
    }

    /// Finds out what is wanted of the layers: where a difference begins, how far both are apart in each, and why.
    ///
    /// Where both differ by what rounding may have done, the layers decide whether they do.
    fn look_into(&self, found: &mut Examination, method: &Method, settings: &Settings, wanted: Wanted) -> Result<()> {
        let (first, second) = (
            Examined::new(&self.a, &self.inputs, self.exactly)?,
            Examined::new(&self.b, &self.inputs_b, self.exactly)?,
        );
        let one_by_one = if differs(&found.verification) && self.only_numbers_differ(settings, &found.verification) {
            let outputs = compared_values(&first.model, &second.model, settings.before_softmax);
            Some(OneByOne::run(&first, &second, &outputs, settings)?)
        } else {
            None
        };
        let settled = one_by_one.as_ref().is_some_and(|layers| layers.settle(&mut found.verification, method));
        if settled && !wanted.layers {
            return Ok(());
        }
        let differs = differs(&found.verification);
        let divergence = one_by_one.as_ref().and_then(OneByOne::divergence);
        if divergence.is_some() && !wanted.layers && !wanted.failing && !wanted.cause {
            found.verification.first_divergence = divergence;
            return Ok(());
        }
        let layers = Layers::compare(&first, &second, self.exactly, settings)?;
        let layers = layers.beginning(one_by_one.as_ref().and_then(OneByOne::first));
        if wanted.layers {
            found.layers = layers.table();
        }
        if differs {
            found.verification.first_divergence = divergence.or_else(|| layers.divergence());
            found.failing = if wanted.failing { layers.failing(settings)? } else { None };
            let outputs = &found.verification.outputs;
            // Where the first model gives no numbers, no change of the second can be seen to explain anything.
            let unusable = |output: &OutputDifference| output.non_finite.as_ref().is_some_and(|values| values.a > 0);
            let bounds: Vec<f64> = outputs.iter().map(|output| output.bound).collect();
            let tried = wanted.cause && !outputs.iter().any(unusable);
            found.cause = if tried { cause::find(&layers, &bounds, settings)? } else { None };
        }
        Ok(())
    }
}

/// What rounding the weights changed: `rounded` is `source` with its weights rounded. Where that makes outputs infinite or
/// NaN which the source gives as numbers, the proof is none.
///
/// # Errors
/// Where one of them cannot be run.
pub fn hold_rounded(
    source: &Checked,
    rounded: &Checked,
    verification: &mut Verification,
    settings: &Settings,
) -> Result<()> {
    let source = probe::fix_sizes(source, &settings.input_shapes, &[])?;
    let rounded = probe::fix_sizes(rounded, &settings.input_shapes, &[])?;
    let inputs = probe::arrays(source.graph(), &source, settings.input_range.unwrap_or((-1.0, 1.0)), SEED)?;
    let exact = run(&source, Precision::F64, &inputs, &[], settings)?;
    let after = run(&rounded, Precision::F64, &inputs, &[], settings)?;
    let mut cost = RoundingCost { max_abs: 0.0, cosine: 1.0, top1_agree: None };
    for (&id, (exact, after)) in rounded.graph().outputs().iter().zip(exact.outputs.iter().zip(&after.outputs)) {
        let difference = difference(exact, after)?;
        let places = &difference.non_finite;
        if let Some(mut values) = finite::values(places).filter(|_| places.places > places.reference) {
            let traced = Traced::new(&rounded, &inputs, settings)?;
            values.since_b = traced.since(id);
            let name = &rounded.graph().value(id).name;
            let sentence = finite::sentence(name.raw(), &values, verification.names);
            let lost = traced.origin(id).and_then(|node| finite::lost(&source, &rounded, node));
            verification.reason = Some(lost.map_or_else(|| sentence.clone(), |lost| format!("{sentence}; {lost}")));
            // What was held against the file had its weights rounded, too; the source has not.
            let rows = verification.outputs.iter_mut().filter(|output| output.non_finite.is_some());
            for output in rows.filter(|output| output.name.raw().starts_with(name.raw())) {
                output.unusable(values.clone());
            }
            verification.verdict = Verdict::Different;
            "outputs are infinite or NaN once the weights are rounded".clone_into(&mut verification.found);
            return Ok(());
        }
        cost.max_abs = cost.max_abs.max(difference.max_abs);
        cost.cosine = cost.cosine.min(difference.cosine);
        cost.top1_agree = agree(cost.top1_agree, top1(exact, after));
    }
    verification.rounding = Some(cost);
    Ok(())
}
