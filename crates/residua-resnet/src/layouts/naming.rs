//! A table of names, read in both directions: from a place to the name of its layer, and back.

use super::Axes;
use crate::slot::Position;

/// Names of the layers of a network.
#[derive(Debug, PartialEq, Eq)]
pub struct NamingLayout {
    /// Its name.
    pub name: &'static str,
    /// Number of the first stage in names.
    pub(super) first_stage: usize,
    /// Number of the first block of a stage in names.
    pub(super) first_block: usize,
    /// What stands before the names of layers in a block that no row names; nothing leaves their names to the framework.
    pub(super) block: &'static str,
    /// What stands before all names but those of the classifier, unless the model was saved without its classifier.
    pub(crate) optional: &'static str,
    /// How tensors are named and stored.
    pub axes: Axes,
    /// What it names, in groups that tables share.
    pub(super) rows: &'static [&'static [Row]],
}

/// A place and the pattern of the names of layers there.
pub(super) type Row = (Position, &'static str);

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

    pub(super) fn rows(&self) -> impl Iterator<Item = &'static Row> {
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
pub(super) fn at(position: Position, stage: usize, block: usize) -> Position {
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
