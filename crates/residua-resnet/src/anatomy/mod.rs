//! What a network is made of: stem, stages, residual blocks and head, found in any graph by structure, never by names.
//!
//! A residual block is a sum of two paths that part at one value (their nearest common dominator): the main path, with
//! a convolution wider than 1x1 or at least two of them, and the shortcut, with at most one. Everything is read
//! from operators, shapes and edges; the source's names serve as hints to readers only. It holds with batch norms folded
//! away, with other normalisations and activations, with dropout in branches, operands in any order, other heads, and
//! layers before the stem.
//!
//! Not judged here: whether what is found is sound. [`Anatomy`] carries what a rule needs to say so.

mod block;
mod dense;
mod flow;
mod path;
mod source;
mod stray;
#[cfg(test)]
mod tests;
mod trunk;
mod unseen;

use std::ops::Range;

use residua_ir::budget::Overrun;
use residua_ir::rewrite::{Normalised, normalise};
use residua_ir::{NodeId, Padding, Typed, ValueId};
use serde::Serialize;

use crate::form::{self, Architecture};
use flow::Flow;
use trunk::Trunk;

pub use dense::DenseBlocks;
pub use flow::Step;
pub use stray::{Stray, Stretch};

/// What a network is made of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Anatomy {
    /// What it is called; [`None`] for what is no convolutional network, or one whose form has no name.
    pub architecture: Option<Architecture>,
    /// What comes before the first block.
    pub stem: Stem,
    /// Runs of blocks of one width.
    pub stages: Vec<Stage>,
    /// Residual blocks on the way from input to output, in the order of that way.
    pub blocks: Vec<Block>,
    /// Convolutions between the blocks that no shortcut spans.
    pub loose: Vec<Loose>,
    /// Sums that span whole blocks.
    pub long_skips: Vec<LongSkip>,
    /// Places where paths meet and that are no blocks, sums that span whole blocks among them.
    #[serde(skip)]
    pub strays: Vec<Stray>,
    /// What comes behind the last block.
    pub head: Head,
    /// For a network without blocks: its convolutions.
    #[serde(skip)]
    pub plain: PlainConvs,
    /// For a densely connected network without residual blocks: its blocks.
    #[serde(skip)]
    pub dense: Option<DenseBlocks>,
    /// Residual blocks that do not lie on the way from the input to the (main) output.
    pub elsewhere: usize,
    /// Places outside blocks where paths meet.
    pub merges: usize,
    /// Those among them between the first and the last convolution.
    #[serde(skip)]
    pub inner_merges: usize,
    /// What the operators that are not known may hide.
    #[serde(skip)]
    pub hidden: Hidden,
    /// The limit at which a search for parts of the network ended before it was through.
    #[serde(skip)]
    pub given_up: Option<Overrun>,
}

/// What the operators of a network that are not known may hide of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Convolutions: one of the operators has kernels.
    pub convs: bool,
    /// Sums, activations and whatever else has no kernels, between the first and the last layer that are known to be of
    /// the network.
    pub between: bool,
}

impl Hidden {
    /// Whether they may hide anything of what a network is told by.
    #[must_use]
    pub fn any(self) -> bool {
        self.convs || self.between
    }
}

/// What lies before the first block.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stem {
    /// Convolutions; none in some networks.
    pub convs: Vec<ConvNormAct>,
    /// The pool behind them.
    #[serde(skip)]
    pub pool: Option<NodeId>,
    /// Arithmetic on the image itself, before the first convolution: the network prepares its input on its own.
    #[serde(skip)]
    pub scaling: Vec<NodeId>,
    /// Whether a fixed filter smooths before a stride.
    pub blurred: bool,
    /// Product of all strides.
    pub stride: usize,
    /// Whether something in it is not known.
    #[serde(skip)]
    pub unseen: bool,
}

