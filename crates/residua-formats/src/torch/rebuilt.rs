//! What becomes of a value that is a tensor, and how messages name it.

use residua_ir::{Shown, Tensor};

/// A tensor, or why it is none that is read.
pub(super) enum Rebuilt {
    /// The tensor and its place in the file.
    Tensor(Tensor, String),
    /// The reason.
    Not(String),
}

/// Where a tensor is, for messages.
pub(super) fn place(at: &str) -> String {
    format!("tensor `{}`", at.shown())
}
