//! Whether two models are one function by what they are made of, for all inputs, without a run.
//!
//! Compared are operators, attributes, edges, element types, shapes with their free sizes, how inputs and outputs lie, and every
//! tensor bit for bit through its view ([`residua_ir::identical`]). Where both are not alike as they are, their normal forms are
//! tried: what passes gave that keep every bit, each told.
//!
//! It rests on what it cannot show: that both files are read as those who run them read them. Golden outputs and other
//! projects' runtimes in the tests hold that.

mod axis_order;
mod numbers;

use rayon::prelude::*;
use residua_ir::rewrite::{Applied, normalise_exactly};
use residua_ir::{
    Checked, Difference, Graph, LayerId, Op, Pairing, ParameterId, TensorDifference, Unlike, ValueId, ValueKind, pair,
    validate,
};
use serde::Serialize;

use super::WrittenInterface;
use super::interface::Interface;
use crate::error::{Context, Result};
use numbers::may_be_lost;

/// What was compared of two models that are one function.
#[derive(Debug, Clone, Serialize)]
pub struct Identical {
    /// Operators that were held against each other.
    pub operators: usize,
    /// Their operands.
    pub edges: usize,
    /// Tensors.
    pub tensors: usize,
    /// Bytes of these, each the same.
    pub bytes: u64,
    /// What passes did to both models first, each of which keeps every bit: to the first, and to the second.
    pub normalised: [Vec<Applied>; 2],
    /// What follows only if it is so.
    pub rests_on: &'static str,
    /// Whether both were run besides.
    pub ran: bool,
    /// Why, where outputs could be infinite or NaN, which proves nothing.
    pub run_because: Option<String>,
}

/// What identity rests on.
pub(super) const RESTS_ON: &str = "that both files are read as those who run them read them";

impl Identical {
    /// What follows, in words.
    pub(super) fn words(&self, names: [&str; 2]) -> String {
        format!("{} has the graph of {}, every bit of it: one function for all inputs", names[1], names[0])
    }
}

/// What was found of two models.
#[derive(Debug, Clone)]
pub enum Structure {
    /// They are one function.
    Identical(Box<Identical>),
    /// They are not made alike, as far as was looked.
    Unlike(Unalike),
}

/// Where two models are not made alike.
#[derive(Debug, Clone, Serialize)]
pub struct Unalike {
    /// Layers of both.
    pub layers: Option<[String; 2]>,
    /// What is unlike there, in words.
    pub what: String,
    /// Whether what differs is said to be the same by whoever made one of the other: an attribute, a type, a bit. Another operator may be
    /// the same function by other means.
    pub certain: bool,
    /// Whether operators, attributes and shapes are the same, and only bits or element types of tensors differ.
    #[serde(skip)]
    pub bits_alone: bool,
}

impl Unalike {
    /// Where it is, and what.
    #[must_use]
    pub fn sentence(&self) -> String {
        let place = self.layers.as_ref().map_or_else(String::new, |[a, b]| match a == b {
            true => format!("`{a}`: "),
            false => format!("`{a}` (there: `{b}`): "),
        });
        format!("{place}{}", self.what)
    }
}

/// Holds two models against each other by what they are made of. `written` says how inputs and outputs of the second one lie,
/// where that is known; it is told from their shapes otherwise.
///
/// # Errors
/// Where a tensor cannot be read.
pub fn structure(a: &Checked, b: &Checked, written: Option<&WrittenInterface>) -> Result<Structure> {
    let raw = Attempt::new([a, b], [a, b], written);
    // Tensors are read once the graphs correspond: those of graphs that do not may be paired again in their normal forms.
    let found = if raw.corresponds() { Some(raw.verdict()?) } else { None };
    if let Some(Structure::Identical(_)) = found {
        return found.context("it was just found");
    }
    let as_they_are = || found.map_or_else(|| raw.verdict(), Ok);
    // Where a normal form cannot be had, what was found of the models as they are counts.
    let (Ok(normal_a), Ok(normal_b)) = (Normal::of(a), Normal::of(b)) else { return as_they_are() };
    if normal_a.applied.is_empty() && normal_b.applied.is_empty() {
        return as_they_are();
    }
    let normal = Attempt::new([a, b], [normal_a.model(a), normal_b.model(b)], written);
    Ok(match normal.verdict()? {
        Structure::Identical(identical) => {
            let normalised = [normal_a.applied, normal_b.applied];
            Structure::Identical(Box::new(Identical { normalised, ..*identical }))
        }
        Structure::Unlike(found) => Structure::Unlike(found),
    })
}