/// A run of blocks of one width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Which of [`Anatomy::blocks`].
    pub blocks: Range<usize>,
    /// Inner width of its first block.
    pub width: usize,
    /// Channels that its blocks give, where known.
    pub outputs: Option<usize>,
    /// Product of the strides of its blocks.
    pub stride: usize,
}

/// How many convolutions the main path has, and of what size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// Two, wider than 1x1.
    Basic,
    /// 1x1, wider, 1x1, the middle not wider than the block.
    Bottleneck,
    /// Anything else.
    Other,
}

/// Where normalisation and activation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationOrder {
    /// Behind each convolution, and an activation behind the sum.
    Post,
    /// Before each convolution, and nothing behind the sum.
    Pre,
}

/// What is done on the shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortcutKind {
    /// Nothing.
    Identity,
    /// A convolution, with or without normalisation, with or without a pool before it.
    Projection,
    /// Channels of zeros are added.
    Pad,
    /// A pool or a slice.
    Pool,
    /// Something that is not known, without a convolution that would be seen.
    Unknown,
}

/// What a pre-activated block's shortcut starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// What the block is given.
    Raw,
    /// The normalised and activated value.
    Preactivated,
}

/// Normalisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    /// Over the batch, with stored statistics.
    Batch,
    /// Over groups of channels.
    Group,
    /// Over each channel of a image.
    Instance,
    /// Over a whole image or its channels.
    Layer,
    /// A scale and an offset per channel: what an exporter leaves of a batch norm.
    Affine,
}

/// One convolution and what is bound to it.
#[derive(Debug, Clone, Serialize)]
pub struct ConvNormAct {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Rows and columns of the kernel; 0 where they are not known.
    pub kernel: [usize; 2],
    /// Larger one of its strides.
    pub stride: usize,
    /// Larger one of its dilations.
    pub dilation: usize,
    /// Groups.
    pub groups: usize,
    /// Channels that it takes.
    pub inputs: usize,
    /// Channels that it gives.
    pub outputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// How it pads.
    #[serde(skip)]
    pub padding: Padding,
    /// Its normalisation: behind it, before it in a pre-activated block.
    #[serde(skip)]
    pub norm: Option<NodeId>,
    /// Its activation, likewise.
    #[serde(skip)]
    pub activation: Option<NodeId>,
}

impl ConvNormAct {
    /// Whether its kernel is wider than 1x1.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.kernel.iter().any(|&k| k > 1)
    }
}

/// A gate per channel, computed from the mean over all pixels.
#[derive(Debug, Clone, Serialize)]
pub struct SqueezeExcite {
    /// The product.
    #[serde(skip)]
    pub gate: NodeId,
    /// Its dense layers or 1x1 convolutions, in order.
    #[serde(skip)]
    pub layers: Vec<NodeId>,
    /// Channels between them.
    pub width: Option<usize>,
}

/// The path beside the main one.
#[derive(Debug, Clone, Serialize)]
pub struct Shortcut {
    /// What it starts from.
    pub reads: Reads,
    /// Product of its strides.
    pub stride: usize,
    /// Whether a pool is on it (the `-D` form pools before its projection).
    pub pooled: bool,
    /// Whether a normalisation is on it.
    pub normed: bool,
    /// That normalisation.
    #[serde(skip)]
    pub norm: Option<NodeId>,
    /// Its convolution.
    pub conv: Option<ConvNormAct>,
    /// Its nodes, in order; empty where the shortcut is the value itself.
    #[serde(skip)]
    pub nodes: Vec<NodeId>,
    /// What each of them is.
    #[serde(skip)]
    pub steps: Vec<Step>,
}

/// Where operators that are not known have a part in a block. What they may be cannot be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unseen {
    /// On the main path, or beside it where gates are computed.
    pub main: bool,
    /// On the shortcut.
    pub shortcut: bool,
    /// In what comes before the paths part, where a pre-activation would be.
    pub before: bool,
    /// In what comes behind the sum, where an activation would be.
    pub behind: bool,
}

