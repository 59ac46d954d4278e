//! Validation: the one door between a graph and whatever runs or writes it.
//!
//! Checked here: operands of every node (number, rank, shape), attributes that shapes depend on, epsilons, that every
//! output exists, and that names of inputs and outputs are usable. All findings are collected; what follows a node
//! that failed is not reported again. Not checked here: values of weights, residual topology, target runtimes.

use std::ops::Deref;

use crate::finding::{Code, Finding, Level};
use crate::graph::{Graph, Node, NodeId, Source, ValueId, ValueKind};
use crate::op::{Elementwise, Op};
use crate::shape::{Shape, ShapeError, TensorType, infer};

crate::code! {
    /// An operator cannot be applied to the operands that the graph gives it: their number, their rank or their sizes
    /// do not fit.
    ///
    /// ## Why it matters
    ///
    /// No runtime can compute this model. Some load it and fail at the first image.
    ///
    /// ## Example
    ///
    /// `layer2.0.conv1: Conv: the kernel takes 64 channels, found 128`: a weight of another network was bound to this
    /// layer, or a channel count was edited on one side only.
    ///
    /// ## How to fix it
    ///
    /// The message says what was expected and what was found. Compare the layer's attributes and weights, and those of
    /// the layers before it, with the code that built the model, and export it again.
    pub static SHAPE_MISMATCH = Graph Error R101 "shape-mismatch";
}

crate::code! {
    /// An attribute has a value that makes no sense, or a node contradicts the definition of its operator: an epsilon that is
    /// negative, strides for another number of axes, an operand that may not be left out.
    ///
    /// ## Why it matters
    ///
    /// Frameworks do not write such nodes. The file was damaged or edited by hand, and what else was changed is not
    /// known.
    ///
    /// ## Example
    ///
    /// `bn1: epsilon must be at least 0 and finite, found -1e-5`
    ///
    /// ``conv1: onnx `Conv`: attribute `strides` must be a size for each spatial axis, found [2, 2, 1]``
    ///
    /// ## How to fix it
    ///
    /// Compare the file with the code that built the model, and export it again.
    pub static BAD_ATTRIBUTE = Graph Error R102 "bad-attribute";
}

crate::code! {
    /// The graph computes nothing: it has no output.
    ///
    /// ## Why it matters
    ///
    /// A model needs at least one value that it gives back.
    ///
    /// ## Example
    ///
    /// An ONNX file whose `graph.output` is empty, as left by a tool that cut the model.
    ///
    /// ## How to fix it
    ///
    /// Export the model again, or declare the value that it should give.
    pub static NO_OUTPUT = Graph Error R103 "no-output";
}

crate::code! {
    /// The result of a node reaches no output of the model, so removing it changes nothing.
    ///
    /// ## Why it matters
    ///
    /// In a residual network this usually means that a branch was cut off by mistake: a shortcut that is computed and
    /// never added, an addition that something reads around.
    ///
    /// ## Example
    ///
    /// `layer3.0.downsample.0: Conv reaches no output`: the projection is there, and the addition reads something else.
    ///
    /// ## How to fix it
    ///
    /// Connect it where it belongs, or remove it.
    pub static DEAD_NODE = Graph Warning R104 "dead-node";
}

crate::code! {
    /// The model holds an operator that residua does not know: a Lambda or custom layer, an operator of a domain of its
    /// own.
    ///
    /// ## Why it matters
    ///
    /// Nothing of it is executed. The model can be inspected, but not run or proved. A node of an ONNX model can be written
    /// into an ONNX model again as it is, with `--no-verify`; any other cannot be written.
    ///
    /// ## Example
    ///
    /// ``keras `Lambda`: its function is code``
    ///
    /// ## How to fix it
    ///
    /// Replace the layer by built-in ones with the same function, or cut the model before it.
    pub static OPAQUE = Graph Warning R105 "unknown-operator";
}

