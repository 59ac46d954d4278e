//! The part of a graph that one of its values follows from, as a graph that goes on.

use residua_ir::{Graph, GraphBuilder, LayerId, Source, ValueId, ValueKind};

use crate::error::{Context, Result};

/// A graph that ends nowhere yet, and for each value of the other one what it is there.
pub(super) type Copied = (GraphBuilder, Vec<Option<ValueId>>);

/// Copies everything that `end` is computed from, in the order in which it stands.
///
/// # Errors
/// Where the graph is not in order, which its builder makes sure of.
pub(super) fn until(graph: &Graph, end: ValueId, source: Source) -> Result<Copied> {
    let needed = needed(graph, end);
    let mut g = GraphBuilder::new(graph.name().clone());
    g.source(source);
    let mut layers: Vec<Option<LayerId>> = vec![None; graph.layers().len()];
    let mut values: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    let mut layer = |g: &mut GraphBuilder, id: LayerId| {
        *layers[id.index()].get_or_insert_with(|| g.copy_layer(graph.layer(id).clone()))
    };
    for id in graph.value_ids().filter(|id| needed[id.index()]) {
        let value = graph.value(id);
        let copied = match &value.kind {
            ValueKind::Input(input) => g.input_with(value.name.raw(), input.clone(), value.order.clone()),
            ValueKind::Parameter(parameter) => {
                let mut parameter = graph.parameter(*parameter).clone();
                parameter.layer = layer(&mut g, parameter.layer);
                let copied = g.parameter(parameter);
                g.set_order(copied, value.order.clone());
                copied
            }
            ValueKind::Computed { node, index } => {
                if *index > 0 {
                    // It was made with the first of its node.
                    continue;
                }
                let node = graph.node(*node);
                let operand = |id: &ValueId| values[id.index()].context("an operand behind its node");
                let operands = node.inputs.iter().map(operand).collect::<Result<Vec<_>>>()?;
                let own = layer(&mut g, node.layer);
                let names: Vec<&str> = node.outputs.iter().map(|&output| graph.value(output).name.raw()).collect();
                let made = g.node_with_outputs(node.op.clone(), &operands, own, &names);
                for (&before, &after) in node.outputs.iter().zip(&made) {
                    g.set_order(after, graph.value(before).order.clone());
                    values[before.index()] = Some(after);
                }
                continue;
            }
        };
        values[id.index()] = Some(copied);
    }
    Ok((g, values))
}

/// The values that one follows from, itself among them; of a node all results.
fn needed(graph: &Graph, end: ValueId) -> Vec<bool> {
    let mut needed = vec![false; graph.values().len()];
    let mut open = vec![end];
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut needed[id.index()], true) {
            continue;
        }
        if let Some(node) = graph.producer(id).map(|node| graph.node(node)) {
            open.extend(node.inputs.iter().chain(&node.outputs));
        }
    }
    needed
}
