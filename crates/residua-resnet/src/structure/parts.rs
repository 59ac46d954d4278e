//! What an [`Anatomy`] consists of: the parts of a network, as they are found.
//!
//! Only data and what follows from it alone; the files beside this one find it, `crate::architecture` names it.

use std::ops::Range;

use residua_ir::budget::Overrun;
use residua_ir::{NodeId, Padding, ValueId};
use serde::Serialize;

use crate::form::{ActivationOrder, Architecture, BlockKind};

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
    /// Over each channel of an image.
    Instance,
    /// Over each channel of an image for some channels, over the batch for others, as IBN-Net has it.
    Mixed,
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
    /// Kind of its normalisations, of the first where they differ; [`None`] where there is none, or it was folded away.
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
    /// Whether a normalisation stands between the sum of a post-activated block and the activation behind it.
    #[serde(skip)]
    pub norm_behind: bool,
    /// What of it is not known.
    #[serde(skip)]
    pub unseen: Unseen,
}

impl Block {
    /// Whether it has a gate before its last convolution; squeeze-and-excite networks have theirs behind that.
    pub(crate) fn gates_early(&self) -> bool {
        let place = |node: NodeId| self.main.iter().position(|&other| other == node);
        let gate = self.squeeze_excite.as_ref().and_then(|gate| place(gate.gate));
        let last = self.convs.last().and_then(|conv| place(conv.node));
        matches!((gate, last), (Some(gate), Some(last)) if gate < last)
    }
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

/// What a node is to a convolutional network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A convolution that is learned.
    Conv,
    /// A fixed depthwise filter, as anti-aliasing nets put before their strides.
    Blur,
    /// A normalisation, or a scale and offset per channel that was left of one.
    Norm,
    /// An activation.
    Activation,
    /// A pool with a window.
    Pool,
    /// A pool over all pixels.
    GlobalPool,
    /// Padding, of pixels or channels.
    Pad,
    /// A part of a value.
    Slice,
    /// A fully connected layer.
    Dense,
    /// Softmax.
    Softmax,
    /// Other axes, the same numbers.
    Reshape,
    /// Nothing at all when run.
    Pass,
    /// Multiplication by, or addition of, constants that are not per channel.
    Scale,
    /// A sum of paths.
    Join,
    /// A product of paths.
    Gate,
    /// Anything else that brings paths together.
    Merge,
    /// What has no part in residual networks.
    Other,
    /// What is not known: it may be anything.
    Unknown,
}

/// A place where paths meet, with the stretch of each path before it.
#[derive(Debug, Clone, Serialize)]
pub struct Stray {
    /// Where they meet.
    #[serde(skip)]
    pub node: NodeId,
    /// Whether they are added.
    pub is_sum: bool,
    /// One for each operand, in order.
    pub paths: Vec<Stretch>,
}

/// A path back to the next place where paths meet, or to where the first paths of the network part.
#[derive(Debug, Clone, Serialize)]
pub struct Stretch {
    /// What it starts from.
    #[serde(skip)]
    pub from: ValueId,
    /// Its nodes, in the order in which data flows.
    #[serde(skip)]
    pub nodes: Vec<NodeId>,
    /// Its convolutions.
    pub convs: Vec<ConvNormAct>,
}

/// What a densely connected network is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DenseBlocks {
    /// Layers of each block.
    pub layers: Vec<usize>,
    /// Channels that each layer adds.
    pub growth: usize,
    /// All convolutions.
    pub convs: usize,
    /// Kernels before the first layer.
    pub stem: Vec<[usize; 2]>,
    /// Whether a fixed filter smooths before a stride.
    pub blurred: bool,
}

impl DenseBlocks {
    /// Convolutions as names count them: a deep stem is one.
    fn depth(&self) -> usize {
        let more = if self.stem.len() <= 3 { self.stem.len().saturating_sub(1) } else { 0 };
        self.convs - more.min(self.convs)
    }
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
        let blocks = &self.blocks;
        let count = |kind: BlockKind| blocks.iter().filter(|block| block.kind == kind).count();
        let kinds = [BlockKind::Bottleneck, BlockKind::Basic, BlockKind::Other];
        kinds.into_iter().max_by_key(|&kind| count(kind)).filter(|_| !blocks.is_empty())
    }
}
