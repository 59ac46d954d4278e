//! Nodes that are not known: written as their source has them.
//!
//! What they mean depends on their operator set and on the types of what they read, so neither may change. Names inside
//! their subgraphs are kept from those of the graph, since none may be given twice.

use std::collections::HashMap;

use prost::Message;
use residua_formats::onnx::schema::{GraphProto, NodeProto};
use residua_ir::{DType, Hint, Node, Opaque, ValueId};

use super::super::lowering::{Lowering, unsupported};
use crate::EmitError;

/// How deep subgraphs may nest; the reader has the same limit.
const DEPTH: usize = 64;

pub(super) fn opaque(out: &mut Lowering<'_>, node: &Node, opaque: &Opaque) -> Result<(), EmitError> {
    let Some(verbatim) = &opaque.verbatim else { return Err(unsupported(node, opaque.reason.clone())) };
    let own = opaque.domain == "onnx";
    if own && verbatim.version != out.opset {
        let problem = format!(
            "it is not known ({}), so it can be written as it is only: in operator set {}, not {}",
            opaque.reason, verbatim.version, out.opset
        );
        return Err(unsupported(node, problem));
    }
    for &id in node.inputs.iter().chain(&node.outputs) {
        refuse_rounding(out, node, id)?;
    }
    let mut message =
        NodeProto::decode(verbatim.message.clone()).map_err(|error| unsupported(node, error.to_string()))?;
    let operands = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<Vec<_>, _>>()?;
    let operand = |index: usize| operands.get(index).cloned().unwrap_or_default();
    message.input = verbatim.operands.iter().map(|index| index.map(operand).unwrap_or_default()).collect();
    let results = node.outputs.iter().map(|&id| out.operand(id)).collect::<Result<Vec<_>, _>>()?;
    let result = |index: usize| results.get(index).cloned().unwrap_or_default();
    message.output = verbatim.results.iter().map(|index| index.map(result).unwrap_or_default()).collect();
    let around = verbatim.captured.iter().map(|(name, index)| (name.clone(), operand(*index))).collect();
    for graph in subgraphs(&mut message) {
        rename(out, graph, &around, 0)?;
    }
    (message.name, _) = out.said.of_node(node, &opaque.op_type);
    if !own {
        out.domains.insert(opaque.domain.clone(), verbatim.version);
    }
    out.nodes.push(message);
    Ok(())
}

/// Refuses to give an operator that is not known other numbers than its source did.
fn refuse_rounding(out: &Lowering<'_>, node: &Node, id: ValueId) -> Result<(), EmitError> {
    let Some(ty) = out.model.type_of(id) else { return Ok(()) };
    let (found, written): (DType, DType) = (ty.dtype, out.dtype(ty.dtype));
    if found == written {
        return Ok(());
    }
    let problem = format!(
        "it is not known, and `{}` would be {written} instead of {found}; leave out {}",
        out.graph().value(id).name,
        Hint::Dtype
    );
    Err(unsupported(node, problem))
}

fn subgraphs(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// Gives what a subgraph reads from outside its name there, and what it names itself a name of its own.
fn rename(
    out: &mut Lowering<'_>,
    graph: &mut GraphProto,
    around: &HashMap<String, String>,
    depth: usize,
) -> Result<(), EmitError> {
    if depth > DEPTH {
        return Err(EmitError::Option(format!("subgraphs nest more than {DEPTH} deep").into()));
    }
    let mut names = around.clone();
    let given = graph.node.iter().flat_map(|node| &node.output);
    let own: Vec<String> = (graph.input.iter().map(|info| &info.name))
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .chain(given)
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    for name in own {
        let new = out.tensors.inner_name(&name);
        names.insert(name, new);
    }
    let change = |name: &mut String| {
        if let Some(new) = names.get(name.as_str()) {
            name.clone_from(new);
        }
    };
    graph
        .input
        .iter_mut()
        .chain(&mut graph.output)
        .chain(&mut graph.value_info)
        .for_each(|info| change(&mut info.name));
    graph.initializer.iter_mut().for_each(|tensor| change(&mut tensor.name));
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(change);
        for inner in subgraphs(node) {
            rename(out, inner, &names, depth + 1)?;
        }
    }
    Ok(())
}
