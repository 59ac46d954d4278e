//! In which type the source computes, where that is narrower than f32.
//!
//! Executors here compute in f32 or f64 whatever a model says. Its own framework may round after every operation: Keras under
//! a policy of mixed precision, PyTorch once a module is halved, ONNX wherever values are of f16.
//!
//! What is looked at: for ONNX the types of values, for Keras the policies of layers, for all else the types of weights. Not
//! looked at: what a framework does in spite of all (TF32, automatic casts around a model).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::Op;
use crate::tensor::DType;
use crate::validate::Typed;

/// What is computed in one narrow type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComputesIn {
    /// The type.
    pub dtype: DType,
    /// Layers that are computed in it.
    pub layers: usize,
    /// Layers that compute anything.
    pub of: usize,
    /// How that is known.
    pub by: KnownBy,
}

/// How it is known in which type a source computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// The types of the model's values.
    Values,
    /// The policies of its layers.
    Policy,
    /// The type of its weights: it is so where they are loaded as they are.
    Weights,
}

/// Whether a type has fewer digits than f32.
fn narrow(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// How it is known of this graph.
fn known_by(graph: &Graph) -> KnownBy {
    if graph.source().onnx.is_some() {
        KnownBy::Values
    } else if graph.source().computes.is_empty() {
        KnownBy::Weights
    } else {
        KnownBy::Policy
    }
}

/// For each node the type that the source computes it in, where that is narrower than f32.
#[must_use]
pub fn narrow_nodes(model: &Typed) -> Vec<Option<DType>> {
    let graph = model.graph();
    let by = known_by(graph);
    let mut found: Vec<Option<DType>> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let dtype = match by {
            KnownBy::Values => given(model, node),
            KnownBy::Policy => match graph.source().computes.get(graph.layer(node.layer).name.raw()) {
                Some(&dtype) => Some(dtype).filter(|&dtype| narrow(dtype)),
                // An operation has no policy of its own, and computes in the type of what it is given.
                None => before(graph, &found, node),
            },
            KnownBy::Weights => match weights(graph, node) {
                Some(dtype) => Some(dtype).filter(|&dtype| narrow(dtype)),
                None => before(graph, &found, node),
            },
        };
        found.push(dtype.filter(|_| !matches!(node.op, Op::Opaque(_))));
    }
    found
}

/// The narrow type of what a node gives.
fn given(model: &Typed, node: &Node) -> Option<DType> {
    node.outputs.iter().filter_map(|&id| model.type_of(id)).map(|ty| ty.dtype).find(|&dtype| narrow(dtype))
}

/// The type of a node's real weights.
fn weights(graph: &Graph, node: &Node) -> Option<DType> {
    let tensors = node.inputs.iter().filter_map(|&id| graph.as_parameter(id)).filter(|p| p.role.is_of_source());
    let mut reals = tensors.map(|parameter| parameter.tensor.dtype()).filter(|dtype| dtype.is_float());
    let first = reals.next()?;
    // Of several the widest: a product of f16 and f32 is one of f32.
    Some(if narrow(first) { reals.find(|&dtype| !narrow(dtype)).unwrap_or(first) } else { first })
}

/// The narrow type of all that a node is given that was computed.
fn before(graph: &Graph, found: &[Option<DType>], node: &Node) -> Option<DType> {
    let mut producers = node.read().iter().filter_map(|&id: &ValueId| graph.producer(id));
    let first = found[producers.next()?.index()]?;
    producers.all(|node: NodeId| found[node.index()] == Some(first)).then_some(first)
}

/// What the source computes in narrow types, the widest share first; nothing where it computes in f32 or f64.
#[must_use]
pub fn computes_in(model: &Typed) -> Vec<ComputesIn> {
    let graph = model.graph();
    let by = known_by(graph);
    let nodes = narrow_nodes(model);
    let mut layers: BTreeMap<usize, Option<DType>> = BTreeMap::new();
    // A cast rounds, and computes nothing.
    let computing = graph.nodes().iter().zip(nodes).filter(|(node, _)| !matches!(node.op, Op::Cast { .. }));
    for (node, dtype) in computing {
        let of_layer = layers.entry(node.layer.index()).or_default();
        *of_layer = of_layer.or(dtype);
    }
    let count = |dtype: DType| layers.values().filter(|&&found| found == Some(dtype)).count();
    let mut found: Vec<ComputesIn> = [DType::F16, DType::BF16]
        .into_iter()
        .map(|dtype| ComputesIn { dtype, layers: count(dtype), of: layers.len(), by })
        .filter(|found| found.layers > 0)
        .collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.layers));
    found
}

impl Typed {
    /// Element type of a value as the source model shows it: that of the graph, or the narrower one that the policy of its
    /// layer says. `None` where it is not known.
    #[must_use]
    pub fn source_dtype_of(&self, value: ValueId) -> Option<DType> {
        let dtype = self.type_of(value)?.dtype;
        let node =
            self.graph().producer(value).filter(|_| dtype.is_float() && known_by(self.graph()) == KnownBy::Policy);
        Some(node.and_then(|node| narrow_nodes(self)[node.index()]).unwrap_or(dtype))
    }
}
