//! The executor: one graph, prepared for one precision.

use std::collections::BTreeMap;

use residua_ir::budget::Limit;
use residua_ir::{Checked, DType, Op, ValueId};

use crate::array::Array;
use crate::engine::Engine;
use crate::error::ExecError;
use crate::estimate::estimate;

/// Type that a run computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The fast engine.
    #[default]
    F32,
    /// The reference.
    F64,
}

/// How a graph is prepared.
#[derive(Debug, Clone)]
pub struct Options {
    /// Type that is computed in.
    pub precision: Precision,
    /// Number of threads; [`None`] is one a core.
    pub threads: Option<usize>,
    /// Values that are given back besides the outputs.
    pub keep: Vec<ValueId>,
    /// Values that are rounded to a narrower type once they are computed, as a framework does that computes in it. No
    /// operators are computed as one over them.
    pub round: BTreeMap<ValueId, DType>,
    /// Values that a watcher is to see: no step passes over them. Unlike those that are kept they are given up behind their
    /// last reader.
    pub watched: Vec<ValueId>,
    /// Most bytes that the activations of one run may take at once; [`Limit::ActivationBytes`] unless it is set.
    pub memory_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            precision: Precision::default(),
            threads: None,
            keep: Vec::new(),
            round: BTreeMap::new(),
            watched: Vec::new(),
            memory_limit: Limit::ActivationBytes.most_here(),
        }
    }
}

/// What a run gives back. Axes are in the graph's order, channels first.
#[derive(Debug, Clone)]
pub struct Results {
    /// Outputs, in the graph's order.
    pub outputs: Vec<Array>,
    /// Values that were to be kept, in the order in which they were asked for.
    pub kept: Vec<(ValueId, Array)>,
}

impl Results {
    /// A value that was to be kept.
    #[must_use]
    pub fn kept(&self, value: ValueId) -> Option<&Array> {
        self.kept.iter().find(|(id, _)| *id == value).map(|(_, array)| array)
    }
}

/// A graph that is ready to run.
#[derive(Debug)]
pub struct Executor(Engines);

#[derive(Debug)]
enum Engines {
    F32(Engine<f32>),
    F64(Engine<f64>),
}

impl Executor {
    /// Prepares a graph: plans the steps, reads and packs the weights.
    ///
    /// # Errors
    /// [`ExecError::Opaque`] where an operator is not known, [`ExecError::Parameter`] where a tensor is damaged,
    /// [`ExecError::UnknownValue`] where a value to be kept is not of this graph, [`ExecError::Threads`];
    /// [`ExecError::Memory`] or [`ExecError::Operations`] where all sizes are known and a run would pass a limit.
    pub fn new(model: &Checked, options: &Options) -> Result<Self, ExecError> {
        let graph = model.graph();
        for node in graph.nodes() {
            if let Op::Opaque(opaque) = &node.op {
                return Err(ExecError::Opaque {
                    layer: graph.layer(node.layer).name.raw().into(),
                    domain: opaque.domain.clone().into(),
                    op_type: opaque.op_type.clone().into(),
                    reason: opaque.reason.clone().into(),
                });
            }
        }
        // Packing the weights of what is not run afterwards would take as long as a run.
        estimate(model, options.precision, &options.keep).check(options.memory_limit)?;
        Ok(Self(match options.precision {
            Precision::F32 => Engines::F32(Engine::new(model, options)?),
            Precision::F64 => Engines::F64(Engine::new(model, options)?),
        }))
    }

    /// Runs it on these inputs, in the graph's order; axes channels first. Free sizes are taken from the arrays.
    ///
    /// # Errors
    /// [`ExecError::InputCount`] or [`ExecError::InputShape`] where the arrays are not what the model declares,
    /// [`ExecError::Node`] or [`ExecError::Size`] where a node cannot be applied to sizes that they lead to,
    /// [`ExecError::Memory`] or [`ExecError::Operations`] where the run would pass a limit.
    pub fn run(&self, inputs: &[Array]) -> Result<Results, ExecError> {
        match &self.0 {
            Engines::F32(engine) => engine.run(inputs, None),
            Engines::F64(engine) => engine.run(inputs, None),
        }
    }

    /// The same, and `watch` sees what each step gives before anything reads it. An array that it returns stands in the
    /// place of that from then on.
    ///
    /// In f64 a step is a node; in f32 it may be several, but never beyond a value that is kept or [watched](Options::watched). What follows from tensors
    /// alone was computed before, and is not seen.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`ExecError::Compare`] where what is returned has another shape.
    pub fn run_watched(&self, inputs: &[Array], watch: Watch<'_>) -> Result<Results, ExecError> {
        match &self.0 {
            Engines::F32(engine) => engine.run(inputs, Some(watch)),
            Engines::F64(engine) => engine.run(inputs, Some(watch)),
        }
    }
}

/// Sees what steps give; what it returns is taken instead.
pub type Watch<'a> = &'a mut (dyn FnMut(ValueId, Computed<'_>) -> Option<Array> + Send);

/// What a step gave. Axes are in the graph's order, channels first.
#[derive(Debug, Clone, Copy)]
pub struct Computed<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) elements: Elements<'a>,
}

/// Elements in the type that is computed in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl Computed<'_> {
    /// Its sizes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape
    }

    /// Index of the first element that is infinite or NaN, row-major, and how many are.
    #[must_use]
    pub fn non_finite(&self) -> Option<(usize, usize)> {
        fn found(bad: impl Iterator<Item = bool>) -> Option<(usize, usize)> {
            let mut places = bad.enumerate().filter_map(|(at, bad)| bad.then_some(at));
            places.next().map(|first| (first, 1 + places.count()))
        }
        match self.elements {
            Elements::F32(values) => found(values.iter().map(|value| !value.is_finite())),
            Elements::F64(values) => found(values.iter().map(|value| !value.is_finite())),
        }
    }

    /// A copy of it.
    ///
    /// # Errors
    /// [`ExecError::ElementCount`], as [`Array::new`].
    pub fn to_array(&self) -> Result<Array, ExecError> {
        match self.elements {
            Elements::F32(values) => Array::new(self.shape.to_vec(), values.to_vec()),
            Elements::F64(values) => Array::new(self.shape.to_vec(), values.to_vec()),
        }
    }
}
