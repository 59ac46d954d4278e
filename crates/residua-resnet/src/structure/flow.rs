//! How data flows through a graph: what each node is to a convolutional network, what is live, what is constant, and
//! which values every path to a value passes through.
//!
//! Invariant: `above` is the immediate dominator of each value, with the graph's inputs as roots of one forest; nodes
//! are in topological order, so one pass finds it. Names play no part here.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use residua_ir::budget::{Limit, Overrun};
use residua_ir::op::description::{Class, Flow as DataFlow, Statistics};
use residua_ir::{Elementwise, Graph, Node, NodeId, Op, PoolKind, Role, Typed, ValueId};

use super::parts::Step;

/// Taps and channels of the largest filter that is looked for.
const MOST_TAPS: usize = 49;
const MOST_CHANNELS: usize = 8192;

/// A graph with what is known about its paths.
pub(crate) struct Flow<'a> {
    pub(crate) model: &'a Typed,
    pub(crate) graph: &'a Graph,
    consumers: Vec<Vec<NodeId>>,
    constant: Vec<bool>,
    live: Vec<bool>,
    /// Nodes that are fixed filters.
    filters: Vec<bool>,
    above: Vec<Option<ValueId>>,
    jump: Vec<Option<ValueId>>,
    depth: Vec<u32>,
    convs: Vec<u32>,
    /// Axis of the channels: 1, but where a model permutes images.
    axis: Vec<usize>,
    channels: Vec<Option<usize>>,
    /// Whether the grouped norms are instance norms.
    instance_norms: bool,
    /// The node that gives each value, with those that do nothing left out.
    givers: Vec<Option<NodeId>>,
    /// What each node is.
    steps: Vec<Step>,
    /// The first limit that a search met.
    given_up: OnceLock<Overrun>,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(model: &'a Typed) -> Self {
        let graph = model.graph();
        let count = graph.values().len();
        let mut flow = Self {
            model,
            graph,
            consumers: graph.consumers(),
            constant: vec![false; count],
            live: live_nodes(graph),
            filters: graph.nodes().iter().map(|node| is_filter(graph, node)).collect(),
            above: vec![None; count],
            jump: vec![None; count],
            depth: vec![0; count],
            convs: vec![0; count],
            axis: vec![1; count],
            channels: vec![None; count],
            instance_norms: false,
            givers: vec![None; count],
            steps: vec![Step::Other; graph.nodes().len()],
            given_up: OnceLock::new(),
        };
        for value in graph.value_ids() {
            flow.constant[value.index()] = graph.as_parameter(value).is_some();
            flow.channels[value.index()] = flow.size(value, 1);
        }
        for node in graph.node_ids() {
            flow.visit(node);
        }
        flow.instance_norms = flow.has_instance_norms();
        flow
    }

    /// Whether each grouped norm has as many groups as channels, and their number follows that of the channels. A number of
    /// groups that is the same everywhere is a setting of group norms, which equals the channels of thin networks by chance.
    fn has_instance_norms(&self) -> bool {
        let mut numbers = BTreeSet::new();
        for node in self.graph.node_ids() {
            let Op::GroupNorm(norm) = self.graph.node(node).op else { continue };
            if self.operand(node).and_then(|x| self.channels(x)) != Some(norm.groups) {
                return false;
            }
            numbers.insert(norm.groups);
        }
        numbers.len() > 1
    }

    /// Whether what the network has of grouped norms are instance norms.
    pub(crate) fn instance_norms(&self) -> bool {
        self.instance_norms
    }

    /// Whether a search may go on that came to so many nodes; where it may not, that is remembered.
    pub(super) fn may_go_on(&self, limit: Limit, found: usize) -> bool {
        limit.check_here(found).map_err(|overrun| self.given_up.get_or_init(|| overrun)).is_ok()
    }

    /// The limit at which the first search ended that found nothing for it.
    pub(super) fn given_up(&self) -> Option<Overrun> {
        self.given_up.get().copied()
    }

    fn visit(&mut self, node: NodeId) {
        let operands = self.operands(node);
        // What a node is follows from what stands before it.
        let step = self.kind(node, operands.len());
        self.steps[node.index()] = step;
        // A scale that is found when it is run is no path, though it depends on the input.
        let constant = operands.is_empty() || self.graph.node(node).op.describe().class == Class::DynamicRange;
        let first = operands.first().map_or(1, |value| self.axis[value.index()]);
        let axis = self.channel_axis(node, first);
        let longest = operands.iter().map(|value| self.convs[value.index()]).max().unwrap_or(0);
        let above = operands.into_iter().map(Some).reduce(|a, b| self.nearest_common(a?, b?)).flatten();
        for &output in &self.graph.node(node).outputs {
            let at = output.index();
            self.constant[at] = constant;
            self.above[at] = above;
            self.axis[at] = axis;
            self.channels[at] = self.size(output, axis).or_else(|| self.channels_behind(node));
            self.convs[at] = longest + u32::from(step == Step::Conv);
            if let Some(above) = above.map(ValueId::index) {
                self.depth[at] = self.depth[above] + 1;
                // Jump pointers: each skips so far that the way to the root is logarithmic.
                let far = self.jump[above];
                let farther = far.and_then(|far| self.jump[far.index()]);
                let depth = |v: Option<ValueId>| v.map_or(0, |v| self.depth[v.index()]);
                let even = far.is_some() && self.depth[above] - depth(far) == depth(far) - depth(farther);
                self.jump[at] = if even && farther.is_some() { farther } else { self.above[at] };
            }
        }
        let giver =
            if step == Step::Pass { self.operand(node).and_then(|x| self.givers[x.index()]) } else { Some(node) };
        for output in &self.graph.node(node).outputs {
            self.givers[output.index()] = giver;
        }
    }

    /// Axis of the channels of what a node gives, from that of its first operand.
    fn channel_axis(&self, node: NodeId, before: usize) -> usize {
        let described = self.graph.node(node).op.describe();
        match described.flow {
            DataFlow::Transposed(perm) => perm.iter().position(|&axis| axis == before).unwrap_or(1),
            DataFlow::Flattened { .. } | DataFlow::Reshaped(_) | DataFlow::MatrixProduct => 1,
            DataFlow::Window(_) | DataFlow::Along(_) => {
                let multiplies = matches!(described.class, Class::Convolution { .. } | Class::Dense);
                if multiplies { 1 } else { before }
            }
            DataFlow::SamePlace
            | DataFlow::Scaled(_)
            | DataFlow::Padded(_)
            | DataFlow::Spread(_)
            | DataFlow::AllPixels
            | DataFlow::Reduced { .. }
            | DataFlow::Resampled(_)
            | DataFlow::Joined { .. }
            | DataFlow::Squeezed(_)
            | DataFlow::Unsqueezed(_)
            | DataFlow::Sliced { .. }
            | DataFlow::Gathered { .. }
            | DataFlow::Anywhere
            | DataFlow::Expanded(_)
            | DataFlow::Tiled(_)
            | DataFlow::SizesAlone
            | DataFlow::Everything
            | DataFlow::Unknown => before,
        }
    }

    /// The nearest value that every path to both passes through; a value is on every path to itself.
    pub(crate) fn nearest_common(&self, mut a: ValueId, mut b: ValueId) -> Option<ValueId> {
        while a != b {
            if self.depth[a.index()] < self.depth[b.index()] {
                std::mem::swap(&mut a, &mut b);
            }
            let level = self.depth[b.index()];
            let up = |v: ValueId, floor: u32| match self.jump[v.index()] {
                Some(jump) if self.depth[jump.index()] >= floor => Some(jump),
                Some(_) | None => self.above[v.index()],
            };
            if self.depth[a.index()] > level {
                a = up(a, level)?;
            } else {
                let (ja, jb) = (self.jump[a.index()], self.jump[b.index()]);
                let apart = ja != jb && ja.is_some() && jb.is_some();
                let same_level = ja.map(|v| self.depth[v.index()]) == jb.map(|v| self.depth[v.index()]);
                (a, b) =
                    if apart && same_level { (ja?, jb?) } else { (self.above[a.index()]?, self.above[b.index()]?) };
            }
        }
        Some(a)
    }

    /// The nearest value that every path to this one passes through.
    pub(crate) fn dominator(&self, value: ValueId) -> Option<ValueId> {
        self.above[value.index()]
    }

    /// Operands whose elements depend on those of the graph's inputs.
    pub(crate) fn operands(&self, node: NodeId) -> Vec<ValueId> {
        self.graph.node(node).read().iter().copied().filter(|v| !self.constant[v.index()]).collect()
    }

    /// Whether a value is quantised so that nothing below 0 remains: what a quantiser makes of a ReLU that it leaves out.
    fn cuts_below_zero(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let Op::Quantize(quantize) = node.op else { return false };
        let zero = match node.inputs.get(2).map(|&zero| self.graph.as_parameter(zero)) {
            Some(Some(zero)) if zero.tensor.len() == 1 => zero.tensor.to_f64().ok(),
            Some(_) => None,
            None => Some(vec![0.0]),
        };
        let lowest = quantize.dtype.integer_range().map(|(lowest, _)| lowest);
        // What cannot be below 0 is not cut.
        let signed = self.operand(id).and_then(|x| self.real_producer(x)).is_some_and(|node| {
            matches!(self.step(node), Step::Conv | Step::Norm | Step::Join | Step::Dense | Step::Scale)
        });
        signed && lowest.is_some() && zero.and_then(|zero| zero.first().copied()) == lowest
    }

    /// The operand before which most convolutions lie, on one path; of equals the first.
    pub(crate) fn longest(&self, operands: &[ValueId]) -> Option<ValueId> {
        operands.iter().copied().rev().max_by_key(|value| self.convs[value.index()])
    }

    /// The only operand that depends on the graph's inputs.
    pub(crate) fn operand(&self, node: NodeId) -> Option<ValueId> {
        match self.operands(node)[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Nodes that read a value and reach an output.
    pub(crate) fn readers(&self, value: ValueId) -> impl Iterator<Item = NodeId> + '_ {
        self.consumers[value.index()].iter().copied().filter(|node| self.live[node.index()])
    }

    /// Nodes that read a value and reach an output, with those that do nothing left out.
    pub(crate) fn real_readers(&self, value: ValueId) -> Vec<NodeId> {
        self.first_readers(value, usize::MAX)
    }

    /// Whether more than one node reads a value and reaches an output.
    pub(crate) fn forks(&self, value: ValueId) -> bool {
        self.first_readers(value, 2).len() > 1
    }

    /// As [`Flow::real_readers`], no more than so many.
    fn first_readers(&self, value: ValueId, most: usize) -> Vec<NodeId> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            for node in self.readers(value) {
                if self.step(node) == Step::Pass {
                    pending.push(self.output(node));
                } else if seen.insert(node) {
                    found.push(node);
                }
                if found.len() >= most {
                    return found;
                }
            }
        }
        found
    }

    pub(crate) fn is_live(&self, node: NodeId) -> bool {
        self.live[node.index()]
    }

    pub(crate) fn output(&self, node: NodeId) -> ValueId {
        self.graph.node(node).output()
    }

    /// The node that gives a value, with those that do nothing left out.
    pub(crate) fn real_producer(&self, value: ValueId) -> Option<NodeId> {
        self.givers[value.index()]
    }

    /// Channels of a value, as far as shapes or weights tell.
    pub(crate) fn channels(&self, value: ValueId) -> Option<usize> {
        self.channels[value.index()]
    }

    fn size(&self, value: ValueId, axis: usize) -> Option<usize> {
        self.model.shape_of(value)?.dims().get(axis)?.fixed()
    }

    /// Channels that a node gives where its shape is not known, as behind an operator that is not.
    fn channels_behind(&self, node: NodeId) -> Option<usize> {
        let described = self.graph.node(node).op.describe();
        let of_operands = || self.operands(node).into_iter().find_map(|value| self.channels(value));
        match described.class {
            Class::Convolution { .. } | Class::Dense | Class::Norm(Statistics::Stored) => {
                self.operand_shape(node, 1)?.first().copied()
            }
            Class::TransposedConvolution { groups } => self.operand_shape(node, 1)?.get(1)?.checked_mul(groups),
            Class::Norm(Statistics::Own | Statistics::Neighbours(_))
            | Class::Activation
            | Class::Arithmetic(_)
            | Class::Logic
            | Class::Pool
            | Class::GlobalPool(_)
            | Class::Identity
            | Class::Cast
            | Class::Quantisation
            | Class::Dequantisation => of_operands(),
            Class::Padding => {
                let Op::Pad(pad) = &self.graph.node(node).op else { return None };
                self.channels(self.operand(node)?)?.checked_add(pad.channels[0])?.checked_add(pad.channels[1])
            }
            Class::MatrixProduct
            | Class::Reduction(_)
            | Class::Ranking
            | Class::Scan
            | Class::Resampling
            | Class::Concatenation
            | Class::Reshape
            | Class::Slice
            | Class::Gather
            | Class::Repetition
            | Class::Sizes
            | Class::Softmax
            | Class::DynamicRange
            | Class::Unknown => None,
        }
    }

    /// Whether a value is one pixel large.
    fn is_one_pixel(&self, value: ValueId) -> bool {
        let Some(shape) = self.model.shape_of(value) else { return false };
        shape.rank() == 4 && shape.dims()[2..].iter().all(|dim| dim.fixed() == Some(1))
    }

    /// Shape of an operand that is a tensor.
    pub(crate) fn operand_shape(&self, node: NodeId, index: usize) -> Option<Vec<usize>> {
        self.model.shape_of(*self.graph.node(node).inputs.get(index)?)?.as_fixed()
    }

    /// What a node is.
    pub(crate) fn step(&self, id: NodeId) -> Step {
        self.steps[id.index()]
    }

    /// What a node is whose operands were visited; `paths` of them depend on the graph's inputs.
    fn kind(&self, id: NodeId, paths: usize) -> Step {
        let described = self.graph.node(id).op.describe();
        match described.class {
            Class::Convolution { groups } => self.conv_step(id, groups),
            Class::Norm(_) => Step::Norm,
            Class::Activation => Step::Activation,
            Class::Arithmetic(Elementwise::Add) if paths > 1 => Step::Join,
            Class::Arithmetic(Elementwise::Mul) if paths > 1 => Step::Gate,
            Class::Arithmetic(_) if paths > 1 => Step::Merge,
            Class::Arithmetic(_) => self.constant_step(id),
            Class::Pool => Step::Pool,
            Class::GlobalPool(_) => Step::GlobalPool,
            Class::Reduction(kind) => {
                let pixels = matches!(described.flow, DataFlow::Reduced { axes: [2, 3], .. });
                if pixels && matches!(kind, PoolKind::Mean | PoolKind::Max) { Step::GlobalPool } else { Step::Other }
            }
            Class::Padding => Step::Pad,
            Class::Dense => Step::Dense,
            Class::MatrixProduct if paths == 1 => Step::Dense,
            Class::MatrixProduct => Step::Merge,
            Class::Concatenation if paths == 1 => Step::Pad,
            Class::Concatenation => Step::Merge,
            Class::Reshape => Step::Reshape,
            Class::Slice => Step::Slice,
            Class::Softmax => Step::Softmax,
            Class::Quantisation if self.cuts_below_zero(id) => Step::Activation,
            Class::Identity | Class::Cast | Class::Quantisation | Class::Dequantisation | Class::DynamicRange => {
                Step::Pass
            }
            Class::TransposedConvolution { .. }
            | Class::Logic
            | Class::Ranking
            | Class::Scan
            | Class::Resampling
            | Class::Gather
            | Class::Repetition
            | Class::Sizes => Step::Other,
            Class::Unknown => Step::Unknown,
        }
    }

    fn conv_step(&self, id: NodeId, groups: usize) -> Step {
        let node = self.graph.node(id);
        let Some(&x) = node.inputs.first() else { return Step::Other };
        if self.filters[id.index()] && groups > 1 && self.channels(x) == Some(groups) {
            return Step::Blur;
        }
        let pooled = self.graph.producer(x).is_some() && self.is_one_pixel(x) && self.comes_from_global_pool(x);
        if pooled { Step::Dense } else { Step::Conv }
    }

    /// Whether a one-pixel value was pooled over all pixels; looks a few nodes back only.
    fn comes_from_global_pool(&self, mut value: ValueId) -> bool {
        for _ in 0..16 {
            let Some(node) = self.graph.producer(value) else { return false };
            if matches!(self.graph.node(node).op, Op::GlobalPool(_) | Op::Reduce(_)) {
                return true;
            }
            let Some(operand) = self.operand(node) else { return false };
            value = operand;
        }
        false
    }

    /// Arithmetic with constants: per channel it is what is left of a normalisation.
    fn constant_step(&self, id: NodeId) -> Step {
        let Some(x) = self.operand(id) else { return Step::Other };
        let channels = self.channels(x).filter(|&c| c > 1);
        let per_channel = self.graph.node(id).inputs.iter().any(|&operand| {
            self.constant[operand.index()]
                && self.model.shape_of(operand).and_then(residua_ir::Shape::element_count) == channels
                && channels.is_some()
        });
        if per_channel { Step::Norm } else { Step::Scale }
    }
}