/// A model without what keeps every bit; nothing where it is that already.
pub(super) struct Normal {
    model: Option<Checked>,
    pub(super) applied: Vec<Applied>,
}

impl Normal {
    pub(super) fn of(model: &Checked) -> Result<Self> {
        let normal = normalise_exactly(model).context("cannot bring it into its normal form")?;
        Ok(match normal {
            Some(normal) => Self {
                model: Some(validate(normal.model.into_graph()).context("its normal form does not hold together")?),
                applied: normal.applied,
            },
            None => Self { model: None, applied: Vec::new() },
        })
    }

    pub(super) fn model<'m>(&'m self, as_it_is: &'m Checked) -> &'m Checked {
        self.model.as_ref().unwrap_or(as_it_is)
    }
}

/// Whether inputs and outputs of two models have the same axes in what stands for them.
pub(super) fn same_axes(meant: [&Checked; 2], seen: [&Checked; 2], written: Option<&WrittenInterface>) -> bool {
    Interface::between(meant[0], meant[1], written)
        .is_ok_and(|interface| axis_order::agrees(meant, seen, &interface, written))
}

/// Two graphs that stand for the models that are meant, paired.
struct Attempt<'m> {
    seen: [&'m Checked; 2],
    /// What corresponds; or why inputs and outputs do not.
    pairing: std::result::Result<Pairing, String>,
}

impl<'m> Attempt<'m> {
    fn new(meant: [&'m Checked; 2], seen: [&'m Checked; 2], written: Option<&WrittenInterface>) -> Self {
        let pairing = Interface::between(meant[0], meant[1], written).and_then(|interface| {
            if !axis_order::agrees(meant, seen, &interface, written) {
                return Err("the axes of inputs or outputs are in another order".to_owned());
            }
            Ok(pair(seen[0], seen[1], written.and_then(|written| written.float)))
        });
        Self { seen, pairing }
    }

    /// Whether all operators correspond, so that only the bits of tensors are left to be compared.
    fn corresponds(&self) -> bool {
        self.pairing.as_ref().is_ok_and(|pairing| pairing.differences.is_empty())
    }

    /// Reads and compares the tensors that correspond.
    fn verdict(&self) -> Result<Structure> {
        let bits_alone = self
            .pairing
            .as_ref()
            .is_ok_and(|pairing| pairing.differences.iter().all(|found| is_type(self.seen, found)));
        let unlike = |layers, what, certain| Ok(Structure::Unlike(Unalike { layers, what, certain, bits_alone }));
        let pairing = match &self.pairing {
            Ok(pairing) => pairing,
            Err(reason) => return unlike(None, reason.clone(), false),
        };
        let [a, b] = self.seen;
        let (graph_a, graph_b) = (a.graph(), b.graph());
        let differing = differing_tensors(graph_a, graph_b, &pairing.tensors)?;
        // How windows of a pool hang over the image, and where a slice begins, follows from attributes and sizes together.
        let needs_sizes = |x: ValueId| {
            let Some(node) = graph_a.producer(x).map(|id| graph_a.node(id)) else { return false };
            let shape = node.inputs.first().and_then(|&x| a.shape_of(x));
            let is_free = |axis: usize| shape.and_then(|shape| shape.dims().get(axis)?.fixed()).is_none();
            match node.op {
                Op::MaxPool(_) | Op::AvgPool(_) | Op::LpPool(_) => is_free(2) || is_free(3),
                Op::Slice { axis, .. } => is_free(axis),
                _ => false,
            }
        };
        // Inputs are known by their order. Where operators are others, the rest may have been paired wrongly.
        let of_input = |found: &Difference| matches!(found.unlike, Unlike::Input | Unlike::InputShape);
        let is_certain = |found: &Difference| match found.unlike {
            Unlike::Attributes => !found.a.is_some_and(needs_sizes),
            Unlike::Tensor => true,
            Unlike::Interface | Unlike::Input | Unlike::InputShape | Unlike::Operator => false,
        };
        let differences = &pairing.differences;
        let certain = differences.iter().any(of_input) || differences.iter().all(is_certain);
        if let Some((p, q, what)) = differing.into_iter().next() {
            return unlike(Some([layer_of(graph_a, p), layer_of(graph_b, q)]), what, certain);
        }
        if let Some(found) = pairing.differences.first() {
            let layers = found.a.zip(found.b).map(|(x, y)| [place(graph_a, x), place(graph_b, y)]);
            return unlike(layers, said(a, b, found.a, found.b, found.unlike), certain);
        }
        let bytes = pairing.tensors.iter().map(|&(p, _)| graph_a.parameter(p).tensor.byte_len() as u64).sum();
        Ok(Structure::Identical(Box::new(Identical {
            operators: pairing.operators,
            edges: pairing.edges,
            tensors: pairing.tensors.len(),
            bytes,
            normalised: [Vec::new(), Vec::new()],
            rests_on: RESTS_ON,
            ran: false,
            run_because: may_be_lost(a)?,
        })))
    }
}

