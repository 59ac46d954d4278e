//! Why a model could not be written.

use std::io;
use std::path::PathBuf;

use residua_ir::interchange::InterchangeError;
use residua_ir::{Name, Shown, TensorError, Text};

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The target cannot represent the model.
    #[error("{node} ({op}) cannot be written: {problem}")]
    Unsupported {
        /// Node or tensor.
        node: Name,
        /// Its operator.
        op: Text,
        /// Why, and what can be done.
        problem: Text,
        /// The first operator set that can, where only the set that was asked for is too old.
        since: Option<i64>,
    },
    /// Options that contradict each other or the format.
    #[error("{0}")]
    Option(Text),
    /// A tensor whose elements cannot be had.
    #[error("tensor `{tensor}`: {error}")]
    Tensor {
        /// Its name in the output.
        tensor: Name,
        /// Why.
        error: TensorError,
    },
    /// The graph cannot be written as text.
    #[error(transparent)]
    Interchange(#[from] InterchangeError),
    /// The output is a file that was read.
    #[error("{} would replace the input {}; choose another name", output.shown(), input.shown())]
    Input {
        /// The output.
        output: PathBuf,
        /// The file, as it was called when it was read.
        input: PathBuf,
    },
    /// Two outputs have one place.
    #[error("two outputs would be at {}; choose another name for one of them", path.shown())]
    Twice {
        /// The place.
        path: PathBuf,
    },
    /// An output could not be moved to its place, and what was there could not be put back.
    #[error(
        "{error}; what was at {} before could not be put back ({source}), it is kept in {}", place.shown(), folder.shown()
    )]
    NotPutBack {
        /// Why it could not be moved.
        error: Box<EmitError>,
        /// The place.
        place: PathBuf,
        /// Where what was there is.
        folder: PathBuf,
        /// Why it could not be put back.
        source: io::Error,
    },
    /// The writer that was given.
    #[error("cannot write the model: {source}")]
    Write {
        /// What it says.
        source: io::Error,
    },
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
