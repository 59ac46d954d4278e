//! Places where two models can be held against each other, and their alignment.
//!
//! A fused layer is an operator that does work (convolution, matrix product, pool, addition, …) with the norm and the
//! activation that follow it; a landmark is what a fused layer gives. Since folding a batch norm changes what is inside a
//! fused layer and not what it gives, landmarks of a folded and an unfolded model correspond. A norm or activation of what
//! several read is a fused layer of its own, for nothing can be folded over it.
//!
//! Fused layers are aligned by their place in the residual network; what has none by operator, sizes, and how many fused layers lie
//! before it on the longest path, so the order in which branches were written plays no part. Names play none either.

use std::collections::{BTreeMap, HashMap};

use residua_ir::op::description;
use residua_ir::{Checked, Graph, NodeId, Op, ValueId};
use residua_resnet::slot::Position;

/// More fused layers than this are not aligned: alignment takes time and memory proportional to the product of both numbers.
const MAX_UNITS: usize = 4096;

/// What a fused layer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landmark {
    /// The value.
    pub value: ValueId,
    /// The operator that does the fused layer's work.
    pub anchor: NodeId,
    /// The node whose layer the fused layer is called after: the anchor, or where a norm is written out the last of its steps.
    pub named: NodeId,
    /// Norms, activations and the like behind it, in order.
    pub followers: Vec<NodeId>,
    /// Where in a residual network it is.
    pub place: Option<Position>,
    /// Fused layers on the longest path up to here.
    depth: usize,
    /// What must be the same in both models for two landmarks to be the same place.
    key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    op: &'static str,
    /// Sizes without the batch, ascending, so that axis order plays no part.
    sizes: Vec<usize>,
    /// Spatial taps of a kernel.
    taps: Vec<usize>,
}

/// What an operator is for the purpose of fused layers.
enum Part {
    /// Does work of its own.
    Anchor(&'static str),
    /// Belongs to the fused layer before it.
    Follower,
    /// Only moves elements.
    Mover,
}

/// Whether each value follows from tensors alone.
fn constants(graph: &Graph) -> Vec<bool> {
    let mut constant: Vec<bool> = graph.value_ids().map(|id| graph.as_parameter(id).is_some()).collect();
    for node in graph.nodes() {
        let is_constant = !node.inputs.is_empty() && node.inputs.iter().all(|input| constant[input.index()]);
        for output in &node.outputs {
            constant[output.index()] = is_constant;
        }
    }
    constant
}

fn part(graph: &Graph, constant: &[bool], id: NodeId) -> Part {
    let node = graph.node(id);
    match node.op.describe().landmark {
        description::Landmark::Work(word) => Part::Anchor(word),
        // With a constant it is part of a norm or a bias that was written out.
        description::Landmark::Arithmetic(_) if node.inputs.iter().filter(|x| !constant[x.index()]).count() < 2 => {
            Part::Follower
        }
        description::Landmark::Arithmetic(word) => Part::Anchor(word),
        description::Landmark::Follower => Part::Follower,
        description::Landmark::Mover => Part::Mover,
    }
}

/// The landmarks of a model whose sizes are all known, by depth; `places` of its nodes in a residual network.
pub(super) fn landmarks(model: &Checked, places: &[(NodeId, Position)]) -> Vec<Landmark> {
    let graph = model.graph();
    let places: HashMap<NodeId, Position> = places.iter().copied().collect();
    let consumers = graph.consumers();
    let constant = constants(graph);
    let follows = |id: NodeId| matches!(part(graph, &constant, id), Part::Follower);
    // The one follower of a value that nothing else reads.
    let next = |value: ValueId| match consumers[value.index()][..] {
        [next] if follows(next) && !graph.is_output(value) => Some(next),
        _ => None,
    };
    let mut depth = vec![0usize; graph.values().len()];
    let mut taken = vec![false; graph.nodes().len()];
    let mut found = Vec::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        // What follows from tensors alone is one more of them.
        if node.outputs.iter().all(|output| constant[output.index()]) {
            continue;
        }
        let fed = || node.inputs.iter().any(|x| !constant[x.index()] && graph.producer(*x).is_some());
        let before = node.inputs.iter().map(|input| depth[input.index()]).max().unwrap_or(0);
        let anchor = match part(graph, &constant, id) {
            Part::Anchor(op) => Some(op),
            Part::Follower if !taken[id.index()] && fed() => Some("norm"),
            Part::Follower | Part::Mover => None,
        };
        let here = before + usize::from(anchor.is_some());
        for output in &node.outputs {
            depth[output.index()] = here;
        }
        let Some(op) = anchor else { continue };
        let (mut value, mut followers) = (node.output(), Vec::new());
        while let Some(next) = next(value) {
            taken[next.index()] = true;
            followers.push(next);
            value = graph.node(next).output();
        }
        let Some(shape) = model.shape_of(value).and_then(|shape| shape.as_fixed()) else { continue };
        let mut sizes: Vec<usize> = shape.into_iter().skip(1).filter(|&size| size != 1).collect();
        sizes.sort_unstable();
        let taps = match node.op {
            Op::Conv(_) => node.inputs.get(1).and_then(|&kernel| model.shape_of(kernel)?.as_fixed()),
            _ => None,
        };
        let taps = taps.map_or_else(Vec::new, |kernel| kernel.get(2..).unwrap_or_default().to_vec());
        let place = places.get(&id).copied();
        let written_out = |id: &NodeId| matches!(graph.node(*id).op, Op::Elementwise(_));
        let last = followers.iter().copied().take_while(written_out).last();
        let named = last.filter(|_| op == "norm" && written_out(&id)).unwrap_or(id);
        found.push(Landmark { value, anchor: id, named, followers, place, depth: here, key: Key { op, sizes, taps } });
    }
    found.sort_by(|a, b| (a.depth, &a.key).cmp(&(b.depth, &b.key)));
    found
}