impl Unseen {
    /// Whether there are any.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Whether where the block normalises and activates can be seen.
    #[must_use]
    pub fn hides_order(self) -> bool {
        self.main || self.before || self.behind
    }
}

/// One residual block.
#[derive(Debug, Clone, Serialize)]
pub struct Block {
    /// `stages.2.blocks.0`: counted from 0, as in the names of its tensors.
    pub name: String,
    /// Stage, from 0.
    pub stage: usize,
    /// Place in the stage, from 0.
    pub index: usize,
    /// Shape of the main path.
    pub kind: BlockKind,
    /// Where normalisation and activation are.
    pub activation: ActivationOrder,
    /// What is done on the shortcut.
    pub shortcut: ShortcutKind,
    /// Product of the strides of the main path.
    pub stride: usize,
    /// What carries the stride: `conv1`, `conv2`, `pool`, `blur`; joined by `+` where several do.
    pub stride_on: Option<String>,
    /// Groups of its wide convolutions.
    pub groups: usize,
    /// Largest dilation.
    pub dilation: usize,
    /// Inner width: channels of a bottleneck's wide convolution, of the first one elsewhere.
    pub width: usize,
    /// Channels that it takes, where known.
    pub inputs: Option<usize>,
    /// Channels that it gives, where known.
    pub outputs: Option<usize>,
    /// Its first normalisation's kind; [`None`] where there is none, or it was folded away.
    pub norm: Option<NormKind>,
    /// Activations on the main path, by name.
    pub activations: Vec<String>,
    /// Activation behind the sum.
    pub after_add: Option<String>,
    /// What the source calls the block, as far as the names of its layers tell.
    pub hint: Option<String>,
    /// Its gate, where it has one.
    pub squeeze_excite: Option<SqueezeExcite>,
    /// Whether it has a gate of another kind: one convolution over its channels, a choice between branches.
    pub other_gate: bool,
    /// Whether a fixed filter smooths before a stride.
    pub blurred: bool,
    /// Operands of the sum.
    pub branches: usize,
    /// Whether the main path parts and meets again within the block, as in Res2Net, SKNet, ResNeSt and IBN-Net.
    #[serde(skip)]
    pub parted: bool,
    /// The path beside the main one, in detail.
    #[serde(rename = "shortcut_path")]
    pub path: Shortcut,
    /// Convolutions of the main path.
    pub convs: Vec<ConvNormAct>,
    /// Where the paths part.
    #[serde(skip)]
    pub fork: ValueId,
    /// What the block is given: before its pre-activation, where the paths part behind that.
    #[serde(skip)]
    pub entry: ValueId,
    /// What the sum gives.
    #[serde(skip)]
    pub sum: ValueId,
    /// The sum.
    #[serde(skip)]
    pub add: NodeId,
    /// Nodes of the main path, its pre-activation among them.
    #[serde(skip)]
    pub main: Vec<NodeId>,
    /// What each of them is.
    #[serde(skip)]
    pub steps: Vec<Step>,
    /// Normalisations of the main path.
    #[serde(skip)]
    pub norms: Vec<NodeId>,
    /// What of it is not known.
    #[serde(skip)]
    pub unseen: Unseen,
}

/// Convolutions between two blocks.
#[derive(Debug, Clone, Serialize)]
pub struct Loose {
    /// Which of [`Anatomy::blocks`] they follow.
    pub behind: usize,
    /// The convolutions.
    pub convs: Vec<ConvNormAct>,
    /// Whether something that is not known lies between the two blocks: it may be the sum that seems to be missing.
    #[serde(skip)]
    pub unseen: bool,
}

/// A sum whose main path holds other sums.
#[derive(Debug, Clone, Serialize)]
pub struct LongSkip {
    /// The sum.
    #[serde(skip)]
    pub add: NodeId,
    /// Where the paths part.
    #[serde(skip)]
    pub from: ValueId,
    /// Blocks that it spans, at least.
    pub spans: usize,
}

