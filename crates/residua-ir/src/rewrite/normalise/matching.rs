//! Looking at a graph from a node backwards: who gives a value, who else reads it, which single number it is.

use crate::graph::{Graph, Node, NodeId, Parameter, ValueId};
use crate::op::{Elementwise, Op};
use crate::shape::Shape;
use crate::validate::Typed;

/// Numbers in a model are f32: a constant that was meant to be another number is this near to it.
const NEAR: f64 = 1e-6;

/// Whether a number is what an exporter writes for another one.
pub(super) fn near(number: f64, meant: f64) -> bool {
    (number - meant).abs() <= NEAR * meant.abs()
}

/// A graph and the readers of its values.
pub(super) struct Matcher<'m> {
    pub(super) model: &'m Typed,
    pub(super) graph: &'m Graph,
    consumers: Vec<Vec<NodeId>>,
}

impl<'m> Matcher<'m> {
    pub(super) fn new(model: &'m Typed) -> Self {
        let graph = model.graph();
        Self { model, graph, consumers: graph.consumers() }
    }

    /// All nodes, in topological order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &'m Node)> + use<'m> {
        let graph = self.graph;
        graph.node_ids().map(move |id| (id, graph.node(id)))
    }

    /// The node that gives a value.
    pub(super) fn producer(&self, value: ValueId) -> Option<(NodeId, &'m Node)> {
        let id = self.graph.producer(value)?;
        Some((id, self.graph.node(id)))
    }

    /// The node that gives a value which nothing else reads, and which is no output: it can go into its reader.
    pub(super) fn inner(&self, value: ValueId) -> Option<(NodeId, &'m Node)> {
        let readers = &self.consumers[value.index()];
        let alone = readers.iter().all(|reader| *reader == readers[0]) && !self.graph.is_output(value);
        self.producer(value).filter(|_| alone)
    }

    /// The nodes that read a value.
    pub(super) fn readers(&self, value: ValueId) -> &[NodeId] {
        &self.consumers[value.index()]
    }

    pub(super) fn shape(&self, value: ValueId) -> Option<&'m Shape> {
        self.model.shape_of(value)
    }

    /// Number of axes.
    pub(super) fn rank(&self, value: ValueId) -> Option<usize> {
        self.shape(value).map(Shape::rank)
    }

    /// Size of one axis, where it is known.
    pub(super) fn size(&self, value: ValueId, axis: usize) -> Option<usize> {
        self.shape(value)?.dims().get(axis)?.fixed()
    }

    /// Whether both have the same shape for certain.
    pub(super) fn same_shape(&self, a: ValueId, b: ValueId) -> bool {
        let (Some(a), Some(b)) = (self.shape(a), self.shape(b)) else { return false };
        a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(|(a, b)| a.is_equal(b))
    }

    pub(super) fn parameter(&self, value: ValueId) -> Option<&'m Parameter> {
        self.graph.as_parameter(value)
    }

    /// The number that a tensor of one element is.
    pub(super) fn number(&self, value: ValueId) -> Option<f64> {
        let tensor = &self.parameter(value)?.tensor;
        if tensor.len() != 1 || !tensor.dtype().is_float() {
            return None;
        }
        tensor.to_f64().ok()?.first().copied()
    }

    /// Operands of a sum, product, … of two.
    pub(super) fn pair(&self, node: &Node, op: Elementwise) -> Option<[ValueId; 2]> {
        match (&node.op, &node.inputs[..]) {
            (Op::Elementwise(found), &[a, b]) if *found == op => Some([a, b]),
            _ => None,
        }
    }

    /// What is added to, multiplied by, … a number, and the number; the result has the shape of what it is added to.
    pub(super) fn with_number(&self, node: &Node, op: Elementwise) -> Option<(ValueId, f64)> {
        let [a, b] = self.pair(node, op)?;
        let keeps = |x: ValueId| self.same_shape(x, node.output());
        match (self.number(a), self.number(b)) {
            (None, Some(number)) if keeps(a) => Some((a, number)),
            (Some(number), None) if keeps(b) && matches!(op, Elementwise::Add | Elementwise::Mul) => Some((b, number)),
            (None | Some(_), _) => None,
        }
    }

    /// A product as its factors: numbers multiplied with each other, and values.
    pub(super) fn product(&self, value: ValueId) -> Product {
        let mut product = Product { number: 1.0, factors: Vec::new() };
        if let Some((_, node)) = self.producer(value) {
            self.multiply(node, &mut product, 0);
        }
        if product.factors.is_empty() {
            product = Product { number: 1.0, factors: vec![value] };
        }
        product
    }

    fn multiply(&self, node: &Node, product: &mut Product, depth: usize) {
        /// Factors of any product that is looked for, and more.
        const DEEPEST: usize = 8;
        if let Some((x, number)) = self.with_number(node, Elementwise::Div) {
            product.number /= number;
            self.factor(x, product, depth);
        } else if let Some((x, number)) = self.with_number(node, Elementwise::Mul) {
            product.number *= number;
            self.factor(x, product, depth);
        } else if let (Some([a, b]), true) = (self.pair(node, Elementwise::Mul), depth < DEEPEST)
            && self.same_shape(a, b)
        {
            self.factor(a, product, depth);
            self.factor(b, product, depth);
        }
    }

    fn factor(&self, value: ValueId, product: &mut Product, depth: usize) {
        let before = product.factors.len();
        if let Some((_, node)) = self.inner(value) {
            self.multiply(node, product, depth + 1);
        }
        if product.factors.len() == before {
            product.factors.push(value);
        }
    }
}

/// A product as its factors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Product {
    /// All numbers, multiplied.
    pub(super) number: f64,
    /// The rest, in order.
    pub(super) factors: Vec<ValueId>,
}
