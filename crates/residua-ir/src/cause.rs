//! An error and its causes as one text.
//!
//! Errors of these crates show what they know themselves, and have what is behind that as their source. Who wants one text
//! for a finding, a note or a log takes [`in_full`].

use std::error::Error;

/// An error with all its causes, each behind a colon: `model.onnx: cannot be read: permission denied`.
///
/// ```
/// use residua_ir::cause::in_full;
///
/// let error = residua_ir::interchange::read("{", |_| None).unwrap_err();
/// assert_eq!(in_full(&error), "the graph's text: EOF while parsing an object at line 1 column 1");
/// ```
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
