//! Which part of a residual network a node belongs to: stem, a block, head.

use residua_ir::{Graph, NodeId};
use residua_resnet::Anatomy;

/// The part of each node by the name that the anatomy has for it; none in a network without blocks.
///
/// Anatomy names the nodes that matter. What lies between them (an activation behind a sum, the layers of a gate)
/// belongs to the last part that it reads from.
pub(super) fn parts<'a>(graph: &Graph, anatomy: &'a Anatomy) -> Vec<Option<&'a str>> {
    if anatomy.blocks.is_empty() {
        return vec![None; graph.nodes().len()];
    }
    let known = known(graph, anatomy);
    // Parts in the order of the way from input to output; later ones win.
    let mut places: Vec<Section> = Vec::with_capacity(known.len());
    for (node, known) in graph.nodes().iter().zip(known) {
        let producers = node.inputs.iter().filter_map(|&value| graph.producer(value));
        let before = producers.map(|producer| places[producer.index()]).max();
        places.push(known.or(before).unwrap_or(Section::Stem));
    }
    places.into_iter().map(|place| Some(place.name(anatomy))).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Stem,
    /// A block, or what lies between it and the next.
    Behind(usize, Within),
    Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    Block,
    Between,
}

impl Section {
    fn name(self, anatomy: &Anatomy) -> &str {
        match self {
            Self::Stem => "stem",
            Self::Behind(block, Within::Block) => &anatomy.blocks[block].name,
            Self::Behind(_, Within::Between) => "loose",
            Self::Head => "head",
        }
    }
}

fn known(graph: &Graph, anatomy: &Anatomy) -> Vec<Option<Section>> {
    let mut known = vec![None; graph.nodes().len()];
    let mut set = |nodes: &mut dyn Iterator<Item = NodeId>, place: Section| {
        for node in nodes {
            known[node.index()] = Some(place);
        }
    };
    for (index, block) in anatomy.blocks.iter().enumerate() {
        let gate = block.squeeze_excite.iter().flat_map(|gate| gate.layers.iter().copied().chain([gate.gate]));
        let nodes = block.main.iter().chain(&block.path.nodes).copied().chain([block.add]);
        set(&mut nodes.chain(gate), Section::Behind(index, Within::Block));
    }
    for loose in &anatomy.loose {
        set(&mut loose.convs.iter().map(|conv| conv.node), Section::Behind(loose.behind, Within::Between));
    }
    let head = &anatomy.head;
    set(&mut head.norm.into_iter().chain(head.pool).chain(head.dense.iter().map(|dense| dense.node)), Section::Head);
    known
}
