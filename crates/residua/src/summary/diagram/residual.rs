//! A network of residual blocks.

use residua_ir::op::description::Class;
use residua_ir::{Checked, NodeId};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{ActivationOrder, Block, BlockKind, ConvNormAct, Stage, Step};

use super::cells::{self, cut};
use super::{Bound, Cell, CellKind, Column, Diagram, Item, Shortcut, Stack, Tone, shortened, stack};

pub(super) fn diagram(model: &Checked, sized: &Checked, anatomy: &Anatomy) -> Diagram {
    let mut columns = vec![stem(model, sized, anatomy)];
    let readers = sized.graph().consumers();
    columns.extend(anatomy.stages.iter().enumerate().map(|(index, each)| stage(sized, anatomy, &readers, index, each)));
    columns.push(head(model, sized, anatomy));
    let mut notes = Vec::new();
    if anatomy.elsewhere > 0 {
        notes.push(format!("{} more residual blocks lie beside the way that is drawn.", anatomy.elsewhere));
    }
    if !anatomy.long_skips.is_empty() {
        notes.push(format!("{} sums that span whole blocks are not drawn.", anatomy.long_skips.len()));
    }
    Diagram { columns, notes }
}

/// Where norm and activation of a convolution are drawn.
fn bound(conv: &ConvNormAct, order: ActivationOrder) -> Bound {
    match (conv.norm.is_some() || conv.activation.is_some(), order) {
        (false, _) => Bound::Nowhere,
        (true, ActivationOrder::Pre) => Bound::Before,
        (true, ActivationOrder::Post) => Bound::Behind,
    }
}

fn node(sized: &Checked, id: NodeId) -> Option<Cell> {
    cells::node(sized, sized.graph().node(id))
}

fn stem(model: &Checked, sized: &Checked, anatomy: &Anatomy) -> Column {
    let mut items: Vec<Item> = model.graph().inputs().iter().map(|&id| stack(vec![cells::end(model, id)])).collect();
    let stem = &anatomy.stem;
    let scaling = (!stem.scaling.is_empty()).then(|| Cell::new("scale", CellKind::Other));
    let convs = stem.convs.iter().map(|conv| cells::conv(conv, bound(conv, ActivationOrder::Post)));
    let pool = stem.pool.and_then(|id| node(sized, id));
    items.extend(scaling.into_iter().chain(convs).chain(pool).map(|cell| stack(vec![cell])));
    let last = stem.pool.or_else(|| Some(stem.convs.last()?.node)).map(|id| sized.graph().node(id).output());
    let given = last.or_else(|| Some(anatomy.blocks.first()?.entry));
    Column {
        name: "stem".to_owned(),
        what: String::new(),
        map: cells::map(given.and_then(|value| sized.shape_of(value))),
        scale: given.and_then(|value| cells::scale(sized, value)),
        tone: Tone::Neutral,
        items: shortened(items),
    }
}

fn head(model: &Checked, sized: &Checked, anatomy: &Anatomy) -> Column {
    let head = &anatomy.head;
    let mut found: Vec<Cell> = Vec::new();
    if head.norm.is_some() {
        found.push(Cell::new("norm, activation", CellKind::Other));
    }
    found.extend(head.pool.and_then(|id| node(sized, id)));
    for dense in &head.dense {
        let outputs = dense.outputs.map_or_else(|| "?".to_owned(), |outputs| outputs.to_string());
        let text = match &dense.activation {
            Some(activation) => format!("dense, {outputs}, {}", activation.to_lowercase()),
            None => format!("dense, {outputs}"),
        };
        found.push(Cell::new(text, CellKind::Weighted(Bound::Nowhere)));
    }
    found.extend(model.graph().outputs().iter().map(|&id| cells::end(model, id)));
    Column {
        name: "head".to_owned(),
        what: String::new(),
        map: cells::map(model.graph().outputs().first().and_then(|&id| sized.shape_of(id))),
        scale: None,
        tone: Tone::Neutral,
        items: shortened(found.into_iter().map(|cell| stack(vec![cell])).collect()),
    }
}