/// What comes behind the last block.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Head {
    /// Normalisation before the pool, as pre-activated networks have it.
    #[serde(skip)]
    pub norm: Option<NodeId>,
    /// The pool.
    #[serde(skip)]
    pub pool: Option<NodeId>,
    /// Whether pixels are made features.
    pub flattened: bool,
    /// Fully connected layers.
    pub dense: Vec<Dense>,
    /// Features of the last of them.
    pub classes: Option<usize>,
}

/// A fully connected layer.
#[derive(Debug, Clone, Serialize)]
pub struct Dense {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Features that it gives.
    pub outputs: Option<usize>,
    /// Its activation.
    pub activation: Option<String>,
}

/// Convolutions of a network without blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainConvs {
    /// How many.
    pub total: usize,
    /// How many have a filter of their own for each channel.
    pub depthwise: usize,
    /// Whether there are gates between them.
    pub gated: bool,
    /// Behind the first: how many there are of each width, in order.
    pub stages: Vec<usize>,
}

/// Finds out what a network is made of. Never fails: what is no residual network has no blocks.
///
/// What exporters wrote out is seen as what it was; nodes and values are those of `model` all the same.
#[must_use]
pub fn analyse(model: &Typed) -> Anatomy {
    // A tensor that cannot be read is found by whoever needs it.
    analyse_normalised(model, normalise(model).ok().flatten().as_ref())
}

/// The same, for a model of which it is known what [`normalise`] makes of it.
#[must_use]
pub fn analyse_normalised(model: &Typed, normal: Option<&Normalised>) -> Anatomy {
    match normal {
        Some(normal) => analyse_as_it_is(&normal.model).in_source(normal.model.graph(), model.graph(), &normal.origin),
        None => analyse_as_it_is(model),
    }
}

/// The same for a network whose operators are what they were before any export.
#[must_use]
pub fn analyse_as_it_is(model: &Typed) -> Anatomy {
    let flow = Flow::new(model);
    let sums = block::find(&flow);
    let trunk = Trunk::of(&flow, &sums);
    let mut blocks: Vec<Block> = trunk.block_order().map(|at| sums.blocks[at].clone()).collect();
    let stages = trunk::split_stages(&mut blocks);
    let mut head = trunk.head(&flow);
    if blocks.is_empty() && head.dense.is_empty() && head.pool.is_none() {
        head = Head::default();
    }
    let mut anatomy = Anatomy {
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
        hidden: unseen::hidden(&flow, &trunk, &blocks),
        given_up: flow.given_up(),
        blocks,
    };
    anatomy.architecture = form::architecture(&anatomy);
    anatomy
}

impl Anatomy {
    /// Blocks of one stage.
    #[must_use]
    pub fn stage_blocks(&self, stage: &Stage) -> &[Block] {
        &self.blocks[stage.blocks.clone()]
    }

    /// Name of the standard architecture; [`None`] for all that only resembles one.
    #[must_use]
    pub fn standard_name(&self) -> Option<&str> {
        self.architecture.as_ref().filter(|architecture| architecture.standard).map(|a| a.name.as_str())
    }

    /// Convolutions on the way through main paths, with the stem as one, and one dense layer: the number in a name.
    #[must_use]
    pub fn depth(&self) -> usize {
        if let Some(dense) = &self.dense {
            return dense.depth() + self.head.dense.len().max(1);
        }
        if self.blocks.is_empty() {
            return self.plain.total + self.head.dense.len().max(1);
        }
        let stem = match self.stem.convs.len() {
            0 => 0,
            1..=3 => 1,
            more => more,
        };
        let blocks: usize = self.blocks.iter().map(|block| block.convs.len()).sum();
        let loose: usize = self.loose.iter().map(|loose| loose.convs.len()).sum();
        stem + blocks + loose + 1
    }

    /// Kind of most blocks.
    #[must_use]
    pub fn block_kind(&self) -> Option<BlockKind> {
        trunk::prevailing_kind(&self.blocks)
    }
}
