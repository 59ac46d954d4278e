//! What the README of a crate says of where the network is from.

use residua_resnet::preprocessing::Known;

use crate::model::Model;
use crate::render::markdown::{code, text};

/// What the network is, in words of ours.
pub(super) fn title(model: &Model, runtime: &str) -> String {
    match &model.anatomy.architecture {
        // Names of architectures are ours.
        Some(architecture) => format!("The network {}, for {runtime}.", architecture.name),
        None => format!("A network, for {runtime}."),
    }
}

/// Where it is from, how it takes images, and what else is to be known.
pub(super) fn paragraphs(model: &Model, known: &Known, notes: &[String]) -> Vec<String> {
    let source = model.graph().graph().source();
    let file = model.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let of = match source.framework.name() {
        "" => String::new(),
        name => format!(", of {}", text(name)),
    };
    let mut paragraphs = vec![format!(
        "Written by residua {} from {} ({}{of}). What is here was held against the graph of that file.",
        env!("CARGO_PKG_VERSION"),
        code(&file),
        source.format
    )];
    if let Some(values) = &known.values {
        let how = if known.assumed { "It is assumed that images" } else { "Images" };
        let reason = text(&known.reason);
        paragraphs.push(format!("{how} are prepared as {} ({reason}).", values.value.describe()));
    }
    if !notes.is_empty() {
        let notes: Vec<String> = notes.iter().map(|note| format!("- {}", text(note))).collect();
        paragraphs.push(notes.join("\n"));
    }
    paragraphs
}
