//! From the nodes of a network that was normalised to those of its source.

use residua_ir::rewrite::Origin;
use residua_ir::{Graph, NodeId, ValueId};

use super::parts::{Anatomy, Block, ConvNormAct, Head, Shortcut, SqueezeExcite, Stem, Step};

/// Handles of one graph as those of another.
struct Source<'o> {
    normal: &'o Graph,
    graph: &'o Graph,
    origin: &'o Origin,
}

impl Anatomy {
    /// The same anatomy, told by the nodes of `source`, which `normal` was made of.
    pub(crate) fn in_source(mut self, normal: &Graph, source: &Graph, origin: &Origin) -> Self {
        let to = Source { normal, graph: source, origin };
        to.stem(&mut self.stem);
        self.blocks.iter_mut().for_each(|block| to.block(block));
        self.loose.iter_mut().for_each(|loose| to.convs(&mut loose.convs));
        for skip in &mut self.long_skips {
            to.node(&mut skip.add);
            to.value(&mut skip.from);
        }
        for stray in &mut self.strays {
            to.node(&mut stray.node);
            for path in &mut stray.paths {
                to.value(&mut path.from);
                to.nodes(&mut path.nodes);
                to.convs(&mut path.convs);
            }
        }
        to.head(&mut self.head);
        self
    }
}

impl Source<'_> {
    fn node(&self, node: &mut NodeId) {
        *node = self.origin.node(*node);
    }

    fn nodes(&self, nodes: &mut Vec<NodeId>) {
        nodes.iter_mut().for_each(|node| self.node(node));
        nodes.dedup();
    }

    /// Nodes, and what each of them is.
    fn steps(&self, nodes: &mut Vec<NodeId>, steps: &mut Vec<Step>) {
        let mut both: Vec<(NodeId, Step)> =
            nodes.iter().zip(&*steps).map(|(node, step)| (self.origin.node(*node), *step)).collect();
        both.dedup();
        (*nodes, *steps) = both.into_iter().unzip();
    }

    fn optional(&self, node: &mut Option<NodeId>) {
        if let Some(node) = node {
            self.node(node);
        }
    }

    /// A value that is new lies before the result of the node in whose place it was made.
    fn value(&self, value: &mut ValueId) {
        let made = || self.normal.producer(*value).map(|node| self.graph.node(self.origin.node(node)).output());
        *value = self.origin.value(*value).or_else(made).unwrap_or(*value);
    }

    fn convs(&self, convs: &mut [ConvNormAct]) {
        for conv in convs {
            self.node(&mut conv.node);
            self.optional(&mut conv.norm);
            self.optional(&mut conv.activation);
        }
    }

    fn stem(&self, stem: &mut Stem) {
        let Stem { convs, pool, scaling, blurred: _, stride: _, unseen: _ } = stem;
        self.convs(convs);
        self.optional(pool);
        self.nodes(scaling);
    }

    fn block(&self, block: &mut Block) {
        self.convs(&mut block.convs);
        self.steps(&mut block.main, &mut block.steps);
        self.nodes(&mut block.norms);
        self.node(&mut block.add);
        self.value(&mut block.fork);
        self.value(&mut block.entry);
        self.value(&mut block.sum);
        let Shortcut { norm, conv, nodes, steps, reads: _, stride: _, pooled: _, normed: _ } = &mut block.path;
        self.optional(norm);
        self.convs(conv.as_mut_slice());
        self.steps(nodes, steps);
        if let Some(SqueezeExcite { gate, layers, width: _ }) = &mut block.squeeze_excite {
            self.node(gate);
            self.nodes(layers);
        }
    }

    fn head(&self, head: &mut Head) {
        let Head { norm, pool, dense, flattened: _, classes: _ } = head;
        self.optional(norm);
        self.optional(pool);
        dense.iter_mut().for_each(|dense| self.node(&mut dense.node));
    }
}
