//! Residual blocks: sums of two paths that part at one value, the main path and its shortcut.

use std::collections::BTreeMap;

use residua_ir::{NodeId, Op, ValueId};

use super::flow::Flow;
use super::parts::{Block, ConvNormAct, LongSkip, NormKind, Reads, Shortcut, ShortcutKind, Step};
use super::path::{self, Path};
use super::unseen;
use crate::form::{ActivationOrder, BlockKind};

/// What the sums of a graph are.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) blocks: Vec<Block>,
    pub(crate) long_skips: Vec<LongSkip>,
    /// Block that a value is the sum of.
    pub(crate) by_sum: BTreeMap<ValueId, usize>,
}

/// Finds all blocks, inner ones first.
pub(crate) fn find(flow: &Flow) -> Sums {
    let mut sums = Sums::default();
    for node in flow.graph.node_ids() {
        if !flow.is_live(node) || flow.step(node) != Step::Join {
            continue;
        }
        let Some(candidate) = Candidate::at(flow, node) else { continue };
        let sum = flow.output(node);
        let spans: Vec<usize> =
            candidate.main.merges.iter().filter_map(|value| sums.by_sum.get(value).copied()).collect();
        if spans.is_empty() {
            sums.by_sum.insert(sum, sums.blocks.len());
            sums.blocks.push(candidate.block(flow));
        } else {
            sums.long_skips.push(LongSkip { add: node, from: candidate.fork, spans: spans.len() });
        }
    }
    sums
}

struct Candidate {
    add: NodeId,
    fork: ValueId,
    main: Path,
    shortcut: Path,
    branches: usize,
}

/// Whether a path can be the main one.
fn is_main(flow: &Flow, path: &Path) -> bool {
    let convs = path.convs(flow, false);
    convs.len() > 1 || convs.iter().any(ConvNormAct::is_wide) || !path.merges.is_empty()
}

impl Candidate {
    fn at(flow: &Flow, add: NodeId) -> Option<Self> {
        let fork = flow.dominator(flow.output(add))?;
        let mut paths = Vec::new();
        for operand in flow.operands(add) {
            paths.push(Path::between(flow, fork, operand)?);
        }
        let branches = paths.len();
        // The main path has the most convolutions; of equals, the longest.
        paths.sort_by_key(|path| (path.count(flow, Step::Conv), path.nodes.len()));
        let main = paths.pop()?;
        // The shortcut is what has fewest.
        let shortcut = paths.into_iter().next()?;
        let convs = shortcut.count(flow, Step::Conv);
        let fits = is_main(flow, &main)
            && main.count(flow, Step::Conv) > 0
            && shortcut.merges.iter().all(|merge| flow.channels(*merge) != flow.channels(fork))
            && (convs == 0 || (convs == 1 && (main.count(flow, Step::Conv) > 1 || !is_main(flow, &shortcut))));
        fits.then_some(Self { add, fork, main, shortcut, branches })
    }

    fn block(self, flow: &Flow) -> Block {
        let kind = self.shortcut_kind(flow);
        let sum = flow.output(self.add);
        let after = activation_behind(flow, sum);
        let (order, entry, preactivation) = self.order(flow, kind, after.is_some());
        let reads = if entry == self.fork { Reads::Raw } else { Reads::Preactivated };
        let mut main = self.main;
        main.nodes.splice(0..0, preactivation);
        let convs = main.convs(flow, order == ActivationOrder::Pre);
        let outputs = flow.channels(sum);
        let block_kind = kind_of(&convs, outputs);
        let of_step = |step: Step| main.steps(flow).filter(move |&(_, s)| s == step).map(|(node, _)| node);
        let norms: Vec<NodeId> = of_step(Step::Norm).collect();
        let unseen = unseen::of_block(flow, (self.fork, sum), &self.shortcut.nodes);
        Block {
            name: String::new(),
            stage: 0,
            index: 0,
            kind: block_kind,
            activation: order,
            shortcut: kind,
            stride: main.stride(flow),
            stride_on: main.stride_on(flow),
            groups: convs.iter().filter(|conv| conv.is_wide()).map(|conv| conv.groups).max().unwrap_or(1),
            dilation: convs.iter().map(|conv| conv.dilation).max().unwrap_or(1),
            width: match block_kind {
                BlockKind::Bottleneck => convs[1].outputs,
                BlockKind::Basic | BlockKind::Other => convs.first().map_or(0, |conv| conv.outputs),
            },
            inputs: flow.channels(entry),
            outputs,
            norm: norms_kind(flow, &norms),
            activations: of_step(Step::Activation).map(|node| path::activation_name(flow, node)).collect(),
            after_add: after.map(|node| path::activation_name(flow, node)),
            hint: hint(flow, &convs),
            squeeze_excite: main.squeeze_excite.clone(),
            other_gate: main.other_gate,
            blurred: main.count(flow, Step::Blur) > 0,
            branches: self.branches,
            parted: !main.merges.is_empty(),
            fork: self.fork,
            entry,
            sum,
            add: self.add,
            path: shortcut_detail(flow, self.shortcut, reads),
            steps: main.steps(flow).map(|(_, step)| step).collect(),
            main: main.nodes,
            convs,
            norms,
            norm_behind: order == ActivationOrder::Post && leads_to_norm_and_activation(flow, sum),
            unseen,
        }
    }

