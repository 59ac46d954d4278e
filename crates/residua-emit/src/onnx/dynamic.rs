//! Dynamic quantisations: which nodes of a graph are one `DynamicQuantizeLinear` of ONNX.

use std::collections::HashMap;

use residua_ir::{DType, DynamicRange, Graph, NodeId, Op, Quantize, ValueId};

/// What one `DynamicQuantizeLinear` gives: the nodes of the integers, of their scale and of their zero point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dynamic {
    pub(super) quantize: NodeId,
    pub(super) scale: NodeId,
    pub(super) zero: NodeId,
}

/// For each node that is part of a dynamic quantisation, that one.
pub(super) fn find(graph: &Graph, roots: &[ValueId]) -> HashMap<NodeId, Dynamic> {
    let mut found = HashMap::new();
    for quantize in graph.node_ids() {
        let node = graph.node(quantize);
        let (Op::Quantize(Quantize { dtype: DType::U8, .. }), &[x, scale, zero]) = (&node.op, &node.inputs[..]) else {
            continue;
        };
        let part = |value: ValueId, part: DynamicRange| {
            let id = graph.producer(roots[value.index()])?;
            let node = graph.node(id);
            let same = node.op == Op::DynamicRange(part) && roots[node.inputs[0].index()] == roots[x.index()];
            same.then_some(id)
        };
        let (Some(scale), Some(zero)) = (part(scale, DynamicRange::Scale), part(zero, DynamicRange::ZeroPoint)) else {
            continue;
        };
        if !found.contains_key(&scale) && !found.contains_key(&zero) {
            let dynamic = Dynamic { quantize, scale, zero };
            found.extend([quantize, scale, zero].map(|id| (id, dynamic)));
        }
    }
    found
}
