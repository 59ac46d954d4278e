//! What can go wrong when a graph is prepared or run, with the layer, node or input it is about.

use residua_ir::budget::Limit;
use residua_ir::{DType, Hint, Name, Op, TensorError, TensorType, Text};

/// Why a graph cannot be prepared or run.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// An operator that is not known.
    #[error("layer `{layer}` cannot be run: {domain} `{op_type}`: {reason}")]
    Opaque {
        /// Layer of the source model.
        layer: Name,
        /// Where the operator comes from.
        domain: Name,
        /// Its name there.
        op_type: Name,
        /// Why it is not known.
        reason: Text,
    },
    /// A tensor that the file cannot give.
    #[error("tensor `{parameter}`")]
    Parameter {
        /// Name of the tensor.
        parameter: Name,
        /// What is wrong with it.
        source: TensorError,
    },
    /// Too few or too many input arrays.
    #[error("the model takes {expected} inputs ({names}), {found} were given")]
    InputCount {
        /// How many it takes.
        expected: usize,
        /// Their names.
        names: Text,
        /// How many were given.
        found: usize,
    },
    /// An input array of another shape.
    #[error("input `{input}` is declared {declared}, the array given has shape {given:?}")]
    InputShape {
        /// Name of the input.
        input: Name,
        /// Its shape in the model, channels first.
        declared: Text,
        /// Shape of the array.
        given: Vec<usize>,
    },
    /// A node that cannot be applied to operands of the sizes that these inputs lead to.
    #[error("node `{node}` ({op}) of operands {operands}: {reason}")]
    Node {
        /// Name of the node.
        node: Name,
        /// Its operator.
        op: Text,
        /// Shape of each operand.
        operands: Text,
        /// What does not fit.
        reason: Text,
    },
    /// A value whose size does not follow from the inputs.
    #[error("the size of `{value}` does not follow from the inputs: {shape}")]
    Size {
        /// Name of the value.
        value: Name,
        /// What is known of its shape.
        shape: Text,
    },
    /// More memory than the limit would be needed.
    #[error(
        "node `{node}` with a result of shape {shape}: the run would hold {needed} bytes, the limit is {limit} (smaller inputs or a smaller batch take less; where the model is to be trusted with more: {} {}={needed})",
        Hint::Budget, Limit::ActivationBytes.name()
    )]
    Memory {
        /// The node at which the limit would be passed.
        node: Name,
        /// Shape of its result.
        shape: Text,
        /// Bytes that would be held at once; `usize::MAX` where the number overflows.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// More operations than the limit would be done.
    #[error(
        "the run would take {operations} operations on numbers, the limit for {weights} bytes of weights is {limit} (smaller inputs take fewer; where the model is to be trusted with more: {} {}={operations})",
        Hint::Budget, Limit::ArithmeticAlways.name()
    )]
    Operations {
        /// Products, and elements read and written.
        operations: u64,
        /// The limit.
        limit: u64,
        /// Bytes of the weights that the file holds, from which the limit follows.
        weights: u64,
    },
    /// A value to be kept that is not of this graph.
    #[error("value {index} was asked for, the graph has {values}")]
    UnknownValue {
        /// Position that was asked for.
        index: usize,
        /// Number of values of the graph.
        values: usize,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for; 0 is one a core.
        threads: usize,
        /// What the system says.
        reason: Text,
    },
    /// An integer that the type computed in does not hold exactly.
    #[error(
        "`{name}` comes to the {dtype} {value:e}, which {computed_in} does not hold exactly{}",
        advice(computed_in)
    )]
    Inexact {
        /// The node, input or tensor.
        name: Name,
        /// The integer, rounded; or a bound of it.
        value: f64,
        /// Its type in the model.
        dtype: DType,
        /// What is computed in.
        computed_in: &'static str,
    },
    /// An array whose shape and number of elements contradict each other.
    #[error("an array of shape {shape:?} cannot hold {found} elements")]
    ElementCount {
        /// Its shape.
        shape: Vec<usize>,
        /// Elements at hand.
        found: usize,
    },
    /// A permutation that is none of the axes of an array.
    #[error("{perm:?} is no permutation of the axes of an array of shape {shape:?}")]
    Permutation {
        /// What was asked for.
        perm: Vec<usize>,
        /// Shape of the array.
        shape: Vec<usize>,
    },
    /// Two arrays of different shapes were to be compared.
    #[error("an array of shape {reference:?} cannot be compared with one of shape {other:?}")]
    Compare {
        /// Shape of the reference.
        reference: Vec<usize>,
        /// Shape of the other one.
        other: Vec<usize>,
    },
    /// An array that does not lie as its order says.
    #[error("an array of shape {shape:?} cannot be {channels} channels of {height}x{width}, flattened")]
    Flattened {
        /// Shape of the array.
        shape: Vec<usize>,
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl ExecError {
    /// A node that does not fit its operands.
    pub(crate) fn node(name: &str, op: &Op, operands: &[TensorType], reason: String) -> Self {
        let operands = operands.iter().map(|ty| ty.shape.to_string()).collect::<Vec<_>>().join(", ");
        Self::Node { node: name.into(), op: op.name().into(), operands: operands.into(), reason: reason.into() }
    }
}

/// What helps where an integer is not exact.
fn advice(computed_in: &str) -> String {
    if computed_in == "f32" { format!("; run the model with {} f64", Hint::Precision) } else { String::new() }
}
