//! Values that follow from tensors alone, as tensors.
//!
//! Networks that standardise their kernels, or scale them, have that written out by exporters: reductions, differences and
//! products of weights. Where elements only move, the tensor is seen otherwise; what is computed is computed when it is
//! read, by whoever can run a graph. Restored integers stay what they are: how a quantised network stores its weights
//! is part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::RewriteError;
use super::edit::Edits;
use super::passes::{Applied, Change, Pass, Rewritten};
use crate::budget::{self, Limit, Meter};
use crate::cost;
use crate::graph::{Graph, GraphBuilder, Node, NodeId, Parameter, Role, ValueId, ValueKind};
use crate::op::Op;
use crate::op::description::Class;
use crate::shape::TensorType;
use crate::tensor::{Endian, LazyBytes, Tensor, TensorError, element_count};
use crate::validate::{Checked, Typed, validate};

/// Nodes that one tensor may be computed by; a standardised kernel takes about ten.
const NODES: usize = 128;

/// Of the arithmetic of a run, one part in so many may go into what is computed when tensors are read: some are read several times.
const SHARE: u64 = 32;

/// What gives the elements of the only output of a graph without inputs, row-major and in its type.
pub type Lazily<'a> = &'a (dyn Fn(Checked) -> Arc<dyn LazyBytes> + Sync);

/// Puts a tensor in the place of each value that follows from tensors alone and that something else reads.
pub struct FoldConstants<'a>(pub Lazily<'a>);

impl Pass for FoldConstants<'_> {
    fn name(&self) -> &'static str {
        "constants"
    }

    fn what(&self) -> &'static str {
        "made tensors of what follows from tensors alone"
    }

    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
        let known = Known::of(model);
        let mut edits = Edits::new(model);
        let mut nodes = Vec::new();
        for &id in &known.wanted {
            if let Some(parameter) = known.folded(id, self.0) {
                edits.replace(id, parameter.into());
                nodes.push(model.graph().node(id).name.raw().to_owned());
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let (graph, origin) = edits.apply()?;
        // In f64 a tensor that is computed when it is read is what the nodes gave.
        let applied = Applied { pass: self.name(), what: self.what(), change: Change::Nothing, nodes };
        Ok(Some(Rewritten { graph, origin, applied }))
    }
}

/// The graph that [`FoldConstants`] makes; none where there is nothing to fold.
///
/// # Errors
/// [`RewriteError`] where the result is too large.
pub fn fold_constants(model: &Typed, lazily: Lazily<'_>) -> Result<Option<Graph>, RewriteError> {
    Ok(FoldConstants(lazily).run(model)?.map(|rewritten| rewritten.graph))
}

/// The nodes that [`fold_constants`] computes rather than sees otherwise: their results are then rounded to their own type.
#[must_use]
pub fn computed_constants(model: &Typed) -> Vec<NodeId> {
    let known = Known::of(model);
    let is_computed = |id: &NodeId| seen(model.graph(), &known.needed(*id)).is_none();
    known.wanted.iter().copied().filter(is_computed).collect()
}

/// Nodes that depend on tensors alone.
struct Known<'m> {
    model: &'m Typed,
    /// For each of them, how many nodes its result takes.
    nodes: BTreeMap<NodeId, usize>,
    /// Those whose result something else reads.
    wanted: BTreeSet<NodeId>,
    /// Bytes that results have beyond those of what they are computed from.
    grown: Meter,
    /// Multiply-adds that may still be done.
    left: u64,
}

impl<'m> Known<'m> {
    fn of(model: &'m Typed) -> Self {
        let graph = model.graph();
        let stored = graph.parameters().iter().fold(0u64, |sum, p| sum.saturating_add(p.tensor.stored_len()));
        let mut known = Self {
            model,
            nodes: BTreeMap::new(),
            wanted: BTreeSet::new(),
            grown: Meter::new(Limit::DecodedBytes),
            left: budget::arithmetic(stored) / SHARE,
        };
        for id in graph.node_ids() {
            if let Some(takes) = known.takes(graph.node(id)) {
                known.nodes.insert(id, takes);
            }
        }
        let others = graph.node_ids().filter(|id| !known.nodes.contains_key(id));
        let read = others.flat_map(|id| &graph.node(id).inputs).chain(graph.outputs());
        let wanted =
            read.filter_map(|&value| graph.producer(value)).filter(|id| known.nodes.contains_key(id)).collect();
        Self { wanted, ..known }
    }