/// Whether a convolution is a fixed filter: one that an exporter wrote into the graph, or a mean weighted alike for each
/// channel, as no training leaves it. Of larger kernels than filters have nothing is read.
fn is_filter(graph: &Graph, node: &Node) -> bool {
    let Op::Conv(conv) = &node.op else { return false };
    let Some(kernel) = node.inputs.get(1).and_then(|&kernel| graph.as_parameter(kernel)) else { return false };
    if kernel.role == Role::Literal {
        return true;
    }
    let &[channels, 1, rows, columns] = kernel.tensor.shape() else { return false };
    let taps = rows.saturating_mul(columns);
    let filters = node.inputs.len() == 2 && conv.groups == channels && conv.strides != [1, 1];
    if !filters || !(2..=MOST_CHANNELS).contains(&channels) || !(4..=MOST_TAPS).contains(&taps) {
        return false;
    }
    // What cannot be read is found by whoever needs it.
    let Ok(values) = kernel.tensor.to_f64() else { return false };
    let (first, rest) = values.split_at(taps);
    let sum: f64 = first.iter().sum();
    first.iter().all(|&tap| tap >= 0.0) && (sum - 1.0).abs() < 1e-3 && rest.chunks(taps).all(|other| other == first)
}

fn live_nodes(graph: &Graph) -> Vec<bool> {
    let mut wanted = vec![false; graph.values().len()];
    for output in graph.outputs() {
        wanted[output.index()] = true;
    }
    let mut live = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        live[index] = node.outputs.iter().any(|output| wanted[output.index()]);
        if live[index] {
            for input in &node.inputs {
                wanted[input.index()] = true;
            }
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_ir::{Activation, GraphBuilder, Shape, validate};

    #[test]
    fn the_nearest_common_dominator_of_two_branches_is_where_they_part() {
        let mut g = GraphBuilder::new("fork");
        let relu = || Op::Activation(Activation::RELU);
        let x = g.input("x", Shape::batch(&[2]));
        let mut fork = x;
        for i in 0..40 {
            fork = g.add(&format!("before{i}"), relu(), &[fork]);
        }
        let mut left = fork;
        for i in 0..33 {
            left = g.add(&format!("left{i}"), relu(), &[left]);
        }
        let mut right = fork;
        for i in 0..7 {
            right = g.add(&format!("right{i}"), relu(), &[right]);
        }
        let join = g.add("join", Op::Elementwise(Elementwise::Add), &[left, right]);
        g.output(join);
        let model = validate(g.finish().unwrap()).unwrap();
        let flow = Flow::new(&model);
        assert_eq!(flow.nearest_common(left, right), Some(fork));
        assert_eq!(flow.nearest_common(right, fork), Some(fork));
        assert_eq!(flow.nearest_common(left, x), Some(x));
        assert_eq!(flow.dominator(join), Some(fork));
    }
}
