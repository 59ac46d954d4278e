//! What the blocks of a network have in common, and whether that is a form that the literature knows.
//!
//! A residual network repeats one block. What most blocks have is taken for what was meant; a few that are otherwise
//! are exceptions. Where the dominant pattern is a known form, an exception is an error: nobody builds ResNet-50 with one ReLU less.
//! Where it is not, it is a warning where all other blocks are alike in everything, and nothing where they are not: nobody
//! knows what was meant, and networks that were searched for have blocks of many kinds.
//!
//! What cannot be seen is not judged: an operator that is not known may be whatever fits, and blocks have no dominant pattern because of it.

use std::collections::BTreeSet;

use residua_ir::{Graph, Level, NodeId};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{ActivationOrder, Block, ConvNormAct, ShortcutKind, Step};

use crate::majority::{LEAST, few, usual};
use crate::wiring::{self, Wiring};

/// A layer of a main path, as far as patterns go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathLayer {
    Conv,
    Norm,
    Activation(String),
    /// What is not known: any layers, or none.
    Unknown,
}

/// What most blocks have in common.
#[derive(Debug)]
pub(crate) struct DominantPattern {
    /// Kernels of the main path.
    pub(crate) kernels: Vec<[usize; 2]>,
    /// Where normalisation and activation are.
    pub(crate) order: ActivationOrder,
    /// Layers of the main path.
    pub(crate) path_layers: Vec<PathLayer>,
    /// Activation behind the sum.
    pub(crate) after: Option<String>,
    /// Whether it is a known form, and most blocks are of it.
    pub(crate) known: bool,
    /// Whether all blocks but one are alike, whatever their form is.
    uniform: bool,
    /// Sums that are no blocks and look like what became of one.
    pub(crate) wirings: Vec<Wiring>,
    /// Convolutions that look like a block without its sum.
    pub(crate) lost: Vec<Lost>,
}

/// A block's convolutions without a sum behind them.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Its convolutions.
    pub(crate) convs: Vec<ConvNormAct>,
    /// The block before it; none at the very beginning.
    pub(crate) behind: Option<usize>,
}

impl DominantPattern {
    /// [`None`] where there are too few blocks to have one.
    pub(crate) fn of(graph: &Graph, anatomy: &Anatomy) -> Option<Self> {
        let blocks: Vec<&Block> = anatomy.blocks.iter().filter(|block| !block.unseen.main).collect();
        if blocks.len() < LEAST {
            return None;
        }
        let ordered = || blocks.iter().filter(|block| !block.unseen.hides_order());
        let kernels = usual(blocks.iter().map(|block| kernels(block)))?.value;
        let order = usual(ordered().map(|block| block.activation))?.value;
        let path_layers = usual(ordered().map(|block| path_layers(block).0))?.value;
        let after = usual(ordered().map(|block| block.after_add.clone()))?.value;
        let uniform = is_uniform(&anatomy.blocks);
        let mut dominant =
            Self { kernels, order, path_layers, after, known: false, uniform, wirings: Vec::new(), lost: Vec::new() };
        dominant.wirings = wiring::find(graph, anatomy, &dominant.kernels);
        dominant.lost = lost(anatomy, &dominant);
        let alike = blocks.iter().filter(|block| dominant.is_followed_by(block)).count();
        let others = blocks.len() - alike + dominant.wirings.len() + dominant.lost.len();
        // Networks that join such blocks in ways of their own, as HRNet and DLA do, are of another form.
        let joined = anatomy.inner_merges + anatomy.elsewhere;
        // What is known is known from elsewhere: it holds for most blocks, not for nearly all.
        let mostly = |others: usize| others * 4 <= alike + others;
        dominant.known = dominant.is_known_form() && alike >= LEAST && mostly(others) && mostly(joined);
        Some(dominant)
    }

    /// Whether an exception means anything.
    pub(crate) fn judges(&self) -> bool {
        self.known || self.uniform
    }

    /// How bad an exception is.
    pub(crate) fn level(&self) -> Level {
        if self.known { Level::Error } else { Level::Warning }
    }

    /// How bad an exception is whose kind is a warning at most.
    pub(crate) fn at_most_warning(&self) -> Level {
        self.level().min(Level::Warning)
    }

