//! Drawings of a network: SVG, Graphviz, Mermaid. All draw the same [`Diagram`](crate::summary::diagram::Diagram).

mod graph;
mod layout;
mod measure;
mod svg;

use std::fmt::Write as _;
use std::path::Path;

use residua_resnet::anatomy::ShortcutKind;

use super::blocks;
use crate::summary::Summary;
use crate::summary::diagram::Shortcut;

pub use graph::{dot, mermaid};
pub use svg::{Place, svg};

/// What a drawing is called.
pub(super) fn title(summary: &Summary) -> String {
    match summary.architecture {
        Some(architecture) => architecture.name.clone(),
        // A graph's own name says less: exporters call all of them alike.
        None => {
            Path::new(&summary.file).file_name().map_or(summary.name.into(), |name| name.to_string_lossy()).into_owned()
        }
    }
}

/// A line about the network: depth, form, parameters, MACs.
pub(super) fn subtitle(summary: &Summary) -> String {
    let mut text = match summary.architecture {
        Some(architecture) => blocks::sentence(architecture),
        None => "no architecture that is known here".to_owned(),
    };
    let _ = write!(text, "; {} parameters", super::magnitude(summary.parameters.total));
    if let Some(macs) = summary.macs {
        let _ = write!(text, ", {}MACs", super::magnitude(macs));
    }
    text
}

/// What is done on a shortcut, in words: `projection 1×1, 256, /2`.
fn link_text(shortcut: &Shortcut) -> String {
    let cells: Vec<&str> = shortcut.cells.iter().map(|cell| cell.text.as_str()).collect();
    let kind = blocks::shortcut(shortcut.kind);
    match shortcut.kind {
        ShortcutKind::Identity => kind.to_owned(),
        ShortcutKind::Projection | ShortcutKind::Pad | ShortcutKind::Pool | ShortcutKind::Unknown => {
            format!("{kind} {}", cells.join("; ")).trim_end().to_owned()
        }
    }
}
