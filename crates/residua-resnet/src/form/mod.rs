//! The known forms of residual networks and their names; which form a network has, and in what it differs from another.
//!
//! A [`Form`] says what all networks of one name share: stem, stages, blocks, strides. It does not say what may be
//! changed without changing the name: channels of the image, its size, classes, head. The same description serves in
//! both directions: [`Form::named`] gives it from a name, `observed` from an [`Anatomy`]; they are compared field by
//! field, and the differences are sentences.
//!
//! Names: a network of a known form in exactly its standard sizes has the standard name. One in other sizes (thin,
//! wide, another number of blocks, another stem) is that name with its own depth and `-custom` behind it:
//! `resnet50v2-custom`. So are densely connected networks (`densenet121`). What is residual and of no known form is `residual` and its depth; what has no blocks at all is
//! `plain` and its depth.

mod compare;
mod known;

use serde::Serialize;

use crate::anatomy::{ActivationOrder, Anatomy, Block, BlockKind, NormKind, ShortcutKind};

pub use compare::Difference;

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
    /// Forms that a standard name stands for; several where the literature has several. Empty for unknown names.
    #[must_use]
    pub fn named(name: &str) -> Vec<Self> {
        known::named(&name.to_ascii_lowercase())
    }

    /// The standard name of a form in exactly its sizes.
    #[must_use]
    pub fn standard_name(&self) -> Option<String> {
        known::name(self, self.depth()).filter(|name| known::named(name).contains(self))
    }

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

    /// The form of a network, as far as its blocks agree; [`None`] without blocks.
    #[must_use]
    pub fn observed(anatomy: &Anatomy) -> Option<Self> {
        let blocks = &anatomy.blocks;
        let first = blocks.first()?;
        let most = |holds: &dyn Fn(&Block) -> bool| blocks.iter().filter(|b| holds(b)).count() * 2 > blocks.len();
        let strided: Vec<&Block> = blocks.iter().filter(|block| block.stride > 1).collect();
        let carriers = |on: &str| {
            strided.iter().filter(|b| b.stride_on.as_deref().is_some_and(|s| s.split('+').any(|p| p == on))).count()
        };
        let last_of_stage = |b: &Block| {
            b.index > 0 && anatomy.stages[b.stage].blocks.len() == b.index + 1 && b.shortcut == ShortcutKind::Pool
        };
        let in_last = !strided.is_empty() && strided.iter().all(|b| last_of_stage(b));
        Some(Self {
            block: anatomy.block_kind()?,
            order: if most(&|b| b.activation == ActivationOrder::Pre) {
                ActivationOrder::Pre
            } else {
                ActivationOrder::Post
            },
            stem: observed_stem(anatomy),
            stem_width: anatomy.stem.convs.last().map(|conv| conv.outputs).or(first.inputs).unwrap_or(0),
            stages: anatomy
                .stages
                .iter()
                .map(|stage| StageForm {
                    blocks: stage.blocks.len(),
                    width: stage.width,
                    outputs: stage.outputs.unwrap_or(0),
                })
                .collect(),
            // Of equals the first.
            stride_on: (1..=3)
                .filter(|n| carriers(&format!("conv{n}")) > 0)
                .max_by_key(|n| (carriers(&format!("conv{n}")), 4 - n))
                .unwrap_or(0),
            stride_in: if in_last { StrideIn::Last } else { StrideIn::First },
            groups: blocks.iter().map(|block| block.groups).max().unwrap_or(1),
            squeeze_excite: most(&|b| b.squeeze_excite.is_some()),
            pooled_shortcut: blocks.iter().any(|b| b.shortcut == ShortcutKind::Projection && b.path.pooled),
            blurred: blocks.iter().any(|b| b.blurred),
            group_norm: most(&|b| b.norm == Some(NormKind::Group)),
        })
    }
}

fn observed_stem(anatomy: &Anatomy) -> StemForm {
    let stem = &anatomy.stem;
    let kernels: Vec<[usize; 2]> = stem.convs.iter().map(|conv| conv.kernel).collect();
    let stride = stem.convs.iter().fold(1, |product: usize, conv| product.saturating_mul(conv.stride));
    match (&kernels[..], stem.pool.is_some()) {
        ([[7, 7]], true) if stride == 2 => StemForm::Large,
        ([[3, 3], [3, 3], [3, 3]], true) if stride == 2 => StemForm::Deep,
        ([[3, 3]], false) if stride == 1 => StemForm::Small,
        _ => StemForm::Other,
    }
}

