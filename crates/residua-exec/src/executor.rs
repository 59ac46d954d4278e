//! The executor: one graph, prepared for one precision.

use residua_ir::{Checked, ValueId};

use crate::array::Array;
use crate::error::ExecError;

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
    /// Most bytes that the activations of one run may take at once.
    pub memory_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { precision: Precision::default(), threads: None, keep: Vec::new(), memory_limit: 8 << 30 }
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
pub struct Executor {}

impl Executor {
    /// Prepares a graph: plans the steps, reads and packs the weights.
    ///
    /// # Errors
    /// [`ExecError::Opaque`] where an operator is not known, [`ExecError::Parameter`] where a tensor is damaged,
    /// [`ExecError::UnknownValue`] where a value to be kept is not of this graph.
    pub fn new(_model: &Checked, _options: &Options) -> Result<Self, ExecError> {
        Ok(Self {})
    }

    /// Runs it on these inputs, in the graph's order; axes channels first. Free sizes are taken from the arrays.
    ///
    /// # Errors
    /// [`ExecError::InputCount`] or [`ExecError::InputShape`] where the arrays are not what the model declares,
    /// [`ExecError::Node`] where a node cannot be applied to sizes that they lead to, [`ExecError::Memory`] where the
    /// run would pass the limit.
    pub fn run(&self, inputs: &[Array]) -> Result<Results, ExecError> {
        Err(ExecError::InputCount { expected: 0, names: String::new(), found: inputs.len() })
    }
}
