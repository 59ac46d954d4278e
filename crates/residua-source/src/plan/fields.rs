//! Names of the fields of a module.

use std::collections::HashMap;

use residua_ir::{Graph, NodeId};

use super::item::{Item, Label, Piece, kind_of};
use super::layer;
use super::parts::Parts;
use crate::ident::{Names, snake};

/// Gives fields their names: those of the source's layers where a module is built once, else those of their kinds.
pub(super) struct FieldNames {
    names: Names,
    /// Layers of each kind.
    total: HashMap<&'static str, usize>,
    seen: HashMap<&'static str, usize>,
    of_source: bool,
}

impl FieldNames {
    pub(super) fn of(parts: &Parts, item: &Item, instances: usize) -> Self {
        let mut total: HashMap<&'static str, usize> = HashMap::new();
        for piece in &item.pieces {
            if let Piece::Node(node) = piece
                && let Some(found) = layer::of(&parts.order, *node)
            {
                *total.entry(kind_of(&found.layer)).or_default() += 1;
            }
        }
        let of_source = match item.label {
            Label::Root | Label::Stem | Label::Head | Label::Stretch => instances == 1,
            Label::Block(_) | Label::Shortcut(_) | Label::Repeated => false,
        };
        Self { names: Names::default(), total, seen: HashMap::new(), of_source }
    }

    /// The name of a layer of this kind.
    pub(super) fn layer(&mut self, graph: &Graph, node: NodeId, kind: &'static str) -> String {
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        let counted = match self.total.get(kind) {
            Some(1) | None => kind.to_owned(),
            Some(_) => format!("{kind}{seen}"),
        };
        let of_source = self.of_source.then(|| last_part(graph, node)).flatten();
        let wanted = of_source.unwrap_or(counted);
        self.names.snake(&wanted, kind)
    }

    /// The name of a tensor that a node reads.
    pub(super) fn tensor(&mut self, graph: &Graph, node: NodeId, parameter: &str) -> String {
        let tail = parameter.rsplit(['/', '.']).next().unwrap_or_default();
        let wanted = match (self.of_source.then(|| last_part(graph, node)).flatten(), snake(tail)) {
            (Some(layer), Some(tail)) => format!("{layer}_{tail}"),
            (None, Some(tail)) => tail,
            (Some(layer), None) => layer,
            (None, None) => "tensor".to_owned(),
        };
        self.names.snake(&wanted, "tensor")
    }

    /// The name of a part.
    pub(super) fn part(&mut self, wanted: &str) -> String {
        self.names.snake(wanted, "part")
    }
}

/// The last part of the name of a node's layer, where it says something.
fn last_part(graph: &Graph, node: NodeId) -> Option<String> {
    let name = graph.layer(graph.node(node).layer).name.raw();
    snake(name.rsplit(['/', '.', ':']).next().unwrap_or_default())
}
