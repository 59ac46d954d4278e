//! Why a model could not be written.

use std::io;
use std::path::PathBuf;

use residua_ir::interchange::InterchangeError;
use residua_ir::{Name, Shown, TensorError, Text, in_full};

/// Why a model could not be written.
///
/// An error shows what it knows itself; what is behind it is its source, and [`residua_ir::in_full`] shows both. Only where two
/// things went wrong at once ([`EmitError::NotPutBack`]) both are shown, and there is no source.
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
    #[error("tensor `{tensor}`")]
    Tensor {
        /// Its name in the output.
        tensor: Name,
        /// Why.
        source: TensorError,
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
        "{}; what was at {} before could not be put back ({put_back}), it is kept in {}",
        in_full(&**error),
        place.shown(),
        folder.shown()
    )]
    NotPutBack {
        /// Why it could not be moved.
        error: Box<EmitError>,
        /// The place.
        place: PathBuf,
        /// Where what was there is.
        folder: PathBuf,
        /// Why it could not be put back.
        put_back: io::Error,
    },
    /// The writer that was given.
    #[error("cannot write the model")]
    Write {
        /// What it says.
        source: io::Error,
    },
    /// The disk, or whatever is behind the path.
    #[error("{action} {}", path.shown())]
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

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::path::Path;

    use residua_ir::Tensor;

    use super::*;

    #[test]
    fn an_error_leaves_to_its_source_what_the_source_says() {
        let source = Tensor::from_f32(vec![3], &[1.0]).unwrap_err();
        let cause = source.to_string();
        let error = EmitError::Tensor { tensor: "conv".into(), source };
        assert_eq!(error.to_string(), "tensor `conv`");
        assert_eq!(in_full(&error), format!("tensor `conv`: {cause}"));
        let full = EmitError::io("cannot write", Path::new("a.onnx"))(io::ErrorKind::StorageFull.into());
        assert!(full.source().is_some_and(|source| source.is::<io::Error>()));
        assert!(!full.to_string().contains(&full.source().unwrap().to_string()));
    }

    #[test]
    fn where_two_things_went_wrong_both_are_shown() {
        let first = EmitError::io("cannot write", Path::new("a.onnx"))(io::Error::other("the disk is full"));
        let (place, folder) = (PathBuf::from("a.onnx"), PathBuf::from(".residua-x"));
        let put_back = io::Error::other("it is gone");
        let error = EmitError::NotPutBack { error: Box::new(first), place, folder, put_back };
        assert_eq!(
            error.to_string(),
            "cannot write a.onnx: the disk is full; what was at a.onnx before could not be put back (it is gone), it is \
             kept in .residua-x"
        );
        assert!(error.source().is_none());
    }
}
