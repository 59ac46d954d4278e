//! Why two models differ: hypotheses, one a file, each tried by changing one model and running both again.
//!
//! A hypothesis looks at both models side by side and proposes trials: another input, another graph of one of them,
//! another reading of the output. A trial counts by how much of the difference it takes away, measured on what the
//! verdict was reached on. What remains may have a cause of its own, so this is repeated a few times. Nothing is claimed
//! that was not tried.

mod activation;
mod biases;
mod blocks;
mod classifier;
mod epsilon;
mod input;
mod kernels;
mod labels;
mod padding;
mod pooling;
mod search;
mod softmax;
mod statistics;
mod strides;
mod weights;
mod wiring;

use crate::error::Result;
use residua_exec::Array;
use residua_ir::rewrite::{Edits, Expr};
use residua_ir::{BatchNorm, DType, Graph, NodeId, Op, Parameter, Role, Tensor};
use serde::Serialize;

use super::compared_values::compared_values;
use super::examined::Examined;
use super::fused_layer::Weights;
use super::landmarks::Landmark;
use super::layers::{Layers, Pair};
use super::locate::Window;
use super::{Settings, interface};

pub(super) use search::find;

/// Why two models differ.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// What kind of thing it is; of several the one that explains most.
    pub kind: &'static str,
    /// In words; the first model is A, the second B.
    pub what: String,
    /// How much of the difference it explains, 0 to 1.
    pub explains: f64,
    /// Whether nothing beyond rounding noise is left.
    pub within_bound: bool,
    /// Each cause, where there are several.
    pub parts: Vec<Part>,
}

/// One of several causes.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What kind of thing it is.
    pub kind: &'static str,
    /// In words.
    pub what: String,
    /// How much of the whole difference it explains.
    pub explains: f64,
}

/// A change that may take the difference away.
#[derive(Clone)]
struct Trial {
    kind: &'static str,
    what: String,
    change: Change,
}

#[derive(Clone)]
enum Change {
    /// The second model is given these inputs.
    Input(Vec<Array>),
    /// The first model is this one.
    A(Graph),
    /// The second is.
    B(Graph),
    /// What goes into the softmax of one model is held against what the other gives.
    BeforeSoftmax,
    /// Class `i` of the first model is class `labels[i]` of the second.
    Labels(Vec<usize>),
}

/// Both models, side by side.
struct Case<'c> {
    state: &'c State,
    layers: &'c Layers<'c>,
    settings: &'c Settings,
}

