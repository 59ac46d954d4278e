//! The way from the input to the output through the main path of every block, and its parts: stem, stages, head.

use std::collections::BTreeSet;

use residua_ir::{NodeId, Op, ValueId};

use super::block::Sums;
use super::flow::Flow;
use super::parts::{Block, Dense, Head, Loose, PlainConvs, ShortcutKind, Stage, Stem, Step};
use super::path::{Path, activation_name, conv_unit};

/// One thing on the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// A block, by its place in [`Sums::blocks`].
    Block(usize),
    /// A node outside blocks.
    Node(NodeId),
}

/// The trunk in the order in which data flows, of the output that most of the network lies before.
#[derive(Default)]
pub(crate) struct Trunk {
    pub(crate) items: Vec<Item>,
    /// Places where paths meet that are no blocks.
    pub(crate) merges: usize,
    /// Those among them between the first and the last convolution.
    pub(crate) inner_merges: usize,
}

impl Trunk {
    pub(crate) fn of(flow: &Flow, sums: &Sums) -> Self {
        let trunks = flow.graph.outputs().iter().take(64).map(|&output| Self::to(flow, sums, output));
        let weight = |trunk: &Self| {
            let blocks = trunk.items.iter().filter(|item| matches!(item, Item::Block(_))).count();
            (blocks, trunk.convs(flow), trunk.items.len())
        };
        // Of equals the first.
        let best = trunks.reduce(|best, next| if weight(&next) > weight(&best) { next } else { best });
        best.unwrap_or_default()
    }

    /// Items from the first to the last that is a block or a convolution.
    pub(crate) fn body(&self, flow: &Flow) -> &[Item] {
        let is_layer = |item: &Item| match item {
            Item::Block(_) => true,
            Item::Node(node) => flow.step(*node) == Step::Conv,
        };
        let ends = self.items.iter().position(is_layer).zip(self.items.iter().rposition(is_layer));
        ends.map_or(&[], |(first, last)| &self.items[first..=last])
    }

    fn to(flow: &Flow, sums: &Sums, output: ValueId) -> Self {
        let mut path = Path::default();
        let mut items = Vec::new();
        let mut value = output;
        // Each step leads back, so that there are no more than there are nodes.
        while let Some(node) = flow.graph.producer(value) {
            if let Some(&block) = sums.by_sum.get(&value) {
                items.push(Item::Block(block));
                value = sums.blocks[block].entry;
                continue;
            }
            items.push(Item::Node(node));
            let Some(before) = path.step_back(flow, node) else { break };
            value = before;
        }
        items.reverse();
        let mut trunk = Self { items, merges: path.merges.len(), inner_merges: 0 };
        let known = |node: NodeId| flow.step(node) != Step::Unknown;
        let meets = |item: &&Item| matches!(item, Item::Node(node) if known(*node) && path.merges.contains(&flow.output(*node)));
        trunk.inner_merges = trunk.body(flow).iter().filter(meets).count();
        trunk
    }

    fn convs(&self, flow: &Flow) -> usize {
        self.nodes().filter(|&node| flow.step(node) == Step::Conv).count()
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.items.iter().filter_map(|item| match item {
            Item::Node(node) => Some(*node),
            Item::Block(_) => None,
        })
    }

