//! The engine: runs a plan for the sizes that the inputs have.
//!
//! Free sizes are bound by inferring all shapes anew, with the only shape inference there is. A value lives from the
//! step that makes it to the last one that reads it; its buffer is used again after that.

use std::sync::{Arc, Mutex, PoisonError};

use pulp::Arch;
use rayon::ThreadPool;
use residua_ir::shape::infer;
use residua_ir::{Checked, DType, Graph, Shape, TensorType, ValueId, ValueKind};

use crate::array::{Array, element_count};
use crate::buffer::FreeList;
use crate::element::Element;
use crate::error::ExecError;
use crate::estimate::of_graph;
use crate::options::{Computed, Options, Results, Watch};
use crate::parallel;
use crate::plan::Plan;
use crate::run::Run;
use crate::step::integer;
use crate::steps;

/// A plan with what it needs to run.
#[derive(Debug)]
pub(crate) struct Engine<T> {
    graph: Graph,
    plan: Plan<T>,
    /// For each value, the last step that reads it; [`usize::MAX`] for values that are given back.
    last_read: Vec<usize>,
    keep: Vec<ValueId>,
    memory_limit: usize,
    /// Whether all sizes were known before, and what they take.
    estimated: bool,
    pool: ThreadPool,
    arch: Arch,
    /// Buffers of earlier runs.
    buffers: Mutex<FreeList<T>>,
}