/// Pairs of landmarks that are the same place in both models, in the order of the first.
pub(super) fn align(a: &[Landmark], b: &[Landmark]) -> Vec<(usize, usize)> {
    let (blocks_a, blocks_b) = (blocks(a), blocks(b));
    // Where a stage of one has more blocks, numbers do not say which is which.
    let counts = |place: &Position| match place {
        Position::Block { stage, .. } => blocks_a.get(stage) == blocks_b.get(stage),
        _ => true,
    };
    let place = |mark: &Landmark| mark.place.filter(counts);
    let places: BTreeMap<Position, usize> =
        b.iter().enumerate().filter_map(|(at, mark)| Some((place(mark)?, at))).collect();
    let mut pairs: Vec<(usize, usize)> =
        a.iter().enumerate().filter_map(|(at, mark)| Some((at, *places.get(&place(mark)?)?))).collect();
    let rest = |marks: &[Landmark], paired: Vec<usize>| -> Vec<usize> {
        (0..marks.len()).filter(|at| paired.binary_search(at).is_err()).collect()
    };
    let mut of_b: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
    of_b.sort_unstable();
    let (rest_a, rest_b) = (rest(a, pairs.iter().map(|pair| pair.0).collect()), rest(b, of_b));
    pairs.extend(common(a, b, &rest_a, &rest_b));
    pairs.sort_unstable();
    pairs
}

/// How many blocks each stage has.
fn blocks(marks: &[Landmark]) -> BTreeMap<usize, usize> {
    let mut blocks = BTreeMap::new();
    for mark in marks {
        if let Some(Position::Block { stage, block, .. }) = mark.place {
            let count = blocks.entry(stage).or_default();
            *count = (block + 1).max(*count);
        }
    }
    blocks
}

/// The longest common subsequence of the keys of these landmarks.
fn common(marks_a: &[Landmark], marks_b: &[Landmark], a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
    if a.len() > MAX_UNITS || b.len() > MAX_UNITS {
        return Vec::new();
    }
    let same = |i: usize, j: usize| marks_a[a[i]].key == marks_b[b[j]].key;
    let width = b.len() + 1;
    let mut longest = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if same(i, j) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < a.len() && j < b.len() {
        if same(i, j) {
            pairs.push((a[i], b[j]));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
