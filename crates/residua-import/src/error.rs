//! What can go wrong between a container and a graph, classed by culprit.

use std::fmt;
use std::path::{Path, PathBuf};

use residua_formats::FormatError;
use residua_ir::budget::Overrun;
use residua_ir::validate::SHAPE_MISMATCH;
use residua_ir::{Finding, GraphError, Name, Shown, TensorError, Text};

/// Result of an import.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file is no network that this tool can take.
///
/// It shows the file and the problem; what lies behind the problem is its source ([`residua_ir::in_full`] shows all of it).
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportError {
    /// The file, or what bytes in memory were called; empty where there is neither, and where the problem names its file.
    pub file: PathBuf,
    /// What is wrong.
    pub problem: Box<Error>,
}

impl ImportError {
    pub(crate) fn in_file(file: &Path, problem: Error) -> Self {
        Self { file: file.to_owned(), problem: Box::new(problem) }
    }

    /// What is wrong in terms of the network's own graph and shapes; empty where that is not what is wrong.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.problem.findings()
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}: ", self.file.shown())?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

impl From<Error> for ImportError {
    fn from(problem: Error) -> Self {
        Self { file: PathBuf::new(), problem: Box::new(problem) }
    }
}

impl From<FormatError> for ImportError {
    fn from(error: FormatError) -> Self {
        Error::Format(error).into()
    }
}

/// What is wrong with a container, whatever file it is in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    #[error("tensor `{tensor}`")]
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::error::Error as _;
    use std::io;

    use residua_ir::{Tensor, in_full};

    use super::*;

    #[test]
    fn what_is_behind_an_error_is_its_source_and_shown_by_it_alone() {
        let error = crate::load("no such file").unwrap_err();
        assert_eq!(error.to_string(), "no such file: cannot be read");
        let cause = error.source().unwrap();
        assert_eq!(cause.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
        assert_eq!(in_full(&error), format!("no such file: cannot be read: {cause}"));

        let source = Tensor::from_f32(vec![2], &[0.0]).unwrap_err();
        let told = source.to_string();
        let error = ImportError::in_file(Path::new("m.pth"), Error::Tensor { tensor: "w".into(), source });
        assert_eq!(error.to_string(), "m.pth: tensor `w`");
        assert!(error.source().unwrap().is::<TensorError>());
        assert_eq!(in_full(&error), format!("m.pth: tensor `w`: {told}"));
    }
}