    /// Whether what a block follows is one that lost its sum.
    pub(crate) fn is_behind_lost(&self, anatomy: &Anatomy, block: &Block) -> bool {
        let mut ends = self.lost.iter().map(|lost| lost.behind.map_or(0, |behind| behind + 1));
        ends.any(|at| anatomy.blocks.get(at).is_some_and(|other| other.add == block.add))
    }

    fn is_followed_by(&self, block: &Block) -> bool {
        kernels(block) == self.kernels
            && block.activation == self.order
            && self.first_exception(&path_layers(block).0, block).is_none()
    }

    /// The first place in which the layers of a main path are not those of the dominant pattern. The very first pre-activated block
    /// commonly begins with its convolution, as the stem is normalised and activated already.
    pub(crate) fn first_exception(&self, path_layers: &[PathLayer], block: &Block) -> Option<usize> {
        let usual = &self.path_layers[..];
        let bare = self.order == ActivationOrder::Pre && (block.stage, block.index) == (0, 0);
        let leading = usual.iter().take_while(|part| **part != PathLayer::Conv).count();
        if bare && path_layers.first() == Some(&PathLayer::Conv) && path_layers == &usual[leading..] {
            return None;
        }
        if may_be(path_layers, usual)
            || (block.unseen.before && (0..usual.len()).any(|at| may_be(path_layers, &usual[at..])))
        {
            return None;
        }
        (0..usual.len().max(path_layers.len())).find(|&at| usual.get(at) != path_layers.get(at))
    }

    /// Convolutions with norms and activations where He et al. have them, in 2015 or 2016.
    fn is_known_form(&self) -> bool {
        const BASIC: &[[usize; 2]] = &[[3, 3], [3, 3]];
        const BOTTLENECK: &[[usize; 2]] = &[[1, 1], [3, 3], [1, 1]];
        let no_norms: Vec<&PathLayer> = self.path_layers.iter().filter(|part| **part != PathLayer::Norm).collect();
        let (convs, activations) = (self.kernels.len(), no_norms.len() - self.kernels.len().min(no_norms.len()));
        let alternate =
            no_norms.windows(2).all(|pair| matches!(pair[0], PathLayer::Conv) != matches!(pair[1], PathLayer::Conv));
        let starts_with_conv = matches!(no_norms.first(), Some(PathLayer::Conv));
        let ends_with_conv = matches!(no_norms.last(), Some(PathLayer::Conv));
        let order = match self.order {
            ActivationOrder::Post => starts_with_conv && activations + 1 == convs && self.after.is_some(),
            ActivationOrder::Pre => !starts_with_conv && activations == convs && self.after.is_none(),
        };
        (self.kernels == BASIC || self.kernels == BOTTLENECK) && alternate && ends_with_conv && order
    }
}

/// Whether all blocks but one are alike, of so many that this can be no chance.
fn is_uniform(blocks: &[Block]) -> bool {
    let signature = |block: &Block| {
        let wide = block.convs.iter().map(|conv| (conv.kernel, conv.groups > 1)).collect::<Vec<_>>();
        let gates = (block.squeeze_excite.is_some(), block.other_gate, block.parted);
        (wide, gates, block.after_add.clone(), path_layers(block).0)
    };
    let usual = usual(blocks.iter().filter(|block| !block.unseen.main).map(signature));
    usual.is_some_and(|usual| usual.total >= 2 * LEAST && usual.total - usual.count <= 1)
}

/// Whether layers may be these, whatever what is not known among them is.
fn may_be(path_layers: &[PathLayer], usual: &[PathLayer]) -> bool {
    // Which lengths of `usual` what came so far may be: only what is not known may be several.
    let mut ends: BTreeSet<usize> = BTreeSet::from([0]);
    for part in path_layers {
        ends = match (part, ends.first()) {
            (_, None) => return false,
            (PathLayer::Unknown, Some(&least)) => (least..=usual.len()).collect(),
            (known, Some(_)) => ends.into_iter().filter(|&at| usual.get(at) == Some(known)).map(|at| at + 1).collect(),
        };
    }
    ends.contains(&usual.len())
}

pub(crate) fn kernels(block: &Block) -> Vec<[usize; 2]> {
    block.convs.iter().map(|conv| conv.kernel).collect()
}

