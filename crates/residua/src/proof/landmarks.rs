//! Places where two models can be held against each other, and their alignment.
//!
//! A unit is an operator that does work (convolution, matrix product, pool, addition, …) with the norm and the
//! activation that follow it; a landmark is what a unit gives. Since folding a batch norm changes what is inside a
//! unit and not what it gives, landmarks of a folded and an unfolded model correspond. Units are ordered by how many
//! units lie before them on the longest path, so the order in which branches were written plays no part; names play
//! none either.

use residua_ir::{Checked, Graph, NodeId, Op, ValueId};

/// More units than this are not aligned: alignment takes time and memory proportional to the product of both numbers.
const MAX_UNITS: usize = 4096;

/// What a unit gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landmark {
    /// The value.
    pub value: ValueId,
    /// The operator that does the unit's work.
    pub anchor: NodeId,
    /// Units on the longest path up to here.
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

/// What an operator is for the purpose of units.
enum Part {
    /// Does work of its own.
    Anchor(&'static str),
    /// Belongs to the unit before it.
    Follower,
    /// Only moves elements.
    Mover,
}

fn part(graph: &Graph, id: NodeId) -> Part {
    let node = graph.node(id);
    match &node.op {
        Op::Conv(_) | Op::ConvTranspose(_) => Part::Anchor("conv"),
        Op::Linear | Op::MatMul => Part::Anchor("linear"),
        Op::MaxPool(_) => Part::Anchor("max pool"),
        Op::LpPool(_) => Part::Anchor("power pool"),
        Op::AvgPool(_) => Part::Anchor("average pool"),
        Op::GlobalPool(_) | Op::Reduce(_) | Op::ArgExtremum(_) | Op::TopK(_) => Part::Anchor("reduction"),
        Op::Resize(_) => Part::Anchor("resize"),
        Op::Concat { .. } => Part::Anchor("concat"),
        Op::Softmax { .. } | Op::LogSoftmax { .. } | Op::Hardmax { .. } => Part::Anchor("softmax"),
        Op::Opaque(_) => Part::Anchor("opaque"),
        // With a constant it is part of a norm or a bias that was written out.
        Op::Elementwise(_) if node.inputs.iter().filter(|&&x| graph.as_parameter(x).is_none()).count() < 2 => {
            Part::Follower
        }
        Op::Elementwise(op) => Part::Anchor(op.name()),
        Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::Lrn(_)
        | Op::Activation(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::PRelu
        | Op::Identity(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::Cast { .. } => Part::Follower,
        Op::Pad(_)
        | Op::PadAxes(_)
        | Op::Where
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::DynamicRange(_)
        | Op::Slice { .. } => Part::Mover,
    }
}

/// The landmarks of a model whose sizes are all known, by depth.
pub(super) fn landmarks(model: &Checked) -> Vec<Landmark> {
    let graph = model.graph();
    let consumers = graph.consumers();
    let mut depth = vec![0usize; graph.values().len()];
    let mut found = Vec::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        let before = node.inputs.iter().map(|input| depth[input.index()]).max().unwrap_or(0);
        let part = part(graph, id);
        let here = before + usize::from(matches!(part, Part::Anchor(_)));
        for output in &node.outputs {
            depth[output.index()] = here;
        }
        let Part::Anchor(op) = part else { continue };
        // To the end of the unit: as long as one follower reads the value and nothing else does.
        let mut value = node.output();
        while let [next] = consumers[value.index()][..]
            && matches!(self::part(graph, next), Part::Follower)
            && !graph.outputs().contains(&value)
        {
            value = graph.node(next).output();
        }
        let Some(shape) = model.shape_of(value).and_then(|shape| shape.as_fixed()) else { continue };
        let mut sizes: Vec<usize> = shape.into_iter().skip(1).filter(|&size| size != 1).collect();
        sizes.sort_unstable();
        let taps = match node.op {
            Op::Conv(_) => node.inputs.get(1).and_then(|&kernel| model.shape_of(kernel)?.as_fixed()),
            _ => None,
        };
        let taps = taps.map_or_else(Vec::new, |kernel| kernel[2..].to_vec());
        found.push(Landmark { value, anchor: id, depth: here, key: Key { op, sizes, taps } });
    }
    found.sort_by(|a, b| (a.depth, &a.key).cmp(&(b.depth, &b.key)));
    found
}

/// Pairs of landmarks that are the same place in both models: the longest common subsequence of their keys.
pub(super) fn align<'m>(a: &'m [Landmark], b: &'m [Landmark]) -> Vec<(&'m Landmark, &'m Landmark)> {
    if a.len() > MAX_UNITS || b.len() > MAX_UNITS {
        return Vec::new();
    }
    let width = b.len() + 1;
    let mut longest = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i].key == b[j].key {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < a.len() && j < b.len() {
        if a[i].key == b[j].key {
            pairs.push((&a[i], &b[j]));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
