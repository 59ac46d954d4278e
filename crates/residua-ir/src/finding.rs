//! Findings: what is wrong, or worth knowing, about a model, with a stable code.
//!
//! Codes are never reused or renumbered. `R1xx` are about the graph and its shapes (made by [`crate::validate()`] and
//! by readers), `R2xx` about residual topology, `R3xx` about values of weights, `R4xx` about target runtimes, `R5xx`
//! about files and the manifest of their conversion, `R6xx` about the text of ONNX files, `R7xx` about numbers that come
//! out of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{Name, Text};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Probably not what was meant.
    Warning,
    /// The model does not hold together.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// One kind of finding; made by [`code!`](crate::code), whose doc comment is the explanation.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable, such as `R103`.
    pub id: &'static str,
    /// In words, such as `shape-mismatch`.
    pub name: &'static str,
    /// Level that a finding of this kind has, unless there is evidence for another.
    pub level: Level,
    /// The doc comment as it was written.
    #[doc(hidden)]
    pub doc: &'static str,
}

impl Code {
    /// What it means, why it matters, an example, how to fix it: paragraphs with an empty line between them, and
    /// headings that start with `## `. What `explain` prints.
    #[must_use]
    pub fn explanation(&self) -> String {
        let lines: Vec<&str> = self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        lines.join("\n").trim().to_owned()
    }

    /// What it means, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let first: Vec<&str> = self.doc.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        first.join(" ")
    }
}

/// Declares a [`Code`](crate::Code). The doc comment is what `residua explain` prints: first what it means, then under
/// the headings `## Why it matters`, `## Example` and `## How to fix it` what they say.
///
/// ```
/// residua_ir::code! {
///     /// The network has no layers.
///     pub static EMPTY = Error R999 "empty-network";
/// }
/// assert_eq!((EMPTY.id, EMPTY.summary().as_str()), ("R999", "The network has no layers."));
/// ```
#[macro_export]
macro_rules! code {
    ($(#[doc = $doc:literal])* $vis:vis static $ident:ident = $level:ident $id:ident $name:literal;) => {
        $(#[doc = $doc])*
        $vis static $ident: $crate::Code = $crate::Code {
            id: stringify!($id),
            name: $name,
            level: $crate::Level::$level,
            doc: concat!($($doc, "\n"),*),
        };
    };
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its kind.
    pub code: &'static Code,
    /// How bad it is; that of the code, unless there is evidence for another.
    pub level: Level,
    /// What was found where, and what was expected.
    pub message: Text,
    /// Layer or node it is about, as the source model names it.
    pub node: Option<Name>,
    /// Tensor it is about, as the file names it.
    pub tensor: Option<Name>,
    /// What to do about it.
    pub help: Text,
}

impl Finding {
    /// A finding about the model as a whole, at the level of its code.
    #[must_use]
    pub fn new(code: &'static Code, message: impl Into<Text>, help: impl Into<Text>) -> Self {
        Self { code, level: code.level, message: message.into(), node: None, tensor: None, help: help.into() }
    }

    /// The same about a layer or node.
    #[must_use]
    pub fn at(self, node: impl Into<Name>) -> Self {
        Self { node: Some(node.into()), ..self }
    }

    /// The same about a tensor.
    #[must_use]
    pub fn of_tensor(self, tensor: impl Into<Name>) -> Self {
        Self { tensor: Some(tensor.into()), ..self }
    }

    /// The same at another level.
    #[must_use]
    pub fn leveled(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.level, self.code.id)?;
        if let Some(node) = &self.node {
            write!(f, "{node}: ")?;
        }
        self.message.fmt(f)
    }
}
