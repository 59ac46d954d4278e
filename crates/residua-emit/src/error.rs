//! Why a model could not be written.

use std::io;
use std::path::PathBuf;

use residua_ir::interchange::InterchangeError;
use residua_ir::{Shown, TensorError};

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The target cannot represent the model.
    #[error("{node} ({op}) cannot be written: {problem}")]
    Unsupported {
        /// Node or tensor.
        node: String,
        /// Its operator.
        op: String,
        /// Why, and what can be done.
        problem: String,
        /// The first operator set that can, where only the set that was asked for is too old.
        since: Option<i64>,
    },
    /// Options that contradict each other or the format.
    #[error("{0}")]
    Option(String),
    /// A tensor whose elements cannot be had.
    #[error("tensor `{tensor}`: {error}")]
    Tensor {
        /// Its name in the output.
        tensor: String,
        /// Why.
        error: TensorError,
    },
    /// The graph cannot be written as text.
    #[error(transparent)]
    Interchange(#[from] InterchangeError),
    /// The disk, or whatever is behind the path.
    #[error("{action} {}: {source}", path.shown())]
    Io {
        /// What was tried: `cannot write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl EmitError {
    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
