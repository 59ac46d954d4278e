//! Naming layouts: how frameworks name the layers and tensors of a residual network. One table each, used in both
//! directions.
//!
//! A row is a place and a pattern. In rows of blocks the stage and block of the place are ignored; in the pattern `{s}`
//! stands for the stage, `{S}` for a stage behind the first, `{b}` for the block as a number and `{l}` as a letter. A
//! [`ModelLibrary`] is a collection of model classes that read weights under such names, a [`ModelClass`] one class with
//! what its code settles and can build.

mod akamaster;
mod axes;
mod burn;
mod candle;
mod detectron2;
mod huggingface;
mod keras;
mod library;
mod mmpretrain;
mod naming;
mod order;
mod senet;
mod sequential;
mod tensors;
mod timm;
mod torchvision;

pub use axes::Axes;
pub(crate) use keras::{APPLICATIONS, APPLICATIONS_OLD, APPLICATIONS_V2, CIFAR};
pub use keras::{KERAS_APPLICATIONS_OLD, KERAS_APPLICATIONS_V1, KERAS_APPLICATIONS_V2, KERAS_AUTO, fields, snake_case};
pub use library::{Can, Headless, ModelClass, ModelLibrary, SILENT, Setting};
pub use naming::NamingLayout;
use naming::Row;
pub use order::keras_order;
pub(crate) use torchvision::TORCH;
pub use torchvision::TORCHVISION;

/// All libraries. Where names and shapes fit several, the first is taken.
pub static MODEL_LIBRARIES: [&ModelLibrary; 11] = [
    &torchvision::LIBRARY,
    &timm::LIBRARY,
    &huggingface::LIBRARY,
    &keras::LIBRARY,
    &mmpretrain::LIBRARY,
    &detectron2::LIBRARY,
    &akamaster::LIBRARY,
    &candle::LIBRARY,
    &burn::LIBRARY,
    &sequential::LIBRARY,
    &senet::LIBRARY,
];

impl ModelLibrary {
    /// The library of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        MODEL_LIBRARIES.into_iter().find(|library| library.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::naming::at;
    use super::*;
    use crate::slot::{Component, Position};

    #[test]
    fn names_and_places_are_each_others_inverse() {
        for layout in [&KERAS_APPLICATIONS_V1, &KERAS_APPLICATIONS_V2, &KERAS_APPLICATIONS_OLD] {
            for &(row, _) in layout.rows() {
                for (stage, block) in [(0, 0), (3, 2), (2, 22)] {
                    let position = at(row, stage, block);
                    let name = layout.layer(position).unwrap();
                    assert_eq!(layout.position(&name), Some(position), "{} {name}", layout.name);
                }
            }
        }
    }

    #[test]
    fn names_of_tensors_and_slots_are_each_others_inverse_in_all_libraries() {
        use crate::slot::{Field, Slot};
        let fields = [Field::Weight, Field::Bias, Field::Scale, Field::Offset, Field::Mean, Field::Variance];
        for class in MODEL_LIBRARIES.into_iter().flat_map(|library| library.model_classes) {
            let layout = class.layout();
            let mut names = std::collections::BTreeMap::new();
            for &(row, _) in layout.rows() {
                for (stage, block) in [(0, 0), (3, 2), (2, 22)] {
                    let position = at(row, stage, block);
                    for slot in fields.map(|field| Slot { position, field }) {
                        let Some(name) = layout.tensor(slot) else { continue };
                        let known = names.insert(name.clone(), slot);
                        // The norm of a stem of three convolutions has the name of that of a single one.
                        let twice =
                            matches!(position, Position::Stem(Component::Norm(3))) || known.is_none_or(|k| k == slot);
                        assert!(twice, "{} {name}", layout.name);
                        let again = layout.slot(&name).map(|slot| slot.field);
                        assert_eq!(again, Some(slot.field), "{} {name}", layout.name);
                        if !matches!(position, Position::Stem(Component::Norm(3))) {
                            assert_eq!(layout.slot(&name), Some(slot), "{} {name}", layout.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_keras() {
        let position = |stage, block, component| Position::Block { stage, block, component };
        let name = |layout: &NamingLayout, position| layout.layer(position).unwrap();
        assert_eq!(name(&KERAS_APPLICATIONS_V1, position(0, 0, Component::ShortcutConv)), "conv2_block1_0_conv");
        assert_eq!(name(&KERAS_APPLICATIONS_V1, position(3, 2, Component::Norm(3))), "conv5_block3_3_bn");
        assert_eq!(name(&KERAS_APPLICATIONS_V2, position(1, 3, Component::Norm(1))), "conv3_block4_preact_bn");
        assert_eq!(name(&KERAS_APPLICATIONS_V2, position(1, 3, Component::Norm(2))), "conv3_block4_1_bn");
        assert_eq!(name(&KERAS_APPLICATIONS_OLD, position(2, 5, Component::Conv(2))), "res4f_branch2b");
        assert_eq!(KERAS_APPLICATIONS_OLD.layer(position(2, 26, Component::Conv(2))), None);
    }

    #[test]
    fn names_are_those_of_mmpretrain_and_burn_in_every_stage() {
        let layouts = |library: &str| {
            ModelLibrary::named(library).unwrap().model_classes.iter().map(|class| class.layout()).collect::<Vec<_>>()
        };
        let shortcut = |stage, component| Position::Block { stage, block: 0, component };
        let pooled = layouts("mmpretrain")[1];
        for (stage, component, name) in [
            (0, Component::ShortcutConv, "backbone.layer1.0.downsample.0"),
            (0, Component::ShortcutNorm, "backbone.layer1.0.downsample.1"),
            (1, Component::ShortcutConv, "backbone.layer2.0.downsample.1"),
            (3, Component::ShortcutNorm, "backbone.layer4.0.downsample.2"),
        ] {
            assert_eq!(pooled.layer(shortcut(stage, component)).as_deref(), Some(name));
            assert_eq!(pooled.position(name), Some(shortcut(stage, component)));
        }
        assert_eq!(pooled.layer(Position::Stem(Component::Norm(3))).as_deref(), Some("backbone.stem.2.bn"));
        let names: Vec<_> =
            layouts("burn").iter().map(|burn| burn.layer(shortcut(1, Component::Norm(2))).unwrap()).collect();
        assert_eq!(names, ["layer2.blocks.0.Basic.bn2", "layer2.blocks.0.Bottleneck.bn2", "layer2.blocks.0.bn2"]);
    }

    #[test]
    fn names_of_no_layout_have_no_place() {
        for name in
            ["", "conv1", "conv2_block0_1_conv", "conv1_block1_1_conv", "conv2_block01_1_conv", "conv2_blockx_1_conv"]
        {
            assert_eq!(KERAS_APPLICATIONS_V1.position(name), None, "{name}");
        }
    }
}