    /// How many nodes the result of a node takes, where it follows from tensors alone and is worth having.
    fn takes(&mut self, node: &Node) -> Option<usize> {
        let graph = self.model.graph();
        let [output] = node.outputs[..] else { return None };
        if !can_be_folded(&node.op) {
            return None;
        }
        let mut takes = 1usize;
        for &input in &node.inputs {
            takes += match graph.value(input).kind {
                ValueKind::Parameter(_) => 0,
                ValueKind::Computed { node, .. } => *self.nodes.get(&node)?,
                ValueKind::Input(_) => return None,
            };
        }
        if takes > NODES {
            return None;
        }
        let result = self.model.type_of(output)?;
        let operands: Option<Vec<&TensorType>> = node.inputs.iter().map(|&id| self.model.type_of(id)).collect();
        let operands = operands?;
        let largest = operands.iter().filter_map(|ty| bytes(ty)).max().unwrap_or(0);
        self.left = self.left.checked_sub(cost::macs(&node.op, &operands, result)?)?;
        self.grown.take_here(bytes(result)?.saturating_sub(largest)).ok()?;
        Some(takes)
    }

    /// The tensor in the place of a node.
    fn folded(&self, id: NodeId, lazily: Lazily<'_>) -> Option<Parameter> {
        let graph = self.model.graph();
        let node = graph.node(id);
        let nodes = self.needed(id);
        let leaves = leaves(graph, &nodes);
        let tensor = match seen(graph, &nodes) {
            Some(view) => view,
            None => self.computed(id, &nodes, &leaves, lazily).ok()??,
        };
        // Numbers of the graph's own text say nothing of where a weight is from.
        let weights: Vec<&&Parameter> = leaves.iter().filter(|leaf| leaf.role != Role::Literal).collect();
        let role = match weights.first() {
            None => Role::Literal,
            Some(first) if weights.iter().all(|leaf| leaf.role == first.role) => first.role,
            Some(_) => Role::Weight,
        };
        let from: Vec<&str> = weights.iter().map(|leaf| leaf.location.raw()).collect();
        let name = graph.value(node.output()).name.clone();
        Some(Parameter { name, location: from.join(" + ").into(), role, layer: node.layer, tensor })
    }

    /// The nodes that the result of a node takes, in order.
    fn needed(&self, last: NodeId) -> Vec<NodeId> {
        let graph = self.model.graph();
        let mut needed = BTreeSet::from([last]);
        let mut open = vec![last];
        while let Some(id) = open.pop() {
            for before in graph.node(id).inputs.iter().filter_map(|&input| graph.producer(input)) {
                if needed.insert(before) {
                    open.push(before);
                }
            }
        }
        needed.into_iter().collect()
    }

