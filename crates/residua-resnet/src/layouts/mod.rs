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
mod order;
mod senet;
mod sequential;
mod timm;
mod torchvision;

use crate::slot::Position;

pub use axes::Axes;
pub use keras::{KERAS_APPLICATIONS_OLD, KERAS_APPLICATIONS_V1, KERAS_APPLICATIONS_V2, KERAS_AUTO, fields, snake_case};
pub use library::{Can, Headless, ModelClass, ModelLibrary, SILENT, Setting};
pub use order::keras_order;
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

/// Names of the layers of a network.
#[derive(Debug, PartialEq, Eq)]
pub struct NamingLayout {
    /// Its name.
    pub name: &'static str,
    /// Number of the first stage in names.
    first_stage: usize,
    /// Number of the first block of a stage in names.
    first_block: usize,
    /// What stands before the names of layers in a block that no row names; nothing leaves their names to the framework.
    block: &'static str,
    /// What stands before all names but those of the classifier, unless the model was saved without its classifier.
    pub(crate) optional: &'static str,
    /// How tensors are named and stored.
    pub axes: Axes,
    /// What it names, in groups that tables share.
    rows: &'static [&'static [Row]],
}

/// A place and the pattern of the names of layers there.
type Row = (Position, &'static str);

impl NamingLayout {
    /// The layer in a place; [`None`] where the layout leaves its name to the framework.
    #[must_use]
    pub fn layer(&self, position: Position) -> Option<String> {
        if self.has(position) {
            let mut rows = self.rows().filter(|(row, _)| *row == at(position, 0, 0));
            return rows.find_map(|(_, pattern)| self.fill(pattern, position));
        }
        match position {
            Position::Block { component, .. } if !self.block.is_empty() => {
                Some(format!("{}.{component}", self.fill(self.block, position)?))
            }
            Position::Block { .. }
            | Position::Input
            | Position::Stem(_)
            | Position::PoolPad
            | Position::Pool
            | Position::FinalNorm
            | Position::FinalActivation
            | Position::HeadPool
            | Position::Flatten
            | Position::Dense(_)
            | Position::Head(_)
            | Position::OneHeadPool(_) => None,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().copied().flatten()
    }

    fn fill(&self, pattern: &str, position: Position) -> Option<String> {
        let (stage, block) = indices(position).unwrap_or_default();
        let letter = u32::try_from(block).ok().and_then(|b| char::from_u32('a' as u32 + b));
        let letter = letter.filter(char::is_ascii_lowercase);
        if pattern.contains("{l}") && letter.is_none() || pattern.contains("{S}") && stage == 0 {
            return None;
        }
        let number = |first: usize, index: usize| (first + index).to_string();
        Some(
            pattern
                .replace("{s}", &number(self.first_stage, stage))
                .replace("{S}", &number(self.first_stage, stage))
                .replace("{b}", &number(self.first_block, block))
                .replace("{l}", &letter.map(String::from).unwrap_or_default()),
        )
    }

    /// Whether the layout has a name for a place, in any block.
    #[must_use]
    pub fn has(&self, position: Position) -> bool {
        self.rows().any(|(row, _)| *row == at(position, 0, 0))
    }

    /// The place of a layer; [`None`] for a name that is not of this layout.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<Position> {
        self.rows().find_map(|&(position, pattern)| {
            let (stage, block) = self.parse(pattern, name)?;
            Some(at(position, stage, block))
        })
    }

    fn parse(&self, mut pattern: &str, mut name: &str) -> Option<(usize, usize)> {
        let (mut stage, mut block) = (0, 0);
        // Nearly all rows end here, for nearly all names.
        if pattern.as_bytes().first().is_some_and(|&byte| byte != b'{' && name.as_bytes().first() != Some(&byte)) {
            return None;
        }
        while let Some(open) = pattern.find('{') {
            name = name.strip_prefix(&pattern[..open])?;
            let key = pattern.get(open + 1..open + 2)?;
            pattern = pattern.get(open + 3..)?;
            let end = if key == "l" { 1 } else { name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len()) };
            let (text, rest) = name.split_at_checked(end)?;
            match key {
                "s" => stage = number(text)?.checked_sub(self.first_stage)?,
                "S" => stage = number(text)?.checked_sub(self.first_stage).filter(|&stage| stage > 0)?,
                "b" => block = number(text)?.checked_sub(self.first_block)?,
                _ => block = usize::from(text.bytes().next().filter(u8::is_ascii_lowercase)? - b'a'),
            }
            name = rest;
        }
        (pattern == name).then_some((stage, block))
    }
}

/// A number without leading zeros, small enough for a stage or block.
fn number(text: &str) -> Option<usize> {
    (text == "0" || text.len() <= 4 && !text.starts_with('0')).then(|| text.parse().ok())?
}

fn indices(position: Position) -> Option<(usize, usize)> {
    match position {
        Position::Block { stage, block, .. } => Some((stage, block)),
        Position::Input
        | Position::Stem(_)
        | Position::PoolPad
        | Position::Pool
        | Position::FinalNorm
        | Position::FinalActivation
        | Position::HeadPool
        | Position::Flatten
        | Position::Dense(_)
        | Position::Head(_)
        | Position::OneHeadPool(_) => None,
    }
}

/// The same place in another block.
fn at(position: Position, stage: usize, block: usize) -> Position {
    match position {
        Position::Block { component, .. } => Position::Block { stage, block, component },
        Position::Input
        | Position::Stem(_)
        | Position::PoolPad
        | Position::Pool
        | Position::FinalNorm
        | Position::FinalActivation
        | Position::HeadPool
        | Position::Flatten
        | Position::Dense(_)
        | Position::Head(_)
        | Position::OneHeadPool(_) => position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Component;

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
    fn names_of_tensors_and_slots_are_each_others_inverse_in_all_zoos() {
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