type Hypothesis = fn(&Case<'_>) -> Result<Vec<Trial>>;

/// The most particular ones first.
const PARTICULAR: [Hypothesis; 13] = [
    softmax::trials,
    labels::trials,
    input::trials,
    strides::trials,
    padding::trials,
    pooling::trials,
    activation::trials,
    wiring::trials,
    epsilon::trials,
    kernels::trials,
    classifier::trials,
    statistics::trials,
    blocks::trials,
];

/// Other weights in every layer would explain anything.
const GENERAL: [Hypothesis; 2] = [biases::trials, weights::trials];

/// Those that both models show: what they try is so, and only how much it explains is not known.
const SEEN: [Hypothesis; 6] =
    [strides::trials, padding::trials, pooling::trials, activation::trials, epsilon::seen, statistics::seen];

/// Two models as they are after some changes.
#[derive(Clone)]
struct State {
    a: Examined,
    b: Examined,
    before_softmax: bool,
    labels: Option<Vec<usize>>,
}

/// How far both are apart.
#[derive(Debug, Clone, Copy)]
struct Distance {
    /// Root of the sum of all squares.
    norm: f64,
    within: bool,
    /// Whether all that the second gives is numbers; what is none counts as 0.
    finite: bool,
}

impl State {
    fn changed(&self, change: &Change) -> Result<Self> {
        let mut next = self.clone();
        match change {
            Change::Input(inputs) => next.b = self.b.with_inputs(inputs.clone()),
            Change::A(graph) => next.a = self.a.with_graph(graph.clone())?,
            Change::B(graph) => next.b = self.b.with_graph(graph.clone())?,
            Change::BeforeSoftmax => next.before_softmax = true,
            Change::Labels(labels) => next.labels = Some(labels.clone()),
        }
        Ok(next)
    }

    /// Outputs of both that are to be the same, from f32 runs.
    fn outputs(&self, settings: &Settings) -> Result<Vec<(Array, Option<Array>)>> {
        let mut pairs = Vec::new();
        for compared in compared_values(&self.a.model, &self.b.model, self.before_softmax) {
            let (a, b) = (self.a.output(compared.a, settings)?, self.b.output(compared.b, settings)?);
            let order = &self.a.model.graph().value(compared.a).order;
            let mut b = interface::same_shape(&a, &b, order, None)?;
            if let (Some(labels), Some(array)) = (&self.labels, &b) {
                b = Some(relabelled(array, labels)?);
            }
            pairs.push((a, b));
        }
        Ok(pairs)
    }

    /// `None` where the outputs have other shapes.
    fn distance(&self, bounds: &[f64], settings: &Settings) -> Result<Option<Distance>> {
        let widest = bounds.iter().copied().fold(0.0, f64::max);
        let mut distance = Distance { norm: 0.0, within: true, finite: true };
        for (index, (a, b)) in self.outputs(settings)?.into_iter().enumerate() {
            let Some(b) = b else { return Ok(None) };
            let found = residua_exec::compare::difference(&a, &b)?;
            let number = |value: f64| if value.is_finite() { value } else { 0.0 };
            let squares = a.to_f64().into_iter().zip(b.to_f64()).map(|(a, b)| (number(a) - number(b)).powi(2));
            distance.finite &= found.non_finite.of_other_kind == 0;
            distance.norm += squares.sum::<f64>();
            // Both are f32 runs here.
            distance.within &= distance.finite && found.max_abs <= 2.0 * bounds.get(index).copied().unwrap_or(widest);
        }
        distance.norm = distance.norm.sqrt();
        Ok(Some(distance))
    }
}

/// Columns in another order.
fn relabelled(array: &Array, labels: &[usize]) -> Result<Array> {
    let values = array.to_f64();
    let rows = values.chunks(labels.len().max(1));
    let moved: Vec<f64> =
        rows.flat_map(|row| labels.iter().map(|&class| row.get(class).copied().unwrap_or(0.0))).collect();
    Ok(Array::new(array.shape().to_vec(), moved)?)
}

impl Case<'_> {
    fn a(&self) -> &Examined {
        &self.state.a
    }

    fn b(&self) -> &Examined {
        &self.state.b
    }

    /// Landmarks of both at the same place.
    fn marks(&self) -> impl Iterator<Item = (&Pair, &Landmark, &Landmark)> {
        self.layers.pairs.iter().map(|pair| (pair, &self.a().marks[pair.a], &self.b().marks[pair.b]))
    }

    fn a_op(&self, mark: &Landmark) -> &Op {
        &self.a().model.graph().node(mark.anchor).op
    }

    fn b_op(&self, mark: &Landmark) -> &Op {
        &self.b().model.graph().node(mark.anchor).op
    }

    /// Where a landmark of the first model is, for people.
    fn place(&self, mark: &Landmark) -> String {
        mark.place.map_or_else(|| self.a().layer(mark.anchor), |place| place.to_string())
    }

    /// The second model with some nodes replaced; `None` where none is.
    fn edited(&self, edit: impl FnOnce(&mut Edits<'_>)) -> Option<Graph> {
        edited(self.b(), edit)
    }

    /// The convolutions and pools of the second model as those of the first, where `differ` says so; the places where that is.
    fn windows(&self, differ: impl Fn(&Window, &Window) -> bool) -> Option<(Graph, Vec<String>)> {
        let mut words = Vec::new();
        let graph = self.edited(|edits| {
            for (_, a, b) in self.marks() {
                let of = |examined: &Examined, mark: &Landmark| Window::of(&examined.model, mark.anchor);
                let (Some(wanted), Some(has)) = (of(self.a(), a), of(self.b(), b)) else { continue };
                if self.a_op(a).name() == self.b_op(b).name() && differ(&wanted, &has) {
                    edits.replace(b.anchor, wanted.on(&self.b().model, b.anchor));
                    words.push(format!("{}: {}", self.place(a), wanted.against(&has).unwrap_or_default()));
                }
            }
        })?;
        Some((graph, words))
    }
}

fn edited(examined: &Examined, edit: impl FnOnce(&mut Edits<'_>)) -> Option<Graph> {
    let mut edits = Edits::new(&examined.model);
    edit(&mut edits);
    if edits.is_empty() {
        return None;
    }
    edits.apply().ok().map(|(graph, _)| graph)
}

/// `first (and 3 more)`.
fn and_more(places: &[String]) -> String {
    match places {
        [] => String::new(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

/// A fused layer with other weights: what stands in the place of the last node of what `own` was computed from.
fn with_weights(examined: &Examined, mark: &Landmark, weights: &Weights) -> Option<Expr> {
    let graph = examined.model.graph();
    let node = graph.node(mark.anchor);
    let tensor = |what: &str, shape: Vec<usize>, values: &[f64]| -> Option<Expr> {
        let tensor = Tensor::from_f64(shape, values).ok()?.cast(DType::F32);
        let name = format!("{}/tried {what}", node.name.raw());
        Some(
            Parameter {
                name: name.into(),
                location: String::new().into(),
                role: Role::Weight,
                layer: node.layer,
                tensor,
            }
            .into(),
        )
    };
    let count = weights.bias.len();
    let bias = tensor("bias", vec![count], &weights.bias)?;
    let x = Expr::from(*node.inputs.first()?);
    Some(match node.op {
        Op::BatchNorm(_) => {
            let scale = tensor("scale", vec![count], &weights.kernel)?;
            let (mean, variance) =
                (tensor("mean", vec![count], &vec![0.0; count])?, tensor("variance", vec![count], &vec![1.0; count])?);
            Expr::made(Op::BatchNorm(BatchNorm { epsilon: 0.0 }), vec![x, scale, bias, mean, variance])
        }
        _ => {
            let shape = graph.as_parameter(*node.inputs.get(1)?)?.tensor.shape().to_vec();
            Expr::made(node.op.clone(), vec![x, tensor("kernel", shape, &weights.kernel)?, bias])
        }
    })
}

/// The operands of a node as they are.
fn operands(graph: &Graph, node: NodeId) -> Vec<Expr> {
    graph.node(node).inputs.iter().map(|&input| input.into()).collect()
}