    /// The nodes as a graph of their own, run when elements are asked for.
    fn computed(
        &self,
        last: NodeId,
        nodes: &[NodeId],
        leaves: &[&Parameter],
        lazily: Lazily<'_>,
    ) -> Result<Option<Tensor>, TensorError> {
        let graph = self.model.graph();
        let output = graph.node(last).output();
        let Some(ty) = self.model.type_of(output) else { return Ok(None) };
        let Some(shape) = ty.shape.as_fixed().filter(|_| ty.dtype.is_float()) else { return Ok(None) };
        let Some(part) = part(graph, nodes, output) else { return Ok(None) };
        let mut kinds: Vec<&str> = Vec::new();
        for &id in nodes {
            let kind = graph.node(id).op.name();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let of = leaves.iter().filter(|leaf| leaf.role != Role::Literal);
        let of: Vec<String> = of.map(|leaf| leaf.name.to_string()).collect();
        let how = if of.is_empty() { kinds.join(", ") } else { format!("{} of {}", kinds.join(", "), of.join(", ")) };
        Ok(Some(Tensor::from_lazy(ty.dtype, Endian::Little, shape, lazily(part))?.computed(how)))
    }
}

/// Bytes of a value; none where its size is not known.
fn bytes(ty: &TensorType) -> Option<usize> {
    // As they are while they are computed.
    element_count(&ty.shape.as_fixed()?).ok()?.checked_mul(size_of::<f64>())
}

/// The tensors that nodes read, each once.
fn leaves<'g>(graph: &'g Graph, nodes: &[NodeId]) -> Vec<&'g Parameter> {
    let mut seen = BTreeSet::new();
    let inputs = nodes.iter().flat_map(|&id| &graph.node(id).inputs);
    inputs.filter(|&&input| seen.insert(input)).filter_map(|&input| graph.as_parameter(input)).collect()
}

/// The nodes as a graph without inputs.
fn part(graph: &Graph, nodes: &[NodeId], output: ValueId) -> Option<Checked> {
    let mut builder = GraphBuilder::new(graph.value(output).name.clone());
    let mut values: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for &id in nodes {
        let node = graph.node(id);
        let layer = builder.layer(node.name.clone(), node.op.name(), false);
        for &input in &node.inputs {
            if let (Some(parameter), false) = (graph.as_parameter(input), values.contains_key(&input)) {
                values.insert(input, builder.parameter(Parameter { layer, ..parameter.clone() }));
            }
        }
        let inputs: Option<Vec<ValueId>> = node.inputs.iter().map(|input| values.get(input).copied()).collect();
        let new = builder.node(node.name.raw(), node.op.clone(), &inputs?, layer);
        values.insert(node.output(), new);
    }
    builder.output(*values.get(&output)?);
    validate(builder.finish().ok()?).ok()
}

/// The tensor behind nodes that only move elements or round them, seen as they have it.
fn seen(graph: &Graph, nodes: &[NodeId]) -> Option<Tensor> {
    let mut tensor: Option<Tensor> = None;
    for &id in nodes {
        let node = graph.node(id);
        let [input] = node.inputs[..] else { return None };
        let x = match tensor {
            Some(tensor) => tensor,
            None => graph.as_parameter(input)?.tensor.clone(),
        };
        tensor = Some(view(&node.op, &x)?);
    }
    tensor
}

/// What an operator that only moves elements or rounds them makes of a tensor.
fn view(op: &Op, x: &Tensor) -> Option<Tensor> {
    if let Op::Identity(_) = op {
        return Some(x.clone());
    }
    if let Op::Transpose { perm } = op {
        return x.permute(perm).ok();
    }
    if let Op::Cast { dtype } = op {
        return (dtype.is_float() && x.dtype().is_float()).then(|| x.cast(*dtype));
    }
    let mut shape = x.shape().to_vec();
    if let Op::Flatten { axis } = op {
        let (before, behind) = shape.split_at_checked(*axis)?;
        shape = vec![before.iter().product(), behind.iter().product()];
    } else if let Op::Squeeze { axes } = op {
        let kept = x.shape().iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        shape = kept.map(|(_, &size)| size).collect();
    } else if let Op::Unsqueeze { axes } = op {
        axes.iter().for_each(|&axis| shape.insert(axis.min(shape.len()), 1));
    } else {
        return None;
    }
    x.reshape(&shape).ok()
}

