//! Words for an architecture and its blocks.

use residua_resnet::anatomy::{ActivationOrder, Block, BlockKind, ShortcutKind};
use residua_resnet::{Architecture, Family};

use super::table::{Column, numbers, words};

/// `bottleneck`.
pub fn kind(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Basic => "basic",
        BlockKind::Bottleneck => "bottleneck",
        BlockKind::Other => "other",
    }
}

/// `identity`.
pub fn shortcut(kind: ShortcutKind) -> &'static str {
    match kind {
        ShortcutKind::Identity => "identity",
        ShortcutKind::Projection => "projection",
        ShortcutKind::Pad => "pad",
        ShortcutKind::Pool => "pool",
        ShortcutKind::Unknown => "unknown",
    }
}

/// `post`.
pub fn order(order: ActivationOrder) -> &'static str {
    match order {
        ActivationOrder::Post => "post",
        ActivationOrder::Pre => "pre",
    }
}

/// What a family is, in the words of the papers.
fn family(architecture: &Architecture) -> &'static str {
    let bottleneck = architecture.block == Some(BlockKind::Bottleneck);
    match architecture.family {
        Family::V1 if bottleneck => "v1: activation behind the sum, stride on the first 1x1",
        Family::V1 => "v1: activation behind the sum",
        Family::V15 => "v1.5: activation behind the sum, stride on the 3x3",
        Family::V2 => "v2: pre-activation",
        Family::Residual => "residual, of no standard form",
        Family::Dense => "densely connected: each layer adds channels to all before it",
        Family::Plain => "plain, without shortcuts",
    }
}

/// `3-4-6-3`.
pub fn stages(architecture: &Architecture) -> String {
    architecture.stages.iter().map(usize::to_string).collect::<Vec<_>>().join("-")
}

/// One line about an architecture.
pub fn sentence(architecture: &Architecture) -> String {
    let mut parts = vec![format!("depth {}", architecture.depth)];
    if let Some(block) = architecture.block {
        parts.push(format!("{} blocks {}", kind(block), stages(architecture)));
    } else if !architecture.stages.is_empty() {
        parts.push(format!("layers {}", stages(architecture)));
    }
    parts.push(family(architecture).to_owned());
    parts.join(", ")
}

/// Columns of the table of blocks.
pub const COLUMNS: [Column; 8] = [
    words("block"),
    words("kind"),
    words("activation"),
    words("shortcut"),
    numbers("stride"),
    words("on"),
    numbers("channels"),
    words("in the source"),
];

/// A row of the block table.
pub fn row(block: &Block) -> Vec<String> {
    let channels = |count: Option<usize>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    vec![
        block.name.clone(),
        kind(block.kind).to_owned(),
        order(block.activation).to_owned(),
        shortcut(block.shortcut).to_owned(),
        block.stride.to_string(),
        block.stride_on.clone().unwrap_or_default(),
        format!("{} → {} → {}", channels(block.inputs), block.width, channels(block.outputs)),
        block.hint.clone().unwrap_or_default(),
    ]
}