crate::code! {
    /// An addition has branches of different shapes that do not broadcast.
    ///
    /// ## Why it matters
    ///
    /// No runtime can compute it. In a residual network the branches are a block's main path and its shortcut: the main
    /// path changes channels or size and the shortcut does not, or the other way round.
    ///
    /// ## Example
    ///
    /// `layer2.0.add: the branches are [N, 128, 28, 28] and [N, 64, 56, 56]`: the projection was lost, and the shortcut
    /// is the block's input as it is.
    ///
    /// ## How to fix it
    ///
    /// Give the block a projection (a 1x1 convolution with the stride of the main path), or the stride and the width
    /// that its shortcut has.
    pub static UNEQUAL_BRANCHES = Graph Error R108 "unequal-branches";
}

/// Codes of the findings that validation makes.
pub static CODES: [&Code; 6] = [&SHAPE_MISMATCH, &BAD_ATTRIBUTE, &NO_OUTPUT, &DEAD_NODE, &OPAQUE, &UNEQUAL_BRANCHES];

/// A graph with the types of its values, as far as they are known: not behind an operator that is not known, nor behind
/// one that cannot be applied to its operands.
#[derive(Debug, Clone)]
pub struct Typed {
    graph: Graph,
    types: Vec<Option<TensorType>>,
    /// What validation found when the types were inferred.
    findings: Vec<Finding>,
}

/// A graph that passed validation: nothing that is known of it contradicts itself.
#[derive(Debug, Clone)]
pub struct Checked(Typed);

/// A graph that did not.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", summary(.findings))]
pub struct Invalid {
    /// The graph, for inspection.
    pub typed: Box<Typed>,
    /// What was found; at least one is an error.
    pub findings: Vec<Finding>,
}

fn summary(findings: &[Finding]) -> String {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Level::Error).collect();
    match errors[..] {
        [] => "the graph is invalid".to_owned(),
        [only] => only.to_string(),
        [first, ..] => format!("{first} (and {} more)", errors.len() - 1),
    }
}

impl Typed {
    /// A graph whatever is wrong with it, to be looked at.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        let (types, findings) = infer_and_find(&graph);
        Self { graph, types, findings }
    }

    /// The same graph to whatever runs or writes it, if it holds together. Nothing is inferred again.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn check(self) -> Result<Checked, Invalid> {
        if self.findings.iter().any(|finding| finding.level == Level::Error) {
            let findings = self.findings.clone();
            return Err(Invalid { typed: Box::new(self), findings });
        }
        Ok(Checked(self))
    }

    /// Gives the graph back, to change it and validate it.
    #[must_use]
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Type of a value; `None` behind an operator that is not known, unless the source declares it.
    #[must_use]
    pub fn type_of(&self, value: ValueId) -> Option<&TensorType> {
        self.types[value.index()].as_ref()
    }

    /// Shape of a value in this crate's axis order; `None` where its type is not known.
    #[must_use]
    pub fn shape_of(&self, value: ValueId) -> Option<&Shape> {
        self.type_of(value).map(|ty| &ty.shape)
    }

    /// Shape of a value as the source model shows it.
    #[must_use]
    pub fn source_shape_of(&self, value: ValueId) -> Option<Shape> {
        self.shape_of(value).map(|shape| self.graph.value(value).order.source_shape(shape))
    }

    /// Operators that are not known; the graph can be run and written only where there are none.
    pub fn opaque_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.node_ids().filter(|&id| matches!(self.graph.node(id).op, Op::Opaque(_)))
    }
}

impl Deref for Checked {
    type Target = Typed;

    fn deref(&self) -> &Typed {
        &self.0
    }
}

impl Checked {
    /// Gives the graph back, to change it and validate it again.
    #[must_use]
    pub fn into_graph(self) -> Graph {
        self.0.graph
    }

    /// Where it comes from, to be added to: nothing that was checked depends on that.
    pub fn source_mut(&mut self) -> &mut Source {
        self.0.graph.source_mut()
    }

