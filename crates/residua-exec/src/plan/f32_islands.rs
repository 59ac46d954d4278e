//! Nodes that the reference computes in f32 as well.
//!
//! Between DequantizeLinear and QuantizeLinear, numbers are f32 by their declared type. Rounding to integers is not
//! continuous: a sum that is more exact can give the neighbouring integer, and a network makes more of it with each
//! layer. So both engines run these nodes with the same code, and agree on every integer.

use pulp::Arch;
use residua_ir::{Checked, DType, Node, NodeId, Op, ValueId};

use super::fuse::Group;
use super::known::Known;
use super::{Scene, weights};
use crate::element::Element;
use crate::error::ExecError;
use crate::options::Precision;
use crate::run::Constants;
use crate::step::{F32Island, Step, Work};

/// For each node, whether it is one: all numbers that it reads are restored from integers or come from such a node, and
/// all that read its results round them to integers or are such nodes. The range by which numbers are rounded is one.
pub(super) fn nodes(model: &Checked, consumers: &[Vec<NodeId>]) -> Vec<bool> {
    let graph = model.graph();
    let mut found = vec![false; graph.nodes().len()];
    if !graph.nodes().iter().any(|node| rounds(node) || is_range(node)) {
        return found;
    }
    let mut constant: Vec<bool> = graph.value_ids().map(|id| graph.as_parameter(id).is_some()).collect();
    let mut in_f32 = vec![false; graph.values().len()];
    for (node, found) in graph.nodes().iter().zip(&mut found) {
        let is_constant = node.inputs.iter().all(|id| constant[id.index()]);
        let restores = !is_constant && restores(model, node);
        let known = |id: &ValueId| in_f32[id.index()] || constant[id.index()] || !is_float(model, *id);
        *found = is_range(node)
            || (!is_constant
                && !restores
                && node.inputs.iter().any(|id| in_f32[id.index()])
                && node.inputs.iter().all(known)
                && node.outputs.iter().all(|&id| model.type_of(id).is_some_and(|ty| ty.dtype == DType::F32)));
        for id in &node.outputs {
            constant[id.index()] = is_constant;
            in_f32[id.index()] = *found || restores;
        }
    }
    for (id, node) in graph.node_ids().zip(graph.nodes()).rev() {
        let is_rounded = |&value: &ValueId| {
            let readers = &consumers[value.index()];
            let rounded = |reader: &NodeId| found[reader.index()] || rounds(graph.node(*reader));
            !readers.is_empty() && readers.iter().all(rounded) && !graph.is_output(value)
        };
        found[id.index()] &= is_range(node) || node.outputs.iter().all(is_rounded);
    }
    found
}

/// Whether a node makes numbers of integers, exactly: to round them to f32 is left to who reads them.
fn restores(model: &Checked, node: &Node) -> bool {
    matches!(node.op, Op::Dequantize(_))
        || (matches!(node.op, Op::Cast { dtype: DType::F32 }) && !is_float(model, node.inputs[0]))
}

fn rounds(node: &Node) -> bool {
    matches!(&node.op, Op::Quantize(quantize) if quantize.dtype.integer_range().is_some())
}

fn is_range(node: &Node) -> bool {
    matches!(node.op, Op::DynamicRange(_))
}

fn is_float(model: &Checked, id: ValueId) -> bool {
    model.type_of(id).is_none_or(|ty| ty.dtype.is_float())
}

/// The step of such a node, around one that computes in f32.
pub(super) fn step<T: Element>(
    scene: &Scene<'_, T>,
    known: &Known<f32>,
    group: Group,
    arch: Arch,
) -> Result<Step<T>, ExecError> {
    let Scene { model, pinned, consumers, .. } = *scene;
    let scene = Scene { model, pinned, consumers, known, in_f32: None };
    let inner = weights::step(&scene, group, Precision::F32, arch)?;
    let (mut constants, mut operands) = (Constants::new(), Vec::new());
    for id in inner.reads() {
        match scene.elements(id) {
            Some(values) => _ = constants.insert(id, values?),
            None => operands.push(id),
        }
    }
    let (name, output) = (inner.name.clone(), inner.output);
    let work = Work::F32Island(Box::new(F32Island { step: inner, constants }));
    Ok(Step {
        name,
        work,
        operands,
        residual: None,
        activation: None,
        output,
        integer: None,
        truth: false,
        round: None,
    })
}
