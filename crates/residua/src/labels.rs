//! Names of classes: ImageNet's thousand, in the order that Keras and torchvision share, those that a file of ours holds, or
//! the user's own.

use std::path::Path;

use crate::error::{Context, Result, bail};
use residua_ir::budget::Limit;
use residua_ir::{Shown, files};

static IMAGENET: &str = include_str!("../data/imagenet1k.txt");

/// Where names are from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// Nothing names the classes.
    Nothing,
    /// ImageNet's, since there are as many.
    ImageNet,
    /// What the model holds.
    #[cfg_attr(not(feature = "more-images"), expect(dead_code, reason = "a run takes a file or ImageNet's"))]
    Stored,
    /// A file.
    File(String),
}

/// Names of classes by index.
#[derive(Debug, Clone)]
pub struct Labels {
    names: Vec<String>,
    origin: Origin,
}

impl Labels {
    /// ImageNet's where there are 1000 classes, else none.
    pub fn standard(classes: usize) -> Self {
        let all: Vec<String> = IMAGENET.lines().map(str::to_owned).collect();
        match all.len() == classes {
            true => Self { names: all, origin: Origin::ImageNet },
            false => Self { names: Vec::new(), origin: Origin::Nothing },
        }
    }

    /// Those of a model: what its file holds, else ImageNet's where it has 1000 classes.
    #[cfg(feature = "more-images")]
    pub(crate) fn of(model: &crate::model::Model, classes: usize) -> Self {
        let stored = &model.checked.graph().source().labels;
        if stored.len() == classes { Self::stored(stored.clone()) } else { Self::standard(classes) }
    }

    /// Those that a model holds.
    #[cfg(feature = "more-images")]
    pub(crate) fn stored(names: Vec<String>) -> Self {
        Self { names, origin: Origin::Stored }
    }

    /// From a text file with a name a line.
    pub fn read(path: &Path, classes: usize) -> Result<Self> {
        let cannot = || format!("cannot read labels {}", path.shown());
        let text =
            String::from_utf8(files::read(path, Limit::SettingsBytes).with_context(cannot)?).with_context(cannot)?;
        let labels: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        if labels.len() != classes {
            bail!("labels {}: expected {classes} lines, one a class, found {}", path.shown(), labels.len());
        }
        Ok(Self { names: labels, origin: Origin::File(path.shown().to_string()) })
    }

    /// The name of a class.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }

    /// Where they are from, for people.
    #[must_use]
    pub fn origin(&self) -> String {
        match &self.origin {
            Origin::Nothing => "nothing names the classes".to_owned(),
            Origin::ImageNet => "names are ImageNet's, since there are 1000 classes".to_owned(),
            Origin::Stored => "names are those that the model holds".to_owned(),
            Origin::File(path) => format!("names are from {path}"),
        }
    }

    /// Whether they were taken for the number of classes alone.
    #[must_use]
    pub fn is_assumed(&self) -> bool {
        match self.origin {
            Origin::ImageNet => true,
            Origin::Nothing | Origin::Stored | Origin::File(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imagenet_names_are_used_for_exactly_a_thousand_classes() {
        let labels = Labels::standard(1000);
        assert_eq!(labels.get(0), Some("tench"));
        assert_eq!(labels.get(285), Some("Egyptian cat"));
        assert_eq!(labels.get(999), Some("toilet tissue"));
        assert_eq!(Labels::standard(10).get(0), None);
    }
}