/// Whether what is unlike is the element type of a tensor alone.
fn is_type(seen: [&Checked; 2], found: &Difference) -> bool {
    let shape = |which: usize, value: Option<ValueId>| {
        seen[which].graph().as_parameter(value?).map(|parameter| parameter.tensor.shape().to_vec())
    };
    found.unlike == Unlike::Tensor && shape(0, found.a).is_some() && shape(0, found.a) == shape(1, found.b)
}

/// The layer of a parameter.
fn layer_of(graph: &Graph, id: ParameterId) -> String {
    layer_name(graph, graph.parameter(id).layer)
}

fn layer_name(graph: &Graph, id: LayerId) -> String {
    graph.layer(id).name.raw().to_owned()
}

/// The layer that gives a value, or the name of what is given.
pub(super) fn place(graph: &Graph, value: ValueId) -> String {
    match &graph.value(value).kind {
        ValueKind::Computed { node, .. } => layer_name(graph, graph.node(*node).layer),
        ValueKind::Parameter(id) => layer_of(graph, *id),
        ValueKind::Input(_) => graph.value(value).name.raw().to_owned(),
    }
}

/// What is unlike at a place, in words.
fn said(a: &Checked, b: &Checked, x: Option<ValueId>, y: Option<ValueId>, unlike: Unlike) -> String {
    let given = |model: &Checked, value: Option<ValueId>| {
        let Some(value) = value else { return "nothing".to_owned() };
        let graph = model.graph();
        match &graph.value(value).kind {
            ValueKind::Computed { node, .. } => graph.node(*node).op.name().to_owned(),
            ValueKind::Parameter(id) => {
                let tensor = &graph.parameter(*id).tensor;
                format!("a tensor {} {:?}", tensor.dtype(), tensor.shape())
            }
            ValueKind::Input(ty) => format!("an input {} {}", ty.dtype, ty.shape),
        }
    };
    let (p, q) = (given(a, x), given(b, y));
    match unlike {
        Unlike::Interface => "another number of inputs or outputs".to_owned(),
        Unlike::Input | Unlike::InputShape | Unlike::Operator | Unlike::Tensor => format!("{p} against {q}"),
        Unlike::Attributes => format!("{p} with other attributes"),
    }
}

/// Pairs of tensors of which a bit differs, in their order, and what differs in words.
pub(super) fn differing_tensors(
    a: &Graph,
    b: &Graph,
    pairs: &[(ParameterId, ParameterId)],
) -> Result<Vec<(ParameterId, ParameterId, String)>> {
    let differing = pairs.par_iter().filter_map(|&(p, q)| {
        let (x, y) = (a.parameter(p), b.parameter(q));
        // Where the file has another float type, as it was said to round to.
        match x.tensor.cast(y.tensor.dtype()).first_difference(&y.tensor) {
            Ok(None) => None,
            Ok(Some(found)) => {
                let place = match found {
                    TensorDifference::Element(place) => format!(" at {place:?}"),
                    TensorDifference::DType(..) | TensorDifference::Shape(..) => String::new(),
                };
                Some(Ok((p, q, format!("`{}` and `{}` differ{place}", x.name, y.name))))
            }
            Err(error) => Some(Err(error)),
        }
    });
    differing.collect::<std::result::Result<_, _>>().context("a tensor cannot be read")
}