    /// Where normalisation and activation are; what the block is given; its pre-activation before the fork.
    fn order(&self, flow: &Flow, shortcut: ShortcutKind, activated: bool) -> (ActivationOrder, ValueId, Vec<NodeId>) {
        let (leading, closed) = self.edges(flow);
        let (entry, before) = self
            .preactivation(flow, shortcut, leading.is_empty(), activated && closed)
            .unwrap_or((self.fork, Vec::new()));
        let pre = leading.iter().any(|&node| flow.step(node) == Step::Norm)
            || !before.is_empty()
            || (!activated && !leading.is_empty())
            // The first block behind a normalised stem begins with a bare convolution; its end tells.
            || (!activated && !closed && self.has_inner_norm(flow))
            || (!activated && !closed && leads_to_norm_and_activation(flow, flow.output(self.add)));
        (if pre { ActivationOrder::Pre } else { ActivationOrder::Post }, entry, before)
    }

    fn shortcut_kind(&self, flow: &Flow) -> ShortcutKind {
        let has = |step: Step| self.shortcut.count(flow, step) > 0;
        let end = self.shortcut.nodes.last().map_or(self.fork, |&node| flow.output(node));
        let pads_channels = self.shortcut.nodes.iter().any(|&node| {
            let op = &flow.graph.node(node).op;
            matches!(op, Op::Pad(pad) if pad.channels != [0, 0]) || matches!(op, Op::Concat { axis: 1 })
        });
        if has(Step::Conv) {
            ShortcutKind::Projection
        } else if has(Step::Unknown) && !pads_channels {
            ShortcutKind::Unknown
        } else if pads_channels || flow.channels(end) != flow.channels(self.fork) {
            ShortcutKind::Pad
        } else if has(Step::Pool) || has(Step::Slice) || has(Step::Blur) {
            ShortcutKind::Pool
        } else {
            ShortcutKind::Identity
        }
    }

    /// Norms and activations before the first convolution, and whether there is a norm behind the last.
    fn edges(&self, flow: &Flow) -> (Vec<NodeId>, bool) {
        let matters = |&(_, step): &(NodeId, Step)| matches!(step, Step::Norm | Step::Activation);
        let first = self.main.steps(flow).take_while(|&(_, s)| s != Step::Conv).filter(matters).map(|(n, _)| n);
        let last = self.main.nodes.iter().rev().map(|&node| flow.step(node));
        let last = last.take_while(|&step| step != Step::Conv).any(|s| matches!(s, Step::Norm | Step::Activation));
        (first.collect(), last)
    }

    fn has_inner_norm(&self, flow: &Flow) -> bool {
        self.main.count(flow, Step::Conv) > 1 && self.main.count(flow, Step::Norm) > 0
    }

