//! The form that a network has, as its blocks show it.

use crate::form::{ActivationOrder, Form, StageForm, StemForm, StrideIn};
use crate::structure::{Anatomy, Block, NormKind, ShortcutKind};

impl Form {
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
