//! Metadata that says two things.

use residua_ir::{Finding, Level, Shown};

use crate::OnnxText;

residua_ir::code! {
    /// A key stands more than once in the metadata of the ONNX model, or is empty.
    ///
    /// ## Why it matters
    ///
    /// Which of the values counts is up to who reads it, such as the labels of the classes or how images are prepared.
    /// ONNX's checker refuses the model.
    ///
    /// ## Example
    ///
    /// `the metadata has the key labels twice`
    ///
    /// ## How to fix it
    ///
    /// Remove what is not meant.
    pub(super) static CODE = OnnxText Error R608 "onnx-metadata";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let mut seen: Vec<&str> = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for entry in &text.model().metadata_props {
        let key = entry.key.as_str();
        let again = seen.contains(&key);
        seen.push(key);
        let (message, level) = match (key.is_empty(), again) {
            _ if told.contains(&key) => continue,
            (_, true) => (format!("the metadata has the key `{}` more than once", key.shown()), CODE.level),
            (true, false) => ("the metadata has an empty key".to_owned(), Level::Warning),
            (false, false) => continue,
        };
        if again {
            told.push(key);
        }
        findings.push(Finding::new(&CODE, message, "remove what is not meant").leveled(level));
    }
}
