//! One graph as it is compared: each value with what it only is under other axes, and hashes of what it is made of.
//!
//! Two hashes a value: `shape` knows operators, element types and sizes, `detail` attributes and samples of tensors, too. They say which
//! operand of one sum belongs to which of another, and nothing else.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::attributes::settled;
use crate::graph::{Graph, Node, ValueId, ValueKind};
use crate::op::{Comparison, Elementwise, Op};
use crate::shape::{Dim, Shape};
use crate::validate::Typed;

/// Hashes of a value by what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct StructuralHash {
    shape: u64,
    detail: u64,
}

impl StructuralHash {
    /// How much speaks for two values being the same.
    pub(super) fn score(self, other: Self) -> u8 {
        u8::from(self.shape == other.shape) + 4 * u8::from(self == other)
    }
}

/// A graph with what is known of its values for comparing it.
pub(super) struct Seen<'g> {
    pub(super) model: &'g Typed,
    /// For each value the one whose elements it has, in row-major order.
    bases: Vec<ValueId>,
    hashes: Vec<StructuralHash>,
    /// The place of each input among all.
    places: HashMap<ValueId, usize>,
}

impl<'g> Seen<'g> {
    pub(super) fn new(model: &'g Typed) -> Self {
        let graph = model.graph();
        let places = graph.inputs().iter().enumerate().map(|(place, &input)| (input, place)).collect();
        let hashes = vec![StructuralHash::default(); graph.values().len()];
        let mut seen = Self { model, bases: graph.value_ids().collect(), hashes, places };
        for node in graph.nodes() {
            if passes_on(model, node) {
                seen.bases[node.output().index()] = seen.bases[node.inputs[0].index()];
            }
        }
        let given = graph.value_ids().filter(|&value| graph.producer(value).is_none());
        let computed = graph.nodes().iter().flat_map(|node| node.outputs.iter().copied());
        for value in given.chain(computed) {
            seen.hashes[value.index()] = seen.look(value);
        }
        seen
    }

    pub(super) fn graph(&self) -> &'g Graph {
        self.model.graph()
    }

    /// The value whose elements a value has, in row-major order; itself, where it has none of another.
    pub(super) fn base(&self, value: ValueId) -> ValueId {
        self.bases[value.index()]
    }

    /// Whether it has the elements of another value under other axes.
    pub(super) fn is_reshaped(&self, value: ValueId) -> bool {
        let base = self.base(value);
        base != value && !same_shape(self.model, value, base)
    }

    /// Which input a value is.
    pub(super) fn place(&self, value: ValueId) -> Option<usize> {
        self.places.get(&value).copied()
    }

    pub(super) fn hashes(&self, value: ValueId) -> StructuralHash {
        self.hashes[value.index()]
    }

    /// A node's operator, with attributes as they come to on its operands.
    pub(super) fn settled(&self, node: &Node) -> Op {
        let shape = |at: usize| node.inputs.get(at).and_then(|&input| self.model.shape_of(input));
        settled(&node.op, shape(0), shape(1))
    }

    fn look(&self, value: ValueId) -> StructuralHash {
        let base = self.base(value);
        if base != value {
            let of_base = self.hashes(base);
            if !self.is_reshaped(value) {
                return of_base;
            }
            let sizes = self.model.shape_of(value).map(sizes);
            return StructuralHash {
                shape: hashed(("reshaped", &sizes, of_base.shape)),
                detail: hashed(("reshaped", &sizes, of_base.detail)),
            };
        }
        let graph = self.graph();
        match &graph.value(value).kind {
            ValueKind::Input(_) => StructuralHash { shape: hashed(("input", self.place(value))), detail: 0 },
            ValueKind::Parameter(id) => {
                let tensor = &graph.parameter(*id).tensor;
                let shape = hashed(("tensor", tensor.dtype(), tensor.shape()));
                StructuralHash { shape, detail: hashed((shape, tensor.fingerprint())) }
            }
            ValueKind::Computed { node, index } => {
                let node = graph.node(*node);
                let mut operands: Vec<StructuralHash> = node.inputs.iter().map(|&input| self.hashes(input)).collect();
                if commutes(&node.op)
                    && let Some(first) = operands.first_chunk_mut::<2>()
                {
                    first.sort_unstable_by_key(|operand| (operand.shape, operand.detail));
                }
                let shapes: Vec<u64> = operands.iter().map(|operand| operand.shape).collect();
                let mut attributes = String::new();
                // Writing into memory does not fail.
                let _ = write!(attributes, "{:?}", self.settled(node));
                StructuralHash {
                    shape: hashed((node.op.name(), index, &shapes)),
                    detail: hashed((attributes, index, &operands)),
                }
            }
        }
    }
}

fn hashed(what: impl Hash) -> u64 {
    // The same keys in each process.
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Sizes that are known; names of others play no part.
fn sizes(shape: &Shape) -> Vec<Option<usize>> {
    shape.dims().iter().map(Dim::fixed).collect()
}

fn same_shape(model: &Typed, x: ValueId, y: ValueId) -> bool {
    let (Some(x), Some(y)) = (model.shape_of(x), model.shape_of(y)) else { return false };
    x.rank() == y.rank() && x.dims().iter().zip(y.dims()).all(|(x, y)| x.is_equal(y))
}

/// Whether a node gives the elements of its first operand as they are, under axes whose sizes are known or follow from free ones.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to pass elements on is compared as it is")]
fn passes_on(model: &Typed, node: &Node) -> bool {
    let (&[x, ..], &[y]) = (&node.inputs[..], &node.outputs[..]) else { return false };
    let known = || model.shape_of(y).is_some_and(|shape| !shape.dims().contains(&Dim::Unknown));
    match &node.op {
        Op::Identity(_) => true,
        Op::Cast { dtype } => model.type_of(x).is_some_and(|ty| ty.dtype == *dtype),
        Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => known(),
        _ => false,
    }
}

/// Whether the first two operands may be exchanged without changing a bit of the result.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to commute is compared in its order")]
pub(super) fn commutes(op: &Op) -> bool {
    match op {
        Op::Elementwise(op) => match op {
            Elementwise::Add | Elementwise::Mul | Elementwise::And | Elementwise::Or | Elementwise::Xor => true,
            // The mean of two is their sum divided.
            Elementwise::Mean => true,
            Elementwise::Sub
            | Elementwise::Div
            | Elementwise::Max
            | Elementwise::Min
            | Elementwise::Pow
            | Elementwise::Mod
            | Elementwise::Rem => false,
        },
        Op::Compare(Comparison::Equal) => true,
        _ => false,
    }
}
