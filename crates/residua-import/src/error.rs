//! What can go wrong between a container and a graph, classed by culprit.

use std::path::PathBuf;

use residua_formats::FormatError;
use residua_ir::budget::Overrun;
use residua_ir::validate::SHAPE_MISMATCH;
use residua_ir::{Finding, GraphError, Name, Shown, TensorError, Text};

/// Result of an import.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a container is no network that this tool can take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error about this file.
    #[error("{}: {error}", file.shown())]
    InFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// The bytes are no container that can be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The text of the network is not what its framework writes.
    #[error("{at}: expected {expected}, found {found}")]
    Config {
        /// Where: a layer's name and key, a path in the configuration.
        at: Text,
        /// What is written there by the framework.
        expected: Text,
        /// What is there, shortened.
        found: Text,
    },
    /// A layer or node whose attributes make no sense, or are refused.
    #[error("layer `{layer}` ({kind}): {problem}")]
    Layer {
        /// Its name, with the names of enclosing models before it.
        layer: Name,
        /// Its class or operator.
        kind: Text,
        /// What was expected and what was found.
        problem: Text,
    },
    /// A layer that what it is given does not fit: how many tensors, their rank, or their sizes.
    #[error("layer `{layer}` ({kind}): {problem}")]
    Misfit {
        /// Its name, with the names of enclosing models before it.
        layer: Name,
        /// Its class.
        kind: Text,
        /// What it takes and what it is given.
        problem: Text,
    },
    /// What keeps the text of the network from being a graph, all of it; at least one.
    #[error("{}", in_short(.0))]
    Faults(Vec<Finding>),
    /// A tensor that the network needs is not in the file.
    #[error("layer `{layer}`: tensor `{tensor}` of shape {expected} is missing; the file has {found} for this layer")]
    MissingTensor {
        /// The layer that needs it.
        layer: Name,
        /// Name of the tensor within the layer.
        tensor: Name,
        /// Shape that it must have.
        expected: Text,
        /// What the file has instead: names of tensors, or `nothing`.
        found: Text,
    },
    /// Tensors that nothing in the network uses, and that are no known by-product of training.
    #[error("{count} of the file's tensors belong to no layer of the network, the first is `{first}`: {why}")]
    LeftOver {
        /// How many.
        count: usize,
        /// Path of the first of them in the file.
        first: Name,
        /// What was expected instead.
        why: Text,
    },
    /// A tensor of another shape than its layer's attributes say.
    #[error("layer `{layer}`: tensor `{tensor}` must have shape {expected}, found {found} (at {location})")]
    Shape {
        /// The layer.
        layer: Name,
        /// Name of the tensor within the layer.
        tensor: Name,
        /// Path in the file.
        location: Name,
        /// Shape that it must have; `*` where any size will do.
        expected: Text,
        /// Its shape.
        found: Text,
    },
    /// A kind of file or network that this tool does not read.
    #[error("{what} is not supported: {help}")]
    Unsupported {
        /// What it is.
        what: Text,
        /// What can be done instead.
        help: Text,
    },
    /// A file with weights only, whose network could not be told from names and shapes.
    #[error("the network cannot be told from its weights alone: {problem}{}", list_tried(tried))]
    Weights {
        /// What did not fit, naming the tensor.
        problem: Text,
        /// Networks that were tried, each with why it is none of them.
        tried: Vec<Text>,
    },
    /// A tensor could not be viewed as its layer needs it.
    #[error("tensor `{tensor}`: {source}")]
    Tensor {
        /// Path of the tensor in the file.
        tensor: Name,
        /// What is wrong.
        source: TensorError,
    },
    /// Reading it would take more than is given to any file.
    #[error(transparent)]
    Limit(#[from] Overrun),
    /// The graph could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Error {
    /// What is wrong in terms of the network's own graph and shapes; empty where that is not what is wrong.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::InFile { error, .. } => error.findings(),
            Self::Faults(faults) => faults.clone(),
            Self::Shape { layer, tensor, location, expected, found } => {
                let message = format!("tensor `{tensor}` must have shape {expected}, found {found}");
                let help = "compare the layer's attributes and weights with the code that built the model";
                vec![Finding::new(&SHAPE_MISMATCH, message, help).at(layer.raw()).of_tensor(location.raw())]
            }
            Self::Misfit { layer, kind, problem } => {
                let help = "compare the layer, and those before it, with the code that built the model";
                vec![Finding::new(&SHAPE_MISMATCH, format!("{kind}: {problem}"), help).at(layer.raw())]
            }
            Self::Format(_)
            | Self::Config { .. }
            | Self::Layer { .. }
            | Self::MissingTensor { .. }
            | Self::LeftOver { .. }
            | Self::Unsupported { .. }
            | Self::Weights { .. }
            | Self::Tensor { .. }
            | Self::Limit(_)
            | Self::Graph(_) => Vec::new(),
        }
    }
}

fn in_short(faults: &[Finding]) -> String {
    let Some(first) = faults.first() else { return "the graph is none".to_owned() };
    let node = first.node.clone().unwrap_or_else(|| "the graph".into());
    let more = match faults.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more of the kind, which `residua check` lists)"),
    };
    format!("`{node}`: {}{more}", first.message)
}

fn list_tried(tried: &[Text]) -> String {
    let tried: Vec<String> = tried.iter().map(ToString::to_string).collect();
    if tried.is_empty() { String::new() } else { format!("; tried: {}", tried.join("; ")) }
}
