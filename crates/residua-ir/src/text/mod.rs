//! A graph as text that can be read by people and read back: a line an input, parameter and node.
//!
//! ```text
//! graph tiny
//!   input x order {"permuted":[0,2,3,1]}: f32[N, 3, 32, 32]
//!   weight conv/kernel: f32[8, 3, 3, 3] = "digest"
//!   weight conv/bias: f32[8] = 0.0
//!   conv = conv {"strides":[1,1], …} (x, conv/kernel, conv/bias) in conv Conv2D
//!   relu = activation "relu" (conv)
//!   return relu
//! ```
//!
//! Operators are written as in [`interchange`](crate::interchange): the tag of the variant and its fields as JSON. So this form follows from the
//! operators, and what it says is built and refused by the same code. Names that are more than letters, digits, `_`, `.`,
//! `/` and `-` stand in quotes. Elements are one number for all, a list in row-major order, or the name of what is
//! kept elsewhere. A line that starts with `#` is a comment.
//!
//! Not part of it: where the graph comes from ([`Source`](crate::Source), places in files, what is unused), and what else the source says
//! of a layer. A node or parameter that names no layer has one of its own.

mod parse;
mod print;

pub use parse::read;
pub use print::write;

use crate::interchange::InterchangeError;
use crate::tensor::TensorError;

/// The most elements that are written as a list.
const LISTED: usize = 16;

/// Words of the language, which are quoted where they are names.
const RESERVED: [&str; 13] = [
    "graph",
    "input",
    "return",
    "order",
    "in",
    "as",
    "frozen",
    "unread",
    "weight",
    "statistic",
    "counter",
    "literal",
    "default",
];

/// What can be wrong with a text, or with a graph that is to be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A line that cannot be read.
    #[error("line {line}: expected {expected}, found `{found}`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: crate::name::Text,
    },
    /// An operator, an order or elements that make no sense.
    #[error("line {line}: {message}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: crate::name::Text,
    },
    /// Elements that do not fit their shape, or cannot be read.
    #[error("parameter `{parameter}`")]
    Tensor {
        /// The parameter.
        parameter: crate::name::Name,
        /// What is wrong.
        #[source]
        error: TensorError,
    },
    /// Lines that make no graph.
    #[error(transparent)]
    Graph(#[from] InterchangeError),
}

/// Whether a name may stand without quotes.
fn is_bare(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(inner)
        && !RESERVED.contains(&name)
}

#[cfg(test)]
mod tests;
