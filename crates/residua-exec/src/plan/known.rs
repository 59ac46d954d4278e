//! What depends on tensors alone is computed when the plan is made: restored weights, most of all.
//!
//! Whoever reads such a model computes these once and keeps them as tensors of their declared type (ONNX's own constant
//! folding, `residua_ir::rewrite::fold_constants`), and frameworks compute them in that type. So the reference, too, rounds
//! what it computes exactly to that type: a model with the computation in it and one with the result are the same function.

use std::collections::{BTreeMap, BTreeSet};

use pulp::Arch;
use residua_ir::rewrite::computed_constants;
use residua_ir::{Checked, DType, Node, NodeId, Tensor, ValueId, ValueKind};

use super::{read, tensor_of, weights};
use crate::array::element_count;
use crate::buffer::FreeList;
use crate::element::Element;
use crate::error::ExecError;
use crate::run::{Constants, Run};
use crate::step::Step;
use crate::steps;

/// Computed values that do not depend on the inputs.
#[derive(Debug)]
pub(super) struct Known<T>(BTreeMap<ValueId, Vec<T>>);

impl<T: Element> Known<T> {
    /// Computes those among the needed nodes, and keeps what others read or what is given back. What would take more
    /// than the limit is left to the run, which refuses it.
    pub(super) fn compute(
        model: &Checked,
        consumers: &[Vec<NodeId>],
        needed: &[bool],
        pinned: &[bool],
        memory_limit: usize,
        arch: Arch,
    ) -> Result<Self, ExecError> {
        let graph = model.graph();
        let bytes = |id: ValueId| {
            let shape = model.shape_of(id)?.as_fixed()?;
            element_count(&shape)?.checked_mul(size_of::<T>())
        };
        let mut known = vec![false; graph.values().len()];
        let mut left = memory_limit;
        let mut nodes = Vec::new();
        for node in graph.nodes().iter().zip(needed).filter(|(_, needed)| **needed).map(|(node, _)| node) {
            let constant = |id: &ValueId| known[id.index()] || tensor_of(model, *id).is_some();
            let size = bytes(node.output()).filter(|&size| size <= left);
            if let (true, [output], Some(size)) = (node.inputs.iter().all(constant), &node.outputs[..], size) {
                left -= size;
                known[output.index()] = true;
                nodes.push(node);
            }
        }
        if nodes.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let mut wanted = pinned.to_vec();
        for node in graph.nodes().iter().zip(needed).filter(|(_, needed)| **needed).map(|(node, _)| node) {
            if !known[node.output().index()] {
                node.inputs.iter().for_each(|id| wanted[id.index()] = true);
            }
        }
        run(model, consumers, &nodes, &wanted, arch)
    }

    pub(super) fn get(&self, id: ValueId) -> Option<&[T]> {
        self.0.get(&id).map(Vec::as_slice)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = (ValueId, Vec<T>)> {
        self.0.into_iter()
    }
}

/// Runs nodes in their order, and gives those of their results that are wanted.
fn run<T: Element>(
    model: &Checked,
    consumers: &[Vec<NodeId>],
    nodes: &[&Node],
    wanted: &[bool],
    arch: Arch,
) -> Result<Known<T>, ExecError> {
    let graph = model.graph();
    let steps: Vec<Step<T>> = nodes.iter().map(|node| weights::plain(model, consumers, node)).collect();
    let mut constants = Constants::new();
    for id in steps.iter().flat_map(Step::reads) {
        if let Some((tensor, name)) = tensor_of(model, id)
            && !constants.contains_key(&id)
        {
            constants.insert(id, read(tensor, name)?);
        }
    }
    let shapes = graph.value_ids().map(|id| model.shape_of(id).and_then(|shape| shape.as_fixed()).unwrap_or_default());
    let shapes = shapes.collect();
    let mut last_read = vec![0; graph.values().len()];
    for (index, step) in steps.iter().enumerate() {
        step.reads().for_each(|id| last_read[id.index()] = index);
    }
    let stored: BTreeSet<ValueId> = computed_constants(model).into_iter().map(|id| graph.node(id).output()).collect();
    let mut run = Run::new(arch, shapes, FreeList::default(), &constants);
    let mut found = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let result = steps::run(&mut run, step, &[])?;
        if wanted[step.output.index()] {
            let dtype = model.type_of(step.output).map(|ty| ty.dtype).filter(|_| stored.contains(&step.output));
            found.insert(step.output, in_type(result.to_vec(), dtype));
        }
        run.put(step.output, result);
        for id in step.reads().chain([step.output]).filter(|id| last_read[id.index()] <= index) {
            if matches!(graph.value(id).kind, ValueKind::Computed { .. }) {
                run.release(id);
            }
        }
    }
    Ok(Known(found))
}

/// Numbers as a tensor of this type holds them.
fn in_type<T: Element>(values: Vec<T>, dtype: Option<DType>) -> Vec<T> {
    // What is computed in f32 is that already, and what is f64 loses nothing.
    let narrower =
        |dtype: &DType| dtype.is_float() && *dtype != DType::F64 && !(*dtype == DType::F32 && T::NAME == "f32");
    let Some(dtype) = dtype.filter(narrower) else { return values };
    let exact: Vec<f64> = values.iter().map(|value| value.to_f64()).collect();
    let held = Tensor::from_f64(vec![exact.len()], &exact).and_then(|tensor| tensor.cast(dtype).to_f64());
    held.map_or(values, |held| held.into_iter().map(T::from_f64).collect())
}
