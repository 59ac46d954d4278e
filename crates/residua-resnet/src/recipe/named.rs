//! Standard names to recipes: as Keras builds what only Keras has, as torchvision and timm build the rest.

use std::collections::BTreeMap;

use super::{Classifier, Conventions, Head, HeadPool, Input, KerasModelClass, Norms, Pace, Projections, Recipe, Sizes};
use crate::anatomy::{ActivationOrder, BlockKind, Reads};
use crate::form::Form;
use crate::layouts::TORCH;

/// timm's pre-activated networks.
const TIMM_V2: Conventions = Conventions {
    stem_norm: false,
    shortcut_norm: false,
    shortcut_reads: Reads::Preactivated,
    projections: Projections::FirstBottleneck,
    ..TORCH
};

/// Names that [`Recipe::named`] takes, with those that differ in depth alone left out.
pub const EXAMPLES: [&str; 13] = [
    "resnet18",
    "resnet50",
    "resnet50v1",
    "resnet50v2",
    "resnet50d",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "seresnet50",
    "resnetv2_50",
    "resnet50_gn",
    "resnet20_cifar",
    "resnet1202_cifar",
    "resnet29v2_cifar",
];

impl Recipe {
    /// The standard network of a name, with a softmax where Keras's own has one; [`None`] where no recipe makes it.
    #[must_use]
    pub fn named(name: &str, input: Input, classes: usize) -> Option<Self> {
        if let Some(recipe) = KerasModelClass::named(name, input.clone(), Some(classes)) {
            return Some(recipe);
        }
        let form = Form::named(name).into_iter().next()?;
        if form.blurred || form.block == BlockKind::Other {
            return None;
        }
        let conventions = if form.order == ActivationOrder::Pre { TIMM_V2 } else { TORCH };
        let norms = if form.group_norm { Norms::Group(32) } else { conventions.norms };
        // As timm has them: gates of a sixteenth of the channels, a deep stem of half of its width.
        let gates = if form.squeeze_excite {
            form.stages.iter().map(|stage| (stage.outputs / 16).max(8)).collect()
        } else {
            Vec::new()
        };
        let sizes = Sizes { deep_stem: [form.stem_width / 2; 2], gates };
        let head = Some(Head::new(HeadPool::Global, Some(Classifier::dense(classes, false))));
        Some(Self {
            name: name.to_ascii_lowercase(),
            form,
            sizes,
            input,
            head,
            conventions: Conventions { norms, ..conventions },
            names: Vec::new(),
            pace: Pace::default(),
            own: BTreeMap::new(),
        })
    }
}