    /// A normalisation and activation before the fork that belong to this block: its shortcut reads what they give.
    /// What follows the stem's convolution directly belongs to the stem, what follows a sum to no block that is closed by
    /// a normalisation and an activation behind its own sum.
    fn preactivation(
        &self,
        flow: &Flow,
        shortcut: ShortcutKind,
        bare_start: bool,
        closed: bool,
    ) -> Option<(ValueId, Vec<NodeId>)> {
        if !bare_start || closed || shortcut == ShortcutKind::Identity {
            return None;
        }
        let activation = flow.real_producer(self.fork).filter(|&node| flow.step(node) == Step::Activation)?;
        let mut nodes = vec![activation];
        let mut value = flow.operand(activation)?;
        // A scale and an offset that were one normalisation are two nodes.
        loop {
            match flow.real_producer(value) {
                Some(node) if flow.step(node) == Step::Norm => {
                    nodes.insert(0, node);
                    value = flow.operand(node)?;
                }
                Some(node) if flow.step(node) == Step::Conv => return None,
                Some(_) | None => break,
            }
        }
        (nodes.len() > 1).then_some((value, nodes))
    }
}

/// The kind of norms, of the first where they differ, unless they are those of one layer that has two.
fn norms_kind(flow: &Flow, norms: &[NodeId]) -> Option<NormKind> {
    let kinds = || norms.iter().filter_map(|&norm| path::norm_kind(flow, norm));
    let mixed = [NormKind::Batch, NormKind::Instance].into_iter().all(|kind| kinds().any(|other| other == kind));
    if mixed { Some(NormKind::Mixed) } else { kinds().next() }
}

fn kind_of(convs: &[ConvNormAct], outputs: Option<usize>) -> BlockKind {
    // One filter a channel is another kind of block: MobileNet's, ShuffleNet's.
    if convs.iter().any(|conv| conv.is_wide() && conv.groups > 1 && conv.groups == conv.outputs) {
        return BlockKind::Other;
    }
    match convs {
        [a, b] if a.is_wide() && b.is_wide() => BlockKind::Basic,
        [a, b, c] if !a.is_wide() && b.is_wide() && !c.is_wide() && outputs.is_some_and(|out| b.outputs <= out) => {
            BlockKind::Bottleneck
        }
        _ => BlockKind::Other,
    }
}

fn shortcut_detail(flow: &Flow, path: Path, reads: Reads) -> Shortcut {
    let norm = path.nodes.iter().copied().find(|&node| flow.step(node) == Step::Norm);
    Shortcut {
        reads,
        stride: path.stride(flow),
        pooled: path.count(flow, Step::Pool) > 0,
        normed: norm.is_some(),
        norm,
        conv: path.convs(flow, false).into_iter().next(),
        steps: path.steps(flow).map(|(_, step)| step).collect(),
        nodes: path.nodes,
    }
}

/// The activation that a sum goes into, where it goes nowhere else.
fn activation_behind(flow: &Flow, sum: ValueId) -> Option<NodeId> {
    match flow.real_readers(sum)[..] {
        [only] if flow.step(only) == Step::Activation => Some(only),
        _ => None,
    }
}

/// Whether some reader of a sum normalises and then activates it.
fn leads_to_norm_and_activation(flow: &Flow, sum: ValueId) -> bool {
    flow.real_readers(sum).into_iter().any(|mut node| {
        let mut normed = false;
        for _ in 0..4 {
            let step = flow.step(node);
            if step != Step::Norm {
                return normed && step == Step::Activation;
            }
            normed = true;
            match flow.real_readers(flow.output(node)).first() {
                Some(&next) => node = next,
                None => return false,
            }
        }
        false
    })
}

/// What the names of a block's convolutions begin with, cut at a separator.
fn hint(flow: &Flow, convs: &[ConvNormAct]) -> Option<String> {
    let mut names = convs.iter().map(|conv| flow.graph.layer(flow.graph.node(conv.node).layer).name.raw());
    let first = names.next()?;
    let shared = names.fold(first, |shared, name| {
        let same = shared.char_indices().zip(name.chars()).take_while(|((_, a), b)| a == b);
        &shared[..same.last().map_or(0, |((at, c), _)| at + c.len_utf8())]
    });
    let cut = if convs.len() > 1 { shared.rfind(['_', '/', '.'])? } else { shared.len() };
    Some(shared[..cut].to_owned()).filter(|hint| !hint.is_empty())
}
