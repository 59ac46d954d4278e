//! What there is to say of a form: kinds of blocks, stems, stages, families, and the name of a network.

use serde::Serialize;

/// What a network is called, and the figures behind that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Architecture {
    /// The standard name, or one in the same spirit.
    pub name: String,
    /// Whether that is a standard name: all sizes are the ones that the name stands for.
    pub standard: bool,
    /// Which of the known families.
    pub family: Family,
    /// Convolutions on the way through main paths and one dense layer: the number in the name.
    pub depth: usize,
    /// Kind of most blocks.
    pub block: Option<BlockKind>,
    /// Blocks a stage, layers a block of a densely connected network; none in a plain one.
    pub stages: Vec<usize>,
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

/// Families of residual networks, told apart by the order within a block and by what carries the stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Family {
    /// Activation behind the sum; a bottleneck's stride on its first 1x1. Basic blocks are of this family too.
    #[serde(rename = "v1")]
    V1,
    /// As v1 with a bottleneck's stride on its 3x3.
    #[serde(rename = "v1.5")]
    V15,
    /// Pre-activation.
    #[serde(rename = "v2")]
    V2,
    /// Residual, of no known form.
    #[serde(rename = "residual")]
    Residual,
    /// Each layer's channels are added to those before it: DenseNet.
    #[serde(rename = "dense")]
    Dense,
    /// Without shortcuts.
    #[serde(rename = "plain")]
    Plain,
}

/// How a network begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StemForm {
    /// 7x7 with stride 2 and a pool with stride 2.
    Large,
    /// Three 3x3, the first with stride 2, and a pool with stride 2.
    Deep,
    /// One 3x3 with stride 1, without a pool.
    Small,
    /// None of these.
    Other,
}

impl StemForm {
    /// What it is, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Large => "7x7 with stride 2 and a pool",
            Self::Deep => "three 3x3 and a pool",
            Self::Small => "3x3 without a pool",
            Self::Other => "another one",
        }
    }
}

/// Which block of a stage carries its stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StrideIn {
    /// The first, from the second stage on.
    First,
    /// The last, but for the last stage; its shortcut is a pool.
    Last,
}

/// One stage of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StageForm {
    /// Blocks.
    pub blocks: usize,
    /// Inner width.
    pub width: usize,
    /// Channels given.
    pub outputs: usize,
}

/// What all networks of one name share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Kind of every block.
    pub block: BlockKind,
    /// Where normalisation and activation are.
    pub order: ActivationOrder,
    /// How it begins.
    pub stem: StemForm,
    /// Channels behind the stem.
    pub stem_width: usize,
    /// Stages.
    pub stages: Vec<StageForm>,
    /// Number of the convolution that carries a block's stride; 0 where none does.
    pub stride_on: usize,
    /// Which block of a stage carries its stride.
    pub stride_in: StrideIn,
    /// Groups of the wide convolutions.
    pub groups: usize,
    /// Whether blocks have squeeze-and-excite gates.
    pub squeeze_excite: bool,
    /// Whether projections with a stride pool instead.
    pub pooled_shortcut: bool,
    /// Whether a fixed filter smooths before strides.
    pub blurred: bool,
    /// Whether group norms stand in for batch norms.
    pub group_norm: bool,
}

impl Form {
    /// Number in the name: convolutions of the main paths, the stem and the dense layer as one each.
    #[must_use]
    pub fn depth(&self) -> usize {
        let convs = match self.block {
            BlockKind::Basic => 2,
            BlockKind::Bottleneck | BlockKind::Other => 3,
        };
        self.stages.iter().map(|stage| stage.blocks * convs).sum::<usize>() + 2
    }

    /// Family.
    #[must_use]
    pub fn family(&self) -> Family {
        match (self.order, self.block) {
            (_, BlockKind::Other) => Family::Residual,
            (ActivationOrder::Pre, _) => Family::V2,
            (ActivationOrder::Post, BlockKind::Bottleneck) if self.stride_on == 2 || self.blurred => Family::V15,
            (ActivationOrder::Post, BlockKind::Bottleneck | BlockKind::Basic) => Family::V1,
        }
    }
}