/// Layers of a main path, and the node of each; norms that follow each other are one.
pub(crate) fn path_layers(block: &Block) -> (Vec<PathLayer>, Vec<NodeId>) {
    let (mut path_layers, mut nodes) = (Vec::new(), Vec::new());
    let mut names = block.activations.iter();
    for (&node, step) in block.main.iter().zip(&block.steps) {
        let part = match step {
            Step::Conv => PathLayer::Conv,
            Step::Norm if path_layers.last() == Some(&PathLayer::Norm) => continue,
            Step::Norm => PathLayer::Norm,
            Step::Activation => PathLayer::Activation(names.next().cloned().unwrap_or_default()),
            Step::Unknown => PathLayer::Unknown,
            Step::Blur
            | Step::Pool
            | Step::GlobalPool
            | Step::Pad
            | Step::Slice
            | Step::Dense
            | Step::Softmax
            | Step::Reshape
            | Step::Pass
            | Step::Scale
            | Step::Join
            | Step::Gate
            | Step::Merge
            | Step::Other => continue,
        };
        path_layers.push(part);
        nodes.push(node);
    }
    (path_layers, nodes)
}

/// Runs of convolutions that are what a block has, and that no sum follows.
fn lost(anatomy: &Anatomy, dominant: &DominantPattern) -> Vec<Lost> {
    let wired: Vec<NodeId> = dominant.wirings.iter().flat_map(Wiring::convs).copied().collect();
    let mut found = Vec::new();
    for loose in anatomy.loose.iter().filter(|loose| !loose.unseen) {
        found.extend(runs(&loose.convs, dominant, &wired).map(|convs| Lost { convs, behind: Some(loose.behind) }));
    }
    let of_stem = if anatomy.stem.unseen { &[] } else { behind_stem(anatomy) };
    let like_first = |convs: &Vec<ConvNormAct>| {
        let first = anatomy.blocks.first().map(|block| &block.convs);
        first.is_some_and(|first| convs.iter().map(|c| c.outputs).eq(first.iter().map(|c| c.outputs)))
    };
    found.extend(runs(of_stem, dominant, &wired).filter(like_first).map(|convs| Lost { convs, behind: None }));
    // Some networks have a shortcut only where nothing changes. There what changes is no lost block.
    let changes = |convs: &[ConvNormAct]| {
        let stride = convs.iter().fold(1usize, |product, conv| product.saturating_mul(conv.stride));
        let (first, last) = (convs.first().map(|conv| conv.inputs), convs.last().map(|conv| conv.outputs));
        stride > 1 || first != last
    };
    let bridged = anatomy.blocks.iter().filter(|block| block.shortcut != ShortcutKind::Identity).count();
    let changing = found.iter().filter(|lost| changes(&lost.convs)).count();
    if bridged < changing {
        found.retain(|lost| !changes(&lost.convs));
    }
    if !few(found.len(), anatomy.blocks.len() + found.len()) {
        found.clear();
    }
    found
}

/// Convolutions before the first block that are not what a stem has: those behind its pool, or behind its first one.
fn behind_stem(anatomy: &Anatomy) -> &[ConvNormAct] {
    let convs = &anatomy.stem.convs;
    let start = match anatomy.stem.pool {
        Some(pool) => convs.iter().position(|conv| conv.node > pool).unwrap_or(convs.len()),
        None => 1.min(convs.len()),
    };
    &convs[start..]
}

/// Convolutions in pieces as long as a block, where all of them are such pieces.
fn runs<'a>(
    convs: &'a [ConvNormAct],
    dominant: &'a DominantPattern,
    wired: &[NodeId],
) -> impl Iterator<Item = Vec<ConvNormAct>> + 'a {
    let size = dominant.kernels.len().max(1);
    let is_block = |run: &[ConvNormAct]| run.iter().map(|conv| conv.kernel).eq(dominant.kernels.iter().copied());
    let all = convs.len().is_multiple_of(size)
        && convs.chunks(size).all(is_block)
        && !convs.iter().any(|conv| wired.contains(&conv.node));
    convs.chunks(size).filter(move |_| all).map(<[ConvNormAct]>::to_vec)
}
