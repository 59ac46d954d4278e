//! Names of classes: ImageNet's thousand, in the order that Keras and torchvision share, or the user's own.

use std::path::Path;

use crate::error::{Context, Result, bail};
use residua_ir::budget::Limit;
use residua_ir::{Shown, files};

static IMAGENET: &str = include_str!("../data/imagenet1k.txt");

/// Names of classes by index.
#[derive(Debug)]
pub struct Labels(Vec<String>);

impl Labels {
    /// ImageNet's where there are 1000 classes, else none.
    pub fn standard(classes: usize) -> Self {
        let all: Vec<String> = IMAGENET.lines().map(str::to_owned).collect();
        Self(if all.len() == classes { all } else { Vec::new() })
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
        Ok(Self(labels))
    }

    /// The name of a class.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.0.get(class).map(String::as_str)
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
