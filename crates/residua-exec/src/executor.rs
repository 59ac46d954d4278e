//! The executor: one graph, prepared for one precision.

use residua_ir::{Checked, Op};

use crate::array::Array;
use crate::engine::Engine;
use crate::error::ExecError;
use crate::estimate::estimate;
use crate::options::{Options, Precision, Results, Watch};

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