fn stage(sized: &Checked, anatomy: &Anatomy, readers: &[Vec<NodeId>], index: usize, stage: &Stage) -> Column {
    let blocks = anatomy.stage_blocks(stage);
    let sum = blocks.last().map(|block| block.sum);
    let kind = |block: &Block| match block.kind {
        BlockKind::Basic => "basic block",
        BlockKind::Bottleneck => "bottleneck",
        BlockKind::Other => "block",
    };
    let plural = if blocks.len() == 1 { "" } else { "s" };
    Column {
        name: format!("stages.{index}"),
        what: blocks.first().map(|block| format!("{} {}{plural}", blocks.len(), kind(block))).unwrap_or_default(),
        map: cells::map(sum.and_then(|value| sized.shape_of(value))),
        scale: sum.and_then(|value| cells::scale(sized, value)),
        tone: Tone::Stage(index),
        items: folded(sized, anatomy, readers, stage),
    }
}

/// Blocks of a stage: the first and the last as they are, of those between one for each run of equal ones.
fn folded(sized: &Checked, anatomy: &Anatomy, readers: &[Vec<NodeId>], stage: &Stage) -> Vec<Item> {
    let last = stage.blocks.len().saturating_sub(1);
    let mut items: Vec<Item> = Vec::new();
    // Whether the last item is one that the next block may join.
    let mut open = false;
    for (place, at) in stage.blocks.clone().enumerate() {
        let drawn = drawn(sized, &anatomy.blocks[at]);
        let inner = place > 0 && place < last;
        match items.last_mut() {
            Some(Item::Stack(before)) if open && inner && alike(before, &drawn) => {
                before.times += 1;
                before.blocks.extend(drawn.blocks);
            }
            Some(_) | None => items.push(Item::Stack(drawn)),
        }
        open = inner;
        for loose in anatomy.loose.iter().filter(|loose| loose.behind == at) {
            let convs = loose.convs.iter().map(|conv| cells::conv(conv, behind(sized, readers, conv.node)));
            items.extend(convs.map(|cell| stack(vec![cell])));
            open = false;
        }
    }
    shortened(items)
}

fn alike(a: &Stack, b: &Stack) -> bool {
    a.cells == b.cells && a.shortcut == b.shortcut && a.after == b.after
}

/// Whether a norm or activation reads a convolution between blocks.
fn behind(sized: &Checked, readers: &[Vec<NodeId>], conv: NodeId) -> Bound {
    let graph = sized.graph();
    let follows = readers[graph.node(conv).output().index()].iter().any(|&reader| {
        let class = graph.node(reader).op.describe().class;
        class.is_norm() || class == Class::Activation
    });
    if follows { Bound::Behind } else { Bound::Nowhere }
}

fn drawn(sized: &Checked, block: &Block) -> Stack {
    let bound = |conv: &ConvNormAct| bound(conv, block.activation);
    let main = block.main.iter().zip(&block.steps);
    let on_path = block.path.nodes.iter().zip(&block.path.steps);
    let of_path = |_: &ConvNormAct| if block.path.normed { Bound::Behind } else { Bound::Nowhere };
    Stack {
        blocks: vec![block.name.clone()],
        times: 1,
        cells: main.filter_map(|(&id, &step)| self::step(sized, block, &block.convs, bound, id, step)).collect(),
        shortcut: Some(Shortcut {
            kind: block.shortcut,
            cells: on_path
                .filter_map(|(&id, &step)| self::step(sized, block, block.path.conv.as_slice(), of_path, id, step))
                .collect(),
        }),
        after: block.after_add.as_deref().map(|name| if name == "Relu" { "ReLU".to_owned() } else { cut(name) }),
    }
}

/// What is drawn of a step of a path.
fn step(
    sized: &Checked,
    block: &Block,
    convs: &[ConvNormAct],
    bound: impl Fn(&ConvNormAct) -> Bound,
    id: NodeId,
    step: Step,
) -> Option<Cell> {
    let node = sized.graph().node(id);
    match step {
        Step::Conv => convs.iter().find(|conv| conv.node == id).map(|conv| cells::conv(conv, bound(conv))),
        Step::Blur => Some(cells::blur(sized, node)),
        Step::Gate => {
            let width = match &block.squeeze_excite {
                Some(gate) if gate.gate == id => gate.width,
                Some(_) | None if block.other_gate => None,
                Some(_) | None => return None,
            };
            let text = width.map_or_else(|| "gate".to_owned(), |width| format!("gate, {width}"));
            Some(Cell::new(text, CellKind::Gate))
        }
        Step::Pool
        | Step::GlobalPool
        | Step::Pad
        | Step::Slice
        | Step::Dense
        | Step::Merge
        | Step::Join
        | Step::Other
        | Step::Unknown => cells::node(sized, node),
        Step::Norm | Step::Activation | Step::Softmax | Step::Reshape | Step::Pass | Step::Scale => None,
    }
}