    pub(crate) fn block_order(&self) -> impl Iterator<Item = usize> + '_ {
        self.items.iter().filter_map(|item| match item {
            Item::Block(block) => Some(*block),
            Item::Node(_) => None,
        })
    }

    /// What lies before the first block; in a network without blocks, what lies before the first normal convolution.
    pub(crate) fn stem(&self, flow: &Flow) -> Stem {
        let first_block = self.items.iter().position(|item| matches!(item, Item::Block(_)));
        let end = first_block.unwrap_or_else(|| self.plain_stem_end(flow));
        let path = Path {
            nodes: Self { items: self.items[..end].to_vec(), ..Self::default() }.nodes().collect(),
            ..Path::default()
        };
        let first_conv = path.nodes.iter().position(|&node| flow.step(node) == Step::Conv).unwrap_or(0);
        let is_pool = |&node: &NodeId| flow.step(node) == Step::Pool;
        Stem {
            convs: path.convs(flow, false),
            pool: path.nodes.iter().copied().find(is_pool),
            scaling: path.nodes[..first_conv]
                .iter()
                .copied()
                .filter(|&node| matches!(flow.step(node), Step::Norm | Step::Scale))
                .collect(),
            blurred: path.count(flow, Step::Blur) > 0,
            stride: path.stride(flow),
            unseen: path.count(flow, Step::Unknown) > 0,
        }
    }

    /// A plain network's stem is its first convolution with what is bound to it.
    fn plain_stem_end(&self, flow: &Flow) -> usize {
        let mut convs = 0;
        let end = self.items.iter().position(|item| match item {
            Item::Node(node) => {
                let step = flow.step(*node);
                convs += usize::from(step == Step::Conv);
                convs > 1 || matches!(step, Step::GlobalPool | Step::Dense)
            }
            Item::Block(_) => true,
        });
        end.unwrap_or(self.items.len())
    }

    /// Convolutions between blocks: what remains of a block whose shortcut is gone, a transition between stages.
    pub(crate) fn loose(&self, flow: &Flow) -> Vec<Loose> {
        let count = self.block_order().count();
        let mut behind = 0;
        let mut found: Vec<Loose> = Vec::new();
        // Gaps between blocks that hold something that is not known.
        let mut unseen = BTreeSet::new();
        for item in &self.items {
            match item {
                Item::Block(_) => behind += 1,
                Item::Node(node) if flow.step(*node) == Step::Unknown => {
                    unseen.insert(behind);
                }
                Item::Node(node) if behind > 0 && behind <= count && flow.step(*node) == Step::Conv => {
                    let unit = conv_unit(flow, *node);
                    match found.last_mut() {
                        Some(last) if last.behind == behind - 1 => last.convs.push(unit),
                        Some(_) | None => found.push(Loose { behind: behind - 1, convs: vec![unit], unseen: false }),
                    }
                }
                Item::Node(_) => {}
            }
        }
        for loose in &mut found {
            loose.unseen = unseen.contains(&(loose.behind + 1));
        }
        found
    }

    /// What follows the last block, or the last convolution of a plain network.
    pub(crate) fn head(&self, flow: &Flow) -> Head {
        let start = self.items.iter().rposition(|item| match item {
            Item::Block(_) => true,
            Item::Node(node) => flow.step(*node) == Step::Conv,
        });
        let mut head = Head::default();
        for item in &self.items[start.map_or(0, |at| at + 1)..] {
            let Item::Node(node) = item else { continue };
            match flow.step(*node) {
                Step::Norm if head.pool.is_none() && head.dense.is_empty() => {
                    head.norm.get_or_insert(*node);
                }
                Step::GlobalPool | Step::Pool if head.dense.is_empty() => {
                    head.pool.get_or_insert(*node);
                }
                Step::Reshape if matches!(flow.graph.node(*node).op, Op::Flatten { .. } | Op::Reshape { .. }) => {
                    head.flattened = true;
                }
                Step::Dense => head.dense.push(dense(flow, *node)),
                Step::Activation => {
                    if let Some(last) = head.dense.last_mut() {
                        last.activation.get_or_insert(activation_name(flow, *node));
                    }
                }
                Step::Softmax => {
                    if let Some(last) = head.dense.last_mut() {
                        last.activation.get_or_insert("Softmax".to_owned());
                    }
                }
                Step::Conv
                | Step::Norm
                | Step::GlobalPool
                | Step::Pool
                | Step::Reshape
                | Step::Blur
                | Step::Pad
                | Step::Slice
                | Step::Pass
                | Step::Scale
                | Step::Join
                | Step::Gate
                | Step::Merge
                | Step::Other
                | Step::Unknown => {}
            }
        }
        head.classes = head.dense.last().and_then(|dense| dense.outputs);
        head
    }

    /// For a plain network: convolutions behind the first, in runs of the same number of channels.
    pub(crate) fn plain(&self, flow: &Flow) -> PlainConvs {
        let convs = self.nodes().filter(|&node| flow.step(node) == Step::Conv).map(|node| conv_unit(flow, node));
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let (mut total, mut depthwise) = (0, 0);
        for conv in convs {
            total += 1;
            depthwise += usize::from(conv.groups > 1 && conv.groups == conv.outputs);
            if total == 1 {
                continue;
            }
            match runs.last_mut() {
                Some((width, count)) if *width == conv.outputs => *count += 1,
                Some(_) | None => runs.push((conv.outputs, 1)),
            }
        }
        let gated = self.nodes().any(|node| flow.step(node) == Step::Gate);
        PlainConvs { total, depthwise, gated, stages: runs.into_iter().map(|(_, count)| count).collect() }
    }
}

fn dense(flow: &Flow, node: NodeId) -> Dense {
    let output = flow.output(node);
    let last = flow.model.shape_of(output).and_then(|shape| shape.dims().last()?.fixed());
    let outputs = if matches!(flow.graph.node(node).op, Op::MatMul) { last } else { flow.channels(output) };
    Dense { node, outputs, activation: None }
}

/// Splits blocks into stages, names them, and gives the stages.
///
/// A stage ends where the number of channels changes, for Keras's V2 nets carry their stride in the last block of a
/// stage; and before a projection with a stride. Where every block has its own width, strides alone tell.
pub(crate) fn split_stages(blocks: &mut [Block]) -> Vec<Stage> {
    let by_width = |a: &Block, b: &Block| a.outputs != b.outputs;
    let by_stride = |b: &Block| b.stride > 1 && matches!(b.shortcut, ShortcutKind::Projection | ShortcutKind::Pad);
    let changes = blocks.windows(2).filter(|pair| by_width(&pair[0], &pair[1])).count();
    let strides = blocks.iter().filter(|block| block.stride > 1).count();
    let ignore_width = changes * 2 > blocks.len() && strides > 0 && changes > 5;

    let mut stages: Vec<Stage> = Vec::new();
    for at in 0..blocks.len() {
        let starts = at == 0
            || by_stride(&blocks[at])
            || if ignore_width { blocks[at].stride > 1 } else { by_width(&blocks[at - 1], &blocks[at]) };
        if starts {
            stages.push(Stage { blocks: at..at, width: blocks[at].width, outputs: blocks[at].outputs, stride: 1 });
        }
        let stage = stages.len() - 1;
        let block = &mut blocks[at];
        block.stage = stage;
        block.index = at - stages[stage].blocks.start;
        block.name = format!("stages.{stage}.blocks.{}", block.index);
        stages[stage].blocks.end = at + 1;
        stages[stage].stride = stages[stage].stride.saturating_mul(block.stride);
    }
    clear_shared_hints(blocks);
    stages
}

/// A hint that two blocks share says nothing.
fn clear_shared_hints(blocks: &mut [Block]) {
    let mut hints: Vec<Option<String>> = blocks.iter().map(|block| block.hint.clone()).collect();
    hints.sort();
    for block in blocks {
        let shared = hints.partition_point(|h| *h <= block.hint) - hints.partition_point(|h| *h < block.hint) > 1;
        if shared {
            block.hint = None;
        }
    }
}