    /// Warnings and notes that validation made.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }
}

/// Checks a graph and infers the type of every value.
///
/// # Errors
/// [`Invalid`], with all findings, where one is an error.
pub fn validate(graph: Graph) -> Result<Checked, Invalid> {
    Typed::new(graph).check()
}

/// Types of all values, as far as they are known, and what contradicts what.
fn infer_and_find(graph: &Graph) -> (Vec<Option<TensorType>>, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut types: Vec<Option<TensorType>> = graph
        .values()
        .iter()
        .map(|value| match &value.kind {
            ValueKind::Input(input) => Some(TensorType { dtype: input.dtype, shape: input.shape.clone() }),
            ValueKind::Parameter(id) => {
                let tensor = &graph.parameter(*id).tensor;
                Some(TensorType { dtype: tensor.dtype(), shape: Shape::fixed(tensor.shape()) })
            }
            ValueKind::Computed { .. } => None,
        })
        .collect();

    for node in graph.nodes() {
        let mut report = |code: &'static Code, message: String, help: &str| {
            findings.push(Finding::new(code, message, help).at(&graph.layer(node.layer).name));
        };
        if let Some(message) = bad_attribute(&node.op) {
            report(&BAD_ATTRIBUTE, message, "compare the file with the code that built the model");
        }
        if let Op::Opaque(opaque) = &node.op {
            let message = format!("{} `{}`: {}", opaque.domain, opaque.op_type, opaque.reason);
            if opaque.misused {
                report(
                    &BAD_ATTRIBUTE,
                    message,
                    "compare the node with the definition of its operator, and export it again",
                );
            } else {
                report(&OPAQUE, message, "replace it by built-in layers; until then the model can be inspected only");
            }
            for (&output, ty) in node.outputs.iter().zip(&opaque.results) {
                types[output.index()] = ty.clone();
            }
            continue;
        }
        let operands: Option<Vec<TensorType>> = node.inputs.iter().map(|&id| types[id.index()].clone()).collect();
        let Some(operands) = operands else { continue };
        match infer(&node.op, &operands) {
            Ok(results) => {
                for (&output, ty) in node.outputs.iter().zip(results) {
                    types[output.index()] = Some(ty);
                }
            }
            Err(ShapeError::Broadcast { .. }) if node.op == Op::Elementwise(Elementwise::Add) => report(
                &UNEQUAL_BRANCHES,
                format!("the branches are {}", listed(operands.iter().map(|ty| ty.shape.to_string()))),
                "give the shortcut a projection, or the stride and width of the main path",
            ),
            Err(error) => report(
                &SHAPE_MISMATCH,
                format!("{}: {error}", node.op.name()),
                "check the layer's weights and attributes, and those of the layers before it",
            ),
        }
    }

    if graph.outputs().is_empty() {
        let help = "the file holds no usable model; export it again";
        findings.push(Finding::new(&NO_OUTPUT, "the graph has no output", help));
    }
    findings.extend(dead_nodes(graph));
    (types, findings)
}

