//! What operators that are not known may hide of a whole network.

use residua_ir::{NodeId, ValueId};

use super::flow::Flow;
use super::parts::{Block, Hidden, Step};
use super::trunk::{Item, Trunk};

/// What the operators that are not known may hide of a whole network.
pub(super) fn of(flow: &Flow, trunk: &Trunk, blocks: &[Block]) -> Hidden {
    let mut live = flow.graph.node_ids().filter(|&node| flow.is_live(node) && flow.step(node) == Step::Unknown);
    let on_trunk = |item: &Item| matches!(item, Item::Node(node) if flow.step(*node) == Step::Unknown);
    Hidden {
        convs: live.any(|node| has_kernels(flow, node)),
        between: trunk.body(flow).iter().any(on_trunk)
            || blocks.iter().any(|block| block.unseen.main || block.unseen.shortcut),
    }
}

/// Whether an operator is given what convolutions multiply by: tensors of more axes than dense layers and norms have.
fn has_kernels(flow: &Flow, node: NodeId) -> bool {
    let is_kernel = |value: &ValueId| flow.graph.as_parameter(*value).is_some_and(|p| p.tensor.shape().len() > 2);
    flow.graph.node(node).inputs.iter().any(is_kernel)
}