/// Whether a node of tensors alone becomes a tensor.
fn can_be_folded(op: &Op) -> bool {
    match op.describe().class {
        // How a quantised network stores its weights is part of it; sizes are found where they are asked for.
        Class::Unknown | Class::Quantisation | Class::Dequantisation | Class::DynamicRange | Class::Sizes => false,
        Class::Convolution { .. }
        | Class::TransposedConvolution { .. }
        | Class::Dense
        | Class::MatrixProduct
        | Class::Norm(_)
        | Class::Activation
        | Class::Arithmetic(_)
        | Class::Logic
        | Class::Pool
        | Class::GlobalPool(_)
        | Class::Reduction(_)
        | Class::Ranking
        | Class::Scan
        | Class::Padding
        | Class::Resampling
        | Class::Concatenation
        | Class::Reshape
        | Class::Slice
        | Class::Gather
        | Class::Repetition
        | Class::Softmax
        | Class::Identity
        | Class::Cast => true,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{DType, Elementwise, PoolKind, Reduce, Shape};

    /// Claims to compute; the elements do not matter here.
    struct Nothing;

    impl LazyBytes for Nothing {
        fn load(&self) -> Result<Bytes, TensorError> {
            Ok(Bytes::new())
        }
    }

    fn fold(g: GraphBuilder) -> Option<Graph> {
        fold_constants(&Typed::new(g.finish().unwrap()), &|_| Arc::new(Nothing)).unwrap()
    }

    fn mean() -> Op {
        Op::Reduce(Reduce { kind: PoolKind::Mean, axes: vec![1], keep_dims: true })
    }

    #[test]
    fn what_follows_from_tensors_alone_is_a_tensor_that_says_from_which() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[3]));
        let w = g.weight("w", Tensor::from_f32(vec![2, 3], &[0.0; 6]).unwrap());
        let mean = g.add("mean", mean(), &[w]);
        let centred = g.add("centred", Op::Elementwise(Elementwise::Sub), &[w, mean]);
        let y = g.add("y", Op::Linear, &[x, centred]);
        g.output(y);
        let folded = fold(g).unwrap();
        assert_eq!(folded.nodes().len(), 1);
        let parameter = folded.as_parameter(folded.nodes()[0].inputs[1]).unwrap();
        assert_eq!((parameter.name.raw(), parameter.location.raw()), ("centred", "w"));
        assert_eq!((parameter.role, parameter.tensor.shape()), (Role::Weight, &[2, 3][..]));
        assert_eq!(parameter.tensor.transforms()[0].to_string(), "computed(ReduceMean, Sub of w)");
    }

    #[test]
    fn elements_that_move_are_a_view_and_a_graph_without_constants_is_left_alone() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[3]));
        let w = g.weight("w", Tensor::from_f32(vec![3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap());
        let turned = g.add("turned", Op::Transpose { perm: vec![1, 0] }, &[w]);
        let half = g.add("half", Op::Cast { dtype: DType::F16 }, &[turned]);
        let y = g.add("y", Op::Linear, &[x, half]);
        g.output(y);
        let folded = fold(g).unwrap();
        let tensor = &folded.as_parameter(folded.nodes()[0].inputs[1]).unwrap().tensor;
        assert_eq!((tensor.dtype(), tensor.to_f32().unwrap()), (DType::F16, vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0]));
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[3]));
        let y = g.add("y", mean(), &[x]);
        g.output(y);
        assert!(fold(g).is_none());
    }

    #[test]
    fn a_chain_that_is_too_long_is_cut_where_it_is_and_what_is_too_large_stays() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[1]));
        let mut w = g.weight("w", Tensor::from_f32(vec![1], &[1.0]).unwrap());
        for step in 0..2 * NODES {
            w = g.add(&format!("step{step}"), Op::Elementwise(Elementwise::Mul), &[w, w]);
        }
        let y = g.add("y", Op::Elementwise(Elementwise::Add), &[x, w]);
        g.output(y);
        // Each step reads the one before twice, so a tensor takes what double the one before takes.
        let folded = fold(g).unwrap();
        assert!(folded.nodes().len() > NODES && folded.nodes().len() < 2 * NODES, "{}", folded.nodes().len());
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[1]));
        let w = g.weight("w", Tensor::from_f32(vec![1, 1], &[1.0]).unwrap());
        let shape = [1 << 20, 1 << 20].map(crate::Extent::from).to_vec();
        let huge = g.add("huge", Op::Expand { shape }, &[w]);
        let y = g.add("y", Op::Elementwise(Elementwise::Add), &[x, huge]);
        g.output(y);
        assert!(fold(g).is_none());
    }
}
