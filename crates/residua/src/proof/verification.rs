//! The result of holding two models against each other.

use residua_ir::{Checked, DType, Name};
use serde::Serialize;

use super::compared_values::{ComparedValue, compared_values};
use super::identical::{Identical, Unalike};
use super::in_parts::{ByNumbers, InParts};

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
    pub name: Name,
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
    /// Whether the best class is the same for every probe; `None` where the output is no vector of classes. Of scores that
    /// are infinite or NaN none is the best.
    pub top1_agree: Option<bool>,
    /// Whether the five best classes are the same five; `None` where there are not more than five.
    pub top5_agree: Option<bool>,
    /// Values that are infinite or NaN, of which nothing is known; `None` where all are finite. Where there are any, the
    /// figures above are null.
    pub non_finite: Option<NonFiniteValues>,
    /// How far the outputs are apart when both models are run from end to end, where that is more than the bound and the
    /// layers were held against each other one by one. The figures above are then of the output's own layer.
    pub end_to_end: Option<EndToEnd>,
}

impl OutputDifference {
    /// Makes it one of which nothing is known: such values are no numbers.
    pub(super) fn unusable(&mut self, values: NonFiniteValues) {
        (self.max_abs, self.max_rel, self.cosine) = (f64::NAN, f64::NAN, f64::NAN);
        self.top1_agree = self.top1_agree.map(|_| false);
        self.top5_agree = self.top5_agree.map(|_| false);
        self.non_finite = Some(values);
    }
}

/// How far two outputs are apart from end to end.
#[derive(Debug, Clone, Serialize)]
pub struct EndToEnd {
    /// Largest absolute difference.
    pub max_abs: f64,
    /// The same, relative to the largest value of the output.
    pub max_rel: f64,
    /// Cosine of the angle between both.
    pub cosine: f64,
}

/// Values of an output that are infinite or NaN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NonFiniteValues {
    /// How many of the first model's.
    pub a: usize,
    /// How many of the second's.
    pub b: usize,
    /// Values of the output.
    pub of: usize,
    /// Index of the first one.
    pub first: Vec<usize>,
    /// Whether both models have the same there, bit for bit.
    pub alike: bool,
    /// The layer of the first model that they come from.
    pub since_a: Option<Name>,
    /// The layer of the second.
    pub since_b: Option<Name>,
    /// Whether no number is left that both have.
    #[serde(skip)]
    pub everywhere: bool,
}

/// The first place where the models differ.
#[derive(Debug, Clone, Serialize)]
pub struct Divergence {
    /// The layer in the first model.
    pub a: Name,
    /// The same place in the second.
    pub b: Name,
    /// Where in a residual network that is: `stages.2.blocks.1.conv2`, counted from 0 as in names of tensors.
    pub place: Option<String>,
    /// Largest absolute difference there; where the shapes differ, at the next place where both can be compared.
    pub max_abs: f64,
    /// What it may be there.
    pub bound: f64,
    /// Whether both layers were given the same inputs, so that the difference is made there.
    pub same_inputs: bool,
    /// What is different about the two layers, as far as it can be told.
    pub cause: Option<String>,
}

/// How far both models are apart at one place within them.
#[derive(Debug, Clone, Serialize)]
pub struct LayerDifference {
    /// Where in a residual network that is.
    pub place: Option<String>,
    /// The layer in the first model.
    pub a: Name,
    /// The same place in the second.
    pub b: Name,
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
    /// `identical-graph` where both models were shown to be made alike, `identical-graph-in-part` where the rest was run on its
    /// own; otherwise in words, what was held against what, and how.
    pub method: String,
    /// In words: what was found.
    pub found: String,
    /// Why they differ, where no number says it: another number of outputs, another shape, values that are infinite or NaN.
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
    /// What computing in the type that was written gives, where that is f16 or bf16.
    pub in_dtype: Option<CostInType>,
    /// What was compared of two models that are made alike: they are one function, for all inputs. Where they were not run
    /// besides, the figures of outputs follow from that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identical: Option<Identical>,
    /// What was compared of two models of which parts are made otherwise, and what was run. The figures of outputs are then
    /// those of the part that comes nearest to its bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_parts: Option<InParts>,
    /// Where the models are not made alike, so that numbers had to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlike: Option<Unalike>,
    /// What both models are called.
    #[serde(skip)]
    pub names: [&'static str; 2],
}

/// The method of models that are made alike.
const IDENTICAL_GRAPH: &str = "identical-graph";
/// That of models of which parts are made otherwise.
const IN_PART: &str = "identical-graph-in-part";

/// What is asked for, in words.
#[derive(Debug, Clone)]
pub(super) struct Method {
    /// What both models are called.
    pub(super) names: [&'static str; 2],
    /// What is so where they are the same.
    pub(super) holds: String,
    /// What is so where they are not.
    pub(super) fails: String,
    /// What is so where only their layers are the same, one by one.
    pub(super) layers: String,
}

impl Verification {
    pub(super) fn new(method: &Method) -> Self {
        Self {
            verdict: Verdict::Same,
            method: method.holds.clone(),
            found: String::new(),
            names: method.names,
            reason: None,
            outputs: Vec::new(),
            top1_agree: None,
            top5_agree: None,
            first_divergence: None,
            rounding: None,
            in_dtype: None,
            identical: None,
            in_parts: None,
            unlike: None,
        }
    }

