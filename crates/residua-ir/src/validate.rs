//! Validation: the one door between a graph and whatever runs or writes it.
//!
//! Checked here: operands of every node (number, rank, shape), attributes that shapes depend on, epsilons, that every
//! output exists, and that names of inputs and outputs are usable. All findings are collected; what follows a node
//! that failed is not reported again. Not checked here: values of weights, residual topology, target runtimes.

use crate::finding::{Code, Finding, Level};
use crate::graph::{Graph, NodeId, ValueId, ValueKind};
use crate::op::Op;
use crate::shape::{Shape, TensorType, infer};

crate::code! {
    /// An operator cannot be applied to the operands that the graph gives it: their number, their rank or their sizes
    /// do not fit.
    ///
    /// ## Why it matters
    ///
    /// No runtime can compute this model. Some load it and fail at the first picture.
    ///
    /// ## Example
    ///
    /// `layer2.0.conv1: Conv: the kernel takes 64 channels, found 128`: a weight of another network was bound to this
    /// layer, or a channel count was edited on one side only.
    ///
    /// ## How to mend it
    ///
    /// The message says what was expected and what was found. Compare the layer's attributes and weights, and those of
    /// the layers before it, with the code that built the model, and export it again.
    pub static SHAPE_MISMATCH = Error R101 "shape-mismatch";
}

crate::code! {
    /// An attribute has a value that makes no sense: an epsilon that is negative or not a number, an infinite padding
    /// value in arithmetic.
    ///
    /// ## Why it matters
    ///
    /// Frameworks do not write such values. The file was damaged or edited by hand, and what else was changed is not
    /// known.
    ///
    /// ## Example
    ///
    /// `bn1: epsilon must be at least 0 and finite, found -1e-5`
    ///
    /// ## How to mend it
    ///
    /// Compare the file with the code that built the model, and export it again.
    pub static BAD_ATTRIBUTE = Error R102 "bad-attribute";
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
    /// ## How to mend it
    ///
    /// Export the model again, or declare the value that it should give.
    pub static NO_OUTPUT = Error R103 "no-output";
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
    /// ## How to mend it
    ///
    /// Connect it where it belongs, or remove it.
    pub static DEAD_NODE = Warning R104 "dead-node";
}

crate::code! {
    /// The model holds an operator that residua does not know: a Lambda or custom layer, an operator of a domain of its
    /// own.
    ///
    /// ## Why it matters
    ///
    /// Nothing of it is executed. The model can be inspected, but not run, proved or written as ONNX.
    ///
    /// ## Example
    ///
    /// ``keras `Lambda`: its function is code``
    ///
    /// ## How to mend it
    ///
    /// Replace the layer by built-in ones with the same function, or cut the model before it.
    pub static OPAQUE = Warning R105 "unknown-operator";
}

/// Codes of the findings that validation makes.
pub static CODES: [&Code; 5] = [&SHAPE_MISMATCH, &BAD_ATTRIBUTE, &NO_OUTPUT, &DEAD_NODE, &OPAQUE];

/// A graph that passed validation, with the type of every value.
#[derive(Debug, Clone)]
pub struct Checked {
    graph: Graph,
    types: Vec<Option<TensorType>>,
    findings: Vec<Finding>,
}

/// A graph that did not.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", summary(.findings))]
pub struct Invalid {
    /// The graph, for inspection.
    pub graph: Box<Graph>,
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

impl Checked {
    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Gives the graph back, to change it and validate it again.
    #[must_use]
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// Type of a value; `None` behind an operator that is not known.
    #[must_use]
    pub fn type_of(&self, value: ValueId) -> Option<&TensorType> {
        self.types[value.index()].as_ref()
    }

    /// Shape of a value in this crate's axis order; `None` behind an operator that is not known.
    #[must_use]
    pub fn shape_of(&self, value: ValueId) -> Option<&Shape> {
        self.type_of(value).map(|ty| &ty.shape)
    }

    /// Shape of a value as the source model shows it.
    #[must_use]
    pub fn source_shape_of(&self, value: ValueId) -> Option<Shape> {
        self.shape_of(value).map(|shape| self.graph.value(value).order.source_shape(shape))
    }

    /// Warnings and notes that validation made.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Operators that are not known; the graph can be run and written only where there are none.
    pub fn opaque_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.node_ids().filter(|&id| matches!(self.graph.node(id).op, Op::Opaque(_)))
    }
}

/// Checks a graph and infers the type of every value.
///
/// # Errors
/// [`Invalid`], with all findings, where one is an error.
pub fn validate(graph: Graph) -> Result<Checked, Invalid> {
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
            findings.push(Finding::new(code, message, help).at(&node.name));
        };
        if let Some(message) = bad_attribute(&node.op) {
            report(&BAD_ATTRIBUTE, message, "compare the file with the code that built the model");
        }
        if let Op::Opaque(opaque) = &node.op {
            report(
                &OPAQUE,
                format!("{} `{}`: {}", opaque.domain, opaque.op_type, opaque.reason),
                "replace it by built-in layers; until then the model can be inspected only",
            );
        }
        let operands: Option<Vec<TensorType>> = node.inputs.iter().map(|&id| types[id.index()].clone()).collect();
        let Some(operands) = operands else { continue };
        match infer(&node.op, &operands) {
            Ok(results) => {
                for (&output, ty) in node.outputs.iter().zip(results) {
                    types[output.index()] = Some(ty);
                }
            }
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
    findings.extend(dead_nodes(&graph));

    if findings.iter().any(|finding| finding.level == Level::Error) {
        return Err(Invalid { graph: Box::new(graph), findings });
    }
    Ok(Checked { graph, types, findings })
}

fn bad_attribute(op: &Op) -> Option<String> {
    let epsilon = match op {
        Op::BatchNorm(norm) => norm.epsilon,
        Op::GroupNorm(norm) => norm.epsilon,
        Op::LayerNorm(norm) => norm.epsilon,
        Op::Pad(pad) if !pad.value.is_finite() => {
            return Some(format!("the padding value must be finite, found {}", pad.value));
        }
        Op::Pad(_)
        | Op::Conv(_)
        | Op::Activation(_)
        | Op::PRelu
        | Op::Elementwise(_)
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::Linear
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Opaque(_) => return None,
    };
    (!epsilon.is_finite() || epsilon < 0.0).then(|| format!("epsilon must be at least 0 and finite, found {epsilon}"))
}

fn dead_nodes(graph: &Graph) -> Vec<Finding> {
    let mut alive = vec![false; graph.values().len()];
    for &output in graph.outputs() {
        alive[output.index()] = true;
    }
    let mut dead = Vec::new();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|id| alive[id.index()]) {
            for input in &node.inputs {
                alive[input.index()] = true;
            }
        } else {
            let message = format!("{} reaches no output", node.op.name());
            dead.push(Finding::new(&DEAD_NODE, message, "remove it, or connect it where it belongs").at(&node.name));
        }
    }
    dead.reverse();
    dead
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
        assert_eq!(invalid.findings[0].code.id, "R101");
        assert_eq!(invalid.findings[0].node.as_deref(), Some("add"));
        assert!(invalid.findings[0].message.contains("[1, 8, 4, 4] and [1, 8, 8, 8]"), "{invalid}");
    }

    #[test]
    fn a_fixed_size_is_not_replaced_by_another() {
        let graph = strided_block(2);
        assert!(graph.with_input_shapes(&[Some(vec![1, 3, 8, 8])]).is_err());
    }
}
