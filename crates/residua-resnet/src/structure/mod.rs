//! What a network is made of: stem, stages, residual blocks and head, found in any graph by structure, never by names.
//!
//! A residual block is a sum of two paths that part at one value (their nearest common dominator): the main path, with
//! a convolution wider than 1x1 or at least two of them, and the shortcut, with at most one. Everything is read
//! from operators, shapes and edges; the source's names serve as hints to readers only. It holds with batch norms folded
//! away, with other normalisations and activations, with dropout in branches, operands in any order, other heads, and
//! layers before the stem.
//!
//! Not here: what a network is called (`crate::architecture`), and whether what is found is sound. [`Anatomy`] carries what
//! a rule needs to say so.

mod block;
mod dense;
mod flow;
mod hidden;
mod parts;
mod path;
mod source;
mod stray;
#[cfg(test)]
mod tests;
mod trunk;
mod unseen;

use residua_ir::Typed;

use flow::Flow;
use trunk::Trunk;

pub use parts::{
    Anatomy, Block, ConvNormAct, Dense, DenseBlocks, Head, Hidden, LongSkip, Loose, NormKind, PlainConvs, Reads,
    Shortcut, ShortcutKind, SqueezeExcite, Stage, Stem, Step, Stray, Stretch, Unseen,
};

/// The parts of a network, which has no name yet. Never fails: what is no residual network has no blocks.
pub(crate) fn find(model: &Typed) -> Anatomy {
    let flow = Flow::new(model);
    let sums = block::find(&flow);
    let trunk = Trunk::of(&flow, &sums);
    let mut blocks: Vec<Block> = trunk.block_order().map(|at| sums.blocks[at].clone()).collect();
    let stages = trunk::split_stages(&mut blocks);
    let mut head = trunk.head(&flow);
    if blocks.is_empty() && head.dense.is_empty() && head.pool.is_none() {
        head = Head::default();
    }
    Anatomy {
        architecture: None,
        stem: trunk.stem(&flow),
        stages,
        loose: trunk.loose(&flow),
        strays: stray::find(&flow, &sums),
        long_skips: sums.long_skips,
        head,
        plain: if blocks.is_empty() { trunk.plain(&flow) } else { PlainConvs::default() },
        dense: if blocks.is_empty() { dense::find(&flow) } else { None },
        elsewhere: sums.blocks.len() - blocks.len(),
        merges: trunk.merges,
        inner_merges: trunk.inner_merges,
        hidden: hidden::of(&flow, &trunk, &blocks),
        given_up: flow.given_up(),
        blocks,
    }
}
