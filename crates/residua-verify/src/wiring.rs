//! Places where paths meet, that are no blocks and look like what became of one when an edge of it was led elsewhere.

use residua_ir::{Graph, NodeId, Op, ValueId};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{Stray, Stretch};

use crate::majority::few;

/// What is wired in another way than a block.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) kind: Kind,
    /// Where the paths meet.
    pub(crate) node: NodeId,
    convs: Vec<NodeId>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The shortcut starts before what the main path starts from.
    Long { from: ValueId, spans: usize },
    /// The main path starts before what the shortcut starts from; `reader` is the first of the block.
    SkipsSum { reader: NodeId, from: ValueId, sum: ValueId },
    /// Both paths are the main one.
    Twice,
    /// The paths are brought together in another way than by a sum.
    NotAdded,
}

impl Wiring {
    /// Convolutions on its paths.
    pub(crate) fn convs(&self) -> &[NodeId] {
        &self.convs
    }
}

/// All of them; none where there are too many to be exceptions. `kernels` are those of most blocks.
pub(crate) fn find(graph: &Graph, anatomy: &Anatomy, kernels: &[[usize; 2]]) -> Vec<Wiring> {
    let found: Vec<Wiring> = anatomy.strays.iter().filter_map(|stray| of(graph, anatomy, kernels, stray)).collect();
    if few(found.len(), anatomy.blocks.len() + found.len()) { found } else { Vec::new() }
}

fn of(graph: &Graph, anatomy: &Anatomy, kernels: &[[usize; 2]], stray: &Stray) -> Option<Wiring> {
    let [a, b] = &stray.paths[..] else { return None };
    if [a, b].into_iter().any(|path| is_unseen(graph, path)) {
        return None;
    }
    let (main, shortcut) = if b.convs.len() > a.convs.len() { (b, a) } else { (a, b) };
    let blocks = blocks_on(main, kernels)?;
    let kind = if main.nodes == shortcut.nodes && main.from == shortcut.from {
        Kind::Twice
    } else if shortcut.convs.len() > 1 {
        return None;
    } else if main.from == shortcut.from {
        if stray.is_sum || blocks > 1 {
            return None;
        }
        Kind::NotAdded
    } else if !stray.is_sum {
        return None;
    } else if computed_at(graph, shortcut.from) < computed_at(graph, main.from) {
        if blocks > 1 {
            return None;
        }
        let skip = anatomy.long_skips.iter().find(|skip| skip.add == stray.node);
        Kind::Long { from: shortcut.from, spans: skip.map_or(1, |skip| skip.spans) }
    } else {
        let reader = main.convs.get((blocks - 1) * kernels.len())?.node;
        Kind::SkipsSum { reader, from: main.from, sum: shortcut.from }
    };
    let convs = stray.paths.iter().flat_map(|path| &path.convs).map(|conv| conv.node).collect();
    Some(Wiring { kind, node: stray.node, convs })
}

/// Whether something on a path, or before it, is not known: it may be the sum that seems to be elsewhere.
fn is_unseen(graph: &Graph, path: &Stretch) -> bool {
    let mut nodes = path.nodes.iter().copied().chain(graph.producer(path.from));
    nodes.any(|node| matches!(graph.node(node).op, Op::Opaque(_)))
}

/// How many blocks' main paths a stretch consists of.
fn blocks_on(path: &Stretch, kernels: &[[usize; 2]]) -> Option<usize> {
    let size = kernels.len().max(1);
    let is_block = |convs: &[_]| {
        let convs: &[residua_resnet::anatomy::ConvNormAct] = convs;
        convs.iter().map(|conv| conv.kernel).eq(kernels.iter().copied())
    };
    let whole =
        !path.convs.is_empty() && path.convs.len().is_multiple_of(size) && path.convs.chunks(size).all(is_block);
    whole.then(|| path.convs.len() / size)
}

/// Values in the order in which they are computed; inputs come first.
fn computed_at(graph: &Graph, value: ValueId) -> usize {
    graph.producer(value).map_or(0, |node| node.index() + 1)
}
