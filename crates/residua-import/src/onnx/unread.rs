//! Why a node is not read as an operator.

/// Why a node is kept as it is.
#[derive(Debug)]
pub(super) enum Unread {
    /// What it does is not known here.
    Unknown(String),
    /// It contradicts the definition of its operator, so that nothing could run it.
    Misused(String),
}

pub(super) use Unread::{Misused, Unknown};

impl Unread {
    /// In the user's terms.
    pub(super) fn reason(&self) -> &str {
        match self {
            Unknown(reason) | Misused(reason) => reason,
        }
    }
}