/// What a network is called; [`None`] where it has no convolution, or paths meet in it in ways of no residual network.
pub(crate) fn architecture(anatomy: &Anatomy) -> Option<Architecture> {
    let depth = anatomy.depth();
    // What has kernels of its own may be any part of any network.
    if anatomy.hidden.convs {
        return None;
    }
    if let Some(dense) = anatomy.dense.as_ref().filter(|_| !anatomy.hidden.any()) {
        let standard = compare::differences(anatomy, &format!("densenet{depth}")).is_some_and(|d| d.is_empty());
        return Some(Architecture {
            name: format!("densenet{depth}{}", if standard { "" } else { "-custom" }),
            standard,
            family: Family::Dense,
            depth,
            block: None,
            stages: dense.layers.clone(),
        });
    }
    let Some(form) = Form::observed(anatomy) else {
        let plain = &anatomy.plain;
        // MobileNet is a chain as well, of other convolutions, and has a name that is none of ours.
        let ordinary = plain.depthwise == 0 && !plain.gated;
        let is_plain = plain.total > 0 && anatomy.merges == 0 && !anatomy.hidden.between && ordinary;
        return is_plain.then(|| Architecture {
            name: format!("plain{depth}"),
            standard: known::plain_stages(depth).is_some_and(|stages| anatomy.plain.stages == stages),
            family: Family::Plain,
            depth,
            block: None,
            stages: Vec::new(),
        });
    };
    let family = form.family();
    // Stems of more convolutions count otherwise in the names of their networks: ResNet-RS, say.
    let known_stem = anatomy.stem.convs.len() <= 3;
    let base = known::name(&form, depth).filter(|_| known_stem && is_of_form(anatomy, &form));
    let standard = !anatomy.hidden.between
        && base.as_ref().is_some_and(|name| compare::differences(anatomy, name).is_some_and(|d| d.is_empty()));
    let name = match base {
        Some(name) if standard => name,
        Some(name) => format!("{name}-custom"),
        None => format!("residual{depth}"),
    };
    let stages = form.stages.iter().map(|stage| stage.blocks).collect();
    Some(Architecture { name, standard, family, depth, block: Some(form.block), stages })
}

/// Whether a network is of the form that its blocks have, but for a few exceptions: its blocks follow each other, and each
/// has the kind, the groups and the gates of the others, with one way through it.
///
/// HRNet and DLA repeat the blocks of ResNet between other sums and concatenations, RegNet has other groups in each
/// stage, BoTNet other blocks in the last one: their names are none of ours.
fn is_of_form(anatomy: &Anatomy, form: &Form) -> bool {
    let blocks = &anatomy.blocks;
    let few = |count: usize| count * 8 <= blocks.len();
    let follows = |block: &Block| {
        block.kind == form.block
            && block.groups == form.groups
            && block.squeeze_excite.is_some() == form.squeeze_excite
            && !block.other_gate
            && !block.parted
    };
    let instance = blocks.iter().filter(|block| block.norm == Some(NormKind::Instance)).count();
    let loose = anatomy.loose.iter().filter(|loose| !loose.unseen).count();
    let elsewhere = anatomy.inner_merges + anatomy.elsewhere + loose;
    few(blocks.iter().filter(|block| !follows(block)).count()) && few(elsewhere) && instance * 2 <= blocks.len()
}

impl Anatomy {
    /// In what the network differs from what a name stands for; empty where it is that. [`None`] for a name that is not
    /// known.
    #[must_use]
    pub fn differences(&self, name: &str) -> Option<Vec<Difference>> {
        let name = name.to_ascii_lowercase();
        if self.architecture.as_ref().is_some_and(|architecture| architecture.name == name) {
            return Some(Vec::new());
        }
        compare::differences(self, &name)
    }

    /// Whether the network is what a name stands for.
    ///
    /// # Errors
    /// Where it is not: in what it differs, a sentence each, at least one.
    pub fn is(&self, name: &str) -> Result<(), Vec<String>> {
        let Some(architecture) = &self.architecture else {
            let reason = match self.hidden.any() {
                true => "parts of it are not known",
                false => "it is no residual network, nor a plain convolutional one",
            };
            return Err(vec![reason.to_owned()]);
        };
        if architecture.name == name.to_ascii_lowercase() {
            return Ok(());
        }
        let mut reasons = vec![format!("it is {}", architecture.name)];
        match self.differences(name) {
            Some(differences) => reasons.extend(differences.iter().map(ToString::to_string)),
            None => reasons.push(format!("`{name}` is no architecture that is known here")),
        }
        Err(reasons)
    }
}
