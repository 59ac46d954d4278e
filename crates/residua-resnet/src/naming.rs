//! A name of our own for every tensor of any graph, from what anatomy finds; what lies outside it keeps its layer's name.
//!
//! Invariant: names are unique and depend on the graph alone, so that they can be written and read back.

use std::collections::HashSet;

use residua_ir::op::description::Operand;
use residua_ir::{Checked, Graph, NodeId, ParameterId, ValueKind};

use crate::anatomy::{Anatomy, Block};
use crate::slot::{Component, Field, Position};

/// A name for each parameter, in the graph's order: `stages.2.blocks.0.conv1.weight`; `<layer>.<field>` outside of stem,
/// blocks and head.
#[must_use]
pub fn slots(model: &Checked, anatomy: &Anatomy) -> Vec<(ParameterId, String)> {
    let graph = model.graph();
    let positions = positions(anatomy);
    let mut wanted: Vec<Option<String>> = vec![None; graph.parameters().len()];
    let of_places = positions.iter().map(|(node, position)| (*node, Some(position.to_string())));
    let rest = graph.node_ids().map(|node| (node, None));
    for (node, position) in of_places.chain(rest) {
        name_operands(graph, node, position, &mut wanted);
    }
    let mut taken = HashSet::new();
    graph
        .parameter_ids()
        .map(|id| {
            let parameter = graph.parameter(id);
            let layer = &graph.layer(parameter.layer).name;
            let last = parameter.name.raw().rsplit('/').next().unwrap_or("tensor");
            let name =
                wanted[id.index()].take().unwrap_or_else(|| format!("{}.{}", layer.raw(), last.trim_end_matches(":0")));
            (id, unique(name, &mut taken))
        })
        .collect()
}

fn unique(name: String, taken: &mut HashSet<String>) -> String {
    let mut unique = name.clone();
    let mut count = 1;
    while !taken.insert(unique.clone()) {
        count += 1;
        unique = format!("{name}_{count}");
    }
    unique
}

/// Names the parameters among a node's operands that have no name yet.
fn name_operands(graph: &Graph, node: NodeId, position: Option<String>, wanted: &mut [Option<String>]) {
    let node = graph.node(node);
    let position = position.unwrap_or_else(|| graph.layer(node.layer).name.raw().to_owned());
    let operands = node.op.describe().operands;
    for (index, &operand) in node.inputs.iter().enumerate() {
        let ValueKind::Parameter(parameter) = graph.value(operand).kind else { continue };
        if let Some(field) = field_of(operands.role(index)) {
            wanted[parameter.index()].get_or_insert_with(|| format!("{position}.{field}"));
        }
    }
}

/// What a tensor is called that is such an operand; some have no name of ours.
fn field_of(operand: Operand) -> Option<Field> {
    match operand {
        Operand::Weight => Some(Field::Weight),
        Operand::Bias => Some(Field::Bias),
        Operand::Scale => Some(Field::Scale),
        Operand::Offset => Some(Field::Offset),
        Operand::Mean => Some(Field::Mean),
        Operand::Variance => Some(Field::Variance),
        Operand::Data
        | Operand::Slope
        | Operand::Condition
        | Operand::Indices
        | Operand::Step
        | Operand::ZeroPoint
        | Operand::Size => None,
    }
}

/// The nodes of a network that have a place in it, with that place.
#[must_use]
pub fn positions(anatomy: &Anatomy) -> Vec<(NodeId, Position)> {
    let mut positions = Vec::new();
    let single = |n: usize, count: usize| if count == 1 { 0 } else { n };
    let stem = &anatomy.stem.convs;
    for (n, conv) in (1..).zip(stem) {
        let n = single(n, stem.len());
        positions.push((conv.node, Position::Stem(Component::Conv(n))));
        positions.extend(conv.norm.map(|norm| (norm, Position::Stem(Component::Norm(n)))));
        positions.extend(conv.activation.map(|node| (node, Position::Stem(Component::Activation(n)))));
    }
    positions.extend(anatomy.stem.pool.map(|pool| (pool, Position::Pool)));
    for block in &anatomy.blocks {
        block_places(block, &mut positions);
    }
    positions.extend(anatomy.head.norm.map(|norm| (norm, Position::FinalNorm)));
    positions.extend(anatomy.head.pool.map(|pool| (pool, Position::HeadPool)));
    let dense = &anatomy.head.dense;
    for (n, layer) in (1..).zip(dense) {
        positions.push((layer.node, Position::Dense(single(n, dense.len()))));
    }
    positions
}

fn block_places(block: &Block, positions: &mut Vec<(NodeId, Position)>) {
    let mut put = |node: NodeId, component: Component| {
        positions.push((node, Position::Block { stage: block.stage, block: block.index, component }));
    };
    for (n, conv) in (1..).zip(&block.convs) {
        put(conv.node, Component::Conv(n));
        conv.norm.into_iter().for_each(|norm| put(norm, Component::Norm(n)));
        conv.activation.into_iter().for_each(|node| put(node, Component::Activation(n)));
    }
    if let Some(conv) = &block.path.conv {
        put(conv.node, Component::ShortcutConv);
    }
    block.path.norm.into_iter().for_each(|norm| put(norm, Component::ShortcutNorm));
    if let Some(gate) = &block.squeeze_excite {
        for (n, &layer) in (1..).zip(&gate.layers) {
            put(layer, Component::Gate(n));
        }
    }
    put(block.add, Component::Add);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::analyse;
    use crate::testing::Net;
    use residua_ir::Op;

    #[test]
    fn every_tensor_has_one_name_that_says_where_it_is() {
        let (mut net, x) = Net::new(3);
        let x = net.conv_bn_relu(x, 8, 3, 1);
        let x = net.basic(x, 8, 1);
        let x = net.basic(x, 16, 2);
        let x = net.squeeze_excite(x, 2);
        let slope = net.tensor(&[16, 1, 1]);
        let x = net.op(Op::PRelu, &[x, slope]);
        let model = net.classifier(x, 10);
        let names: Vec<String> = slots(&model, &analyse(&model)).into_iter().map(|(_, name)| name).collect();
        for expected in [
            "stem.conv.weight",
            "stem.norm.variance",
            "stages.0.blocks.0.conv1.weight",
            "stages.1.blocks.0.norm2.scale",
            "stages.1.blocks.0.shortcut.conv.weight",
            "stages.1.blocks.0.shortcut.norm.mean",
            "head.fc.weight",
        ] {
            assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
        }
        assert_eq!(names.len(), model.graph().parameters().len());
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn norms_of_pre_activated_blocks_bear_the_number_of_the_convolution_behind_them() {
        let (mut net, x) = Net::new(3);
        let x = net.conv(x, 8, 7, 2);
        let x = net.max_pool(x, 3, 2);
        let x = net.pre_basic(x, 16, 1);
        let x = net.bn_relu(x);
        let model = net.classifier(x, 10);
        let names: Vec<String> = slots(&model, &analyse(&model)).into_iter().map(|(_, name)| name).collect();
        let scales: Vec<&String> = names.iter().filter(|name| name.ends_with(".scale")).collect();
        assert_eq!(scales, ["stages.0.blocks.0.norm1.scale", "stages.0.blocks.0.norm2.scale", "norm.scale"]);
    }
}