impl<T: Element> Engine<T> {
    pub(crate) fn new(model: &Checked, options: &Options) -> Result<Self, ExecError> {
        let threads = options.threads.unwrap_or(0);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| ExecError::Threads { threads, reason: error.to_string().into() })?;
        let graph = model.graph();
        let mut pinned = vec![false; graph.values().len()];
        for id in graph.outputs().iter().chain(&options.keep) {
            let values = graph.values().len();
            *pinned.get_mut(id.index()).ok_or(ExecError::UnknownValue { index: id.index(), values })? = true;
        }
        let arch = Arch::new();
        let mut apart = pinned.clone();
        for &id in options.round.keys().chain(&options.watched) {
            let values = graph.values().len();
            *apart.get_mut(id.index()).ok_or(ExecError::UnknownValue { index: id.index(), values })? = true;
        }
        let mut plan = pool.install(|| Plan::new(model, &apart, options.precision, options.memory_limit, arch))?;
        for step in &mut plan.steps {
            step.round = options.round.get(&step.output).copied();
        }
        let mut last_read = vec![0; pinned.len()];
        for (index, step) in plan.steps.iter().enumerate() {
            step.reads().for_each(|id| last_read[id.index()] = index);
        }
        for (last, _) in last_read.iter_mut().zip(&pinned).filter(|(_, pinned)| **pinned) {
            *last = usize::MAX;
        }
        Ok(Self {
            graph: graph.clone(),
            plan,
            last_read,
            keep: options.keep.clone(),
            memory_limit: options.memory_limit,
            estimated: graph
                .value_ids()
                .all(|id| model.shape_of(id).is_some_and(|shape| shape.element_count().is_some())),
            pool,
            arch,
            buffers: Mutex::default(),
        })
    }

    pub(crate) fn run(&self, inputs: &[Array], mut watch: Option<Watch<'_>>) -> Result<Results, ExecError> {
        let shapes = self.shapes(inputs)?;
        self.check_memory(&shapes)?;
        if !self.estimated {
            let known = |id: ValueId| {
                let shape = Shape::fixed(shapes.get(id.index())?);
                Some(TensorType { dtype: DType::F32, shape })
            };
            of_graph(&self.graph, size_of::<T>(), &self.keep, &known).check_operations()?;
        }
        let free = std::mem::take(&mut *self.buffers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut run = Run::new(self.arch, shapes.into(), free, &self.plan.constants);
        for (&id, array) in self.graph.inputs().iter().zip(inputs) {
            let values = T::of_array(array);
            if let ValueKind::Input(declared) = &self.graph.value(id).kind
                && let Some(dtype) = integer(declared.dtype)
            {
                steps::integer::check(&values, dtype, self.graph.value(id).name.raw())?;
            }
            run.put(id, Arc::new(values.into()));
        }
        self.pool.install(|| {
            parallel::awake(|| {
                for (index, step) in self.plan.steps.iter().enumerate() {
                    let dead: Vec<ValueId> = step.reads().filter(|id| self.last_read[id.index()] == index).collect();
                    let result = steps::run(&mut run, step, &dead)?;
                    run.put(step.output, result);
                    if let Some(watch) = &mut watch {
                        let seen =
                            Computed { shape: run.shape(step.output), elements: T::elements(run.values(step.output)) };
                        if let Some(instead) = watch(step.output, seen) {
                            run.replace(step.output, &instead)?;
                        }
                    }
                    dead.into_iter().for_each(|id| run.release(id));
                }
                Ok::<(), ExecError>(())
            })
        })?;
        let results = Results {
            outputs: self.graph.outputs().iter().map(|&id| run.array(id)).collect::<Result<_, _>>()?,
            kept: self.keep.iter().map(|&id| Ok((id, run.array(id)?))).collect::<Result<_, ExecError>>()?,
        };
        *self.buffers.lock().unwrap_or_else(PoisonError::into_inner) = run.into_free();
        Ok(results)
    }

    /// The shape of every value, for these inputs.
    fn shapes(&self, inputs: &[Array]) -> Result<Vec<Vec<usize>>, ExecError> {
        let graph = &self.graph;
        if inputs.len() != graph.inputs().len() {
            let names: Vec<&str> = graph.inputs().iter().map(|&id| graph.value(id).name.raw()).collect();
            let (expected, names) = (names.len(), names.join(", "));
            return Err(ExecError::InputCount { expected, names: names.into(), found: inputs.len() });
        }
        let mut given = inputs.iter();
        let mut types: Vec<Option<TensorType>> = vec![None; graph.values().len()];
        for id in graph.value_ids() {
            types[id.index()] = match &graph.value(id).kind {
                ValueKind::Parameter(parameter) => {
                    let tensor = &graph.parameter(*parameter).tensor;
                    Some(TensorType { dtype: tensor.dtype(), shape: Shape::fixed(tensor.shape()) })
                }
                ValueKind::Input(_) | ValueKind::Computed { .. } => None,
            };
        }
        for &id in graph.inputs() {
            let (ValueKind::Input(declared), Some(array)) = (&graph.value(id).kind, given.next()) else { continue };
            let dims = declared.shape.dims();
            let fits = dims.len() == array.shape().len()
                && dims.iter().zip(array.shape()).all(|(dim, &size)| dim.fixed().is_none_or(|fixed| fixed == size));
            if !fits {
                return Err(ExecError::InputShape {
                    input: graph.value(id).name.raw().into(),
                    declared: declared.shape.to_string().into(),
                    given: array.shape().to_vec(),
                });
            }
            types[id.index()] = Some(TensorType { dtype: declared.dtype, shape: Shape::fixed(array.shape()) });
        }
        for node in graph.nodes() {
            let operands: Option<Vec<TensorType>> = node.inputs.iter().map(|id| types[id.index()].clone()).collect();
            let Some(operands) = operands else { continue };
            let results = infer(&node.op, &operands)
                .map_err(|error| ExecError::node(node.name.raw(), &node.op, &operands, error.to_string()))?;
            for (&id, ty) in node.outputs.iter().zip(results) {
                types[id.index()] = Some(ty);
            }
        }
        let unknown = TensorType { dtype: DType::F32, shape: Shape::fixed(&[0]) };
        graph
            .value_ids()
            .map(|id| {
                let ty = types[id.index()].as_ref().unwrap_or(&unknown);
                ty.shape.as_fixed().ok_or_else(|| {
                    let name = &graph.value(id).name;
                    ExecError::Size { value: name.raw().into(), shape: ty.shape.to_string().into() }
                })
            })
            .collect()
    }

    /// Walks the plan, and adds up what would be held at once.
    fn check_memory(&self, shapes: &[Vec<usize>]) -> Result<(), ExecError> {
        let bytes = |id: ValueId| {
            element_count(&shapes[id.index()]).and_then(|count| count.checked_mul(size_of::<T>())).unwrap_or(usize::MAX)
        };
        let mut held = self.graph.inputs().iter().fold(0usize, |sum, &id| sum.saturating_add(bytes(id)));
        for (index, step) in self.plan.steps.iter().enumerate() {
            let scratch = steps::scratch(step, shapes).and_then(|count| count.checked_mul(size_of::<T>()));
            held = held.saturating_add(bytes(step.output));
            let needed = held.saturating_add(scratch.unwrap_or(usize::MAX));
            if needed > self.memory_limit {
                let shape = Shape::fixed(&shapes[step.output.index()]).to_string();
                return Err(ExecError::Memory {
                    node: step.name.clone().into(),
                    shape: shape.into(),
                    needed,
                    limit: self.memory_limit,
                });
            }
            let mut dead: Vec<ValueId> = step.reads().filter(|id| self.last_read[id.index()] == index).collect();
            dead.sort_unstable();
            dead.dedup();
            for id in dead.into_iter().filter(|id| !self.plan.constants.contains_key(id)) {
                held = held.saturating_sub(bytes(id));
            }
        }
        Ok(())
    }
}