    /// Two models that are made alike, which were not run: no output differs, whatever the inputs are.
    pub(super) fn of_identical(a: &Checked, b: &Checked, method: &Method, identical: Identical) -> Self {
        let mut verification = Self::new(method);
        for ComparedValue { name, a: value, .. } in compared_values(a, b, false) {
            let classes = a.shape_of(value).filter(|shape| shape.rank() == 2).and_then(|shape| shape.dims()[1].fixed());
            let rows_of_more_than = |count: usize| classes.is_some_and(|classes| classes > count).then_some(true);
            verification.push(OutputDifference {
                name: name.into(),
                max_abs: 0.0,
                max_rel: 0.0,
                max_ulp: 0,
                cosine: 1.0,
                bound: 0.0,
                bound_from: "0, since both models are made alike".to_owned(),
                top1_agree: rows_of_more_than(1),
                top5_agree: rows_of_more_than(5),
                non_finite: None,
                end_to_end: None,
            });
        }
        verification.found = identical.words(verification.names);
        IDENTICAL_GRAPH.clone_into(&mut verification.method);
        verification.identical = Some(identical);
        verification
    }

    /// Two models that are made alike but for parts, each of which was run on what the first one gives to it.
    pub(super) fn of_parts(
        a: &Checked,
        b: &Checked,
        method: &Method,
        parts: InParts,
        unlike: Unalike,
        exactly: bool,
    ) -> Self {
        let mut verification = Self::new(method);
        for ComparedValue { name, .. } in compared_values(a, b, false) {
            let part = parts.nearest();
            let figure = |of: fn(&ByNumbers) -> f64| part.map_or(0.0, of);
            let alike = || "0, since both models are made alike at the sizes that were tried".to_owned();
            verification.push(OutputDifference {
                name: name.into(),
                max_abs: figure(|part| part.max_abs),
                max_rel: figure(|part| part.max_rel),
                max_ulp: part.map_or(0, |part| part.max_ulp),
                cosine: part.map_or(1.0, |part| part.cosine),
                bound: figure(|part| part.bound),
                bound_from: part.map_or_else(alike, |part| part.bound_from.clone()),
                top1_agree: None,
                top5_agree: None,
                non_finite: None,
                end_to_end: None,
            });
        }
        verification.found = parts.words(verification.names, exactly);
        IN_PART.clone_into(&mut verification.method);
        verification.in_parts = Some(parts);
        verification.unlike = Some(unlike);
        verification
    }

    /// The same of models that are made alike, as was shown besides.
    pub(super) fn made_alike(mut self, identical: Identical) -> Self {
        if self.verdict == Verdict::Same {
            self.found = format!("{}; {}", identical.words(self.names), self.found);
            IDENTICAL_GRAPH.clone_into(&mut self.method);
        }
        self.identical = Some(Identical { ran: true, ..identical });
        self
    }

    /// The same of a file that is not made as what it was written from; where it has to be (`strictly`), it is another one though no
    /// probe shows it.
    pub(super) fn made_otherwise(mut self, found: Unalike, strictly: bool) -> Self {
        if strictly && found.certain && self.verdict == Verdict::Same {
            let names = self.names;
            self.verdict = Verdict::Different;
            self.found = format!("{} does not have the graph of {}", names[1], names[0]);
            self.reason = Some(format!("{}; no input that was tried shows it", found.sentence()));
        }
        self.unlike = Some(found);
        self
    }

    /// Two models that cannot be held against each other.
    pub(super) fn different(method: &Method, reason: String) -> Self {
        Self { verdict: Verdict::Different, reason: Some(reason), ..Self::new(method) }.settled(method)
    }

    /// The same with what was found in words, once the verdict is reached.
    pub(super) fn settled(mut self, method: &Method) -> Self {
        let unusable = self.outputs.iter().any(|output| output.non_finite.is_some());
        self.found = match (self.verdict, &self.reason) {
            (Verdict::Same, _) => self.method.clone(),
            (Verdict::Different, Some(_)) if unusable => "outputs hold values that are infinite or NaN".to_owned(),
            (Verdict::Different, Some(_)) => format!("{} and {} have other interfaces", self.names[0], self.names[1]),
            (Verdict::Different, None) => method.fails.clone(),
        };
        self
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

/// What computing in the type that was written gives.
#[derive(Debug, Clone, Serialize)]
pub struct CostInType {
    /// The type.
    pub dtype: DType,
    /// Largest absolute difference from the source over all outputs.
    pub max_abs: f64,
    /// Smallest cosine over all outputs.
    pub cosine: f64,
    /// Whether the best class stays the same.
    pub top1_agree: Option<bool>,
    /// The first layer that gives values which the type does not hold.
    pub beyond: Option<Beyond>,
}

/// Values that a type does not hold.
#[derive(Debug, Clone, Serialize)]
pub struct Beyond {
    /// The layer that gives them.
    pub layer: String,
    /// How many they are.
    pub count: usize,
    /// The largest magnitude.
    pub largest: f64,
}
