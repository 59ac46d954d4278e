//! Layers of which nothing is known but their class.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use residua_ir::{Checked, Op};
use serde::Serialize;

/// Layers of one class that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Class of the layer, operator of ONNX.
    pub class: String,
    /// How many layers there are of it.
    pub count: usize,
}

/// All of them, the most frequent class first.
pub(super) fn unknown(model: &Checked) -> Vec<Unknown> {
    let graph = model.graph();
    let mut layers: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for id in model.opaque_nodes() {
        let node = graph.node(id);
        if let Op::Opaque(opaque) = &node.op {
            layers.entry(&opaque.op_type).or_default().insert(node.layer.index());
        }
    }
    let mut found: Vec<Unknown> =
        layers.into_iter().map(|(class, layers)| Unknown { class: class.to_owned(), count: layers.len() }).collect();
    found.sort_by_key(|unknown| Reverse(unknown.count));
    found
}

/// `nothing is known of 5 parts of the network: ResidualUnit (4), Lambda (1)`.
pub fn sentence(unknown: &[Unknown]) -> Option<String> {
    let total: usize = unknown.iter().map(|unknown| unknown.count).sum();
    let parts = match total {
        0 => return None,
        1 => "1 part".to_owned(),
        more => format!("{more} parts"),
    };
    let classes: Vec<String> = unknown.iter().map(|Unknown { class, count }| format!("{class} ({count})")).collect();
    Some(format!("nothing is known of {parts} of the network: {}", classes.join(", ")))
}