/// `a, b and c`.
fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match &items[..] {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

fn bad_attribute(op: &Op) -> Option<String> {
    if let Op::Pad(pad) = op
        && !pad.value.is_finite()
    {
        return Some(format!("the padding value must be finite, found {}", pad.value));
    }
    let epsilon = op.describe().epsilon?;
    (!epsilon.is_finite() || epsilon < 0.0).then(|| format!("epsilon must be at least 0 and finite, found {epsilon}"))
}

/// Where branches that reach no output end; what only leads to such an end is counted with it.
fn dead_nodes(graph: &Graph) -> Vec<Finding> {
    let mut alive = vec![false; graph.values().len()];
    let mut read = vec![false; graph.values().len()];
    for &output in graph.outputs() {
        alive[output.index()] = true;
    }
    // For each value that is read by dead nodes alone, the end that it leads to.
    let mut leads_to: Vec<Option<usize>> = vec![None; graph.values().len()];
    let mut ends: Vec<(&Node, usize)> = Vec::new();
    for node in graph.nodes().iter().rev() {
        let is_alive = node.outputs.iter().any(|id| alive[id.index()]);
        let mut end = None;
        if !is_alive {
            end = node.outputs.iter().find_map(|id| leads_to[id.index()]);
            match end {
                Some(end) => ends[end].1 += 1,
                None if node.outputs.iter().any(|id| read[id.index()]) => {}
                None => {
                    end = Some(ends.len());
                    ends.push((node, 0));
                }
            }
        }
        for input in &node.inputs {
            read[input.index()] = true;
            alive[input.index()] |= is_alive;
            leads_to[input.index()] = leads_to[input.index()].or(end);
        }
    }
    let finding = |(node, before): (&Node, usize)| {
        let more = match before {
            0 => String::new(),
            1 => ", nor does the node before it".to_owned(),
            more => format!(", nor do the {more} nodes before it"),
        };
        let message = format!("{} reaches no output{more}", node.op.name());
        let help = "remove it, or connect it where it belongs";
        Finding::new(&DEAD_NODE, message, help).at(&graph.layer(node.layer).name)
    };
    ends.into_iter().rev().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv, Dim, Elementwise, GraphBuilder, Padding, Pads, Tensor};

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), &vec![0.0; shape.iter().product()]).unwrap()
    }

    fn strided_block(shortcut_stride: usize) -> Graph {
        let mut g = GraphBuilder::new("block");
        let shape = Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), Dim::symbol("H"), Dim::symbol("W")]);
        let x = g.input("x", shape);
        let main = g.weight("main/kernel", zeros(&[8, 4, 3, 3]));
        let side = g.weight("side/kernel", zeros(&[8, 4, 1, 1]));
        let padded = Conv { strides: [2, 2], padding: Padding::Explicit(Pads::all(1)), ..Conv::default() };
        let a = g.add("main", Op::Conv(padded), &[x, main]);
        let b = g.add("side", Op::Conv(Conv { strides: [shortcut_stride; 2], ..Conv::default() }), &[x, side]);
        let y = g.add("add", Op::Elementwise(Elementwise::Add), &[a, b]);
        g.output(y);
        g.finish().unwrap()
    }

    #[test]
    fn a_block_of_a_free_size_is_accepted_with_exact_shapes() {
        let checked = validate(strided_block(2)).unwrap();
        let shape = checked.shape_of(checked.graph().outputs()[0]).unwrap();
        assert_eq!(shape.to_string(), "[N, 8, ⌈H/2⌉, ⌈W/2⌉]");
    }

    #[test]
    fn a_shortcut_with_another_stride_is_an_error_that_names_the_add() {
        let graph = strided_block(1).with_input_shapes(&[Some(vec![1, 4, 8, 8])]).unwrap();
        let invalid = validate(graph).unwrap_err();
        assert_eq!(invalid.to_string(), "error R108: add: the branches are [1, 8, 4, 4] and [1, 8, 8, 8]");
    }

    #[test]
    fn a_branch_that_leads_nowhere_is_named_by_its_end() {
        let mut g = GraphBuilder::new("dangling");
        let relu = || Op::Activation(crate::Activation::RELU);
        let x = g.input("x", Shape::batch(&[2]));
        let y = g.add("y", relu(), &[x]);
        let a = g.add("a", relu(), &[x]);
        let b = g.add("b", relu(), &[a]);
        g.add("c", relu(), &[b]);
        g.add("d", relu(), &[y]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        let found: Vec<String> = model.findings().iter().map(ToString::to_string).collect();
        let expected = [
            "warning R104: c: Relu reaches no output, nor do the 2 nodes before it",
            "warning R104: d: Relu reaches no output",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_fixed_size_is_not_replaced_by_another() {
        let graph = strided_block(2);
        assert!(graph.with_input_shapes(&[Some(vec![1, 3, 8, 8])]).is_err());
    }
}
