//! Findings: what is wrong, or worth knowing, about a model, with a stable code.
//!
//! Codes are never reused or renumbered. What a code is about is its [`Group`]; people see it in the hundreds of the id as
//! well, and no code looks there. There is one type of findings from the rule that makes them to every report: they are
//! serialised as scripts see them.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

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

/// What a kind of finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The graph and its shapes: made by [`crate::validate()`] and by readers (`R1xx`).
    Graph,
    /// Residual topology (`R2xx`).
    Topology,
    /// Values of weights (`R3xx`).
    Values,
    /// What a runtime can load (`R4xx`).
    Target,
    /// Files, and the manifest of their conversion (`R5xx`).
    Manifest,
    /// The text of an ONNX file (`R6xx`).
    #[serde(rename = "onnx")]
    OnnxText,
    /// Numbers that come out of a run (`R7xx`).
    Numbers,
}

impl Group {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 7] =
        [Self::Graph, Self::Topology, Self::Values, Self::Target, Self::Manifest, Self::OnnxText, Self::Numbers];

    /// In one word, as reports tag findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::Graph => "graph",
            Group::Topology => "topology",
            Group::Values => "values",
            Group::Target => "target",
            Group::Manifest => "manifest",
            Group::OnnxText => "onnx",
            Group::Numbers => "numbers",
        }
    }

    /// Whether messages of this group hold what was measured. It changes when a model is trained further, and plays no part
    /// in whether two findings are the same one; what others say is of the graph itself.
    #[must_use]
    pub fn is_measured(self) -> bool {
        match self {
            Group::Values | Group::Numbers => true,
            Group::Graph | Group::Topology | Group::Target | Group::Manifest | Group::OnnxText => false,
        }
    }
}

/// One kind of finding, told by its id; made by [`code!`](crate::code), whose doc comment is the explanation.
#[derive(Debug)]
pub struct Code {
    /// Stable, such as `R103`.
    pub id: &'static str,
    /// In words, such as `shape-mismatch`.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// Level that a finding of this kind has, unless there is evidence for another.
    pub level: Level,
    /// The doc comment as it was written.
    #[doc(hidden)]
    pub doc: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By id.
impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(other.id)
    }
}

impl std::hash::Hash for Code {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
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

/// Declares a [`Code`](crate::Code): its [`Group`](crate::Group), its level, its id and its name. The doc comment is what `residua explain` prints: first what it means, then under
/// the headings `## Why it matters`, `## Example` and `## How to fix it` what they say.
///
/// ```
/// residua_ir::code! {
///     /// The network has no layers.
///     pub static EMPTY = Graph Error R999 "empty-network";
/// }
/// assert_eq!((EMPTY.id, EMPTY.group), ("R999", residua_ir::Group::Graph));
/// assert_eq!(EMPTY.summary(), "The network has no layers.");
/// ```
#[macro_export]
macro_rules! code {
    ($(#[doc = $doc:literal])* $vis:vis static $ident:ident = $group:ident $level:ident $id:ident $name:literal;) => {
        $(#[doc = $doc])*
        $vis static $ident: $crate::Code = $crate::Code {
            id: stringify!($id),
            name: $name,
            group: $crate::Group::$group,
            level: $crate::Level::$level,
            doc: concat!($($doc, "\n"),*),
        };
    };
}

/// One thing that was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
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

/// As scripts see it: code, name, level, message, node, tensor and help, texts and names as they are.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 7)?;
        fields.serialize_field("code", self.code.id)?;
        fields.serialize_field("name", self.code.name)?;
        fields.serialize_field("level", &self.level)?;
        fields.serialize_field("message", self.message.raw())?;
        fields.serialize_field("node", &self.node.as_ref().map(Name::raw))?;
        fields.serialize_field("tensor", &self.tensor.as_ref().map(Name::raw))?;
        fields.serialize_field("help", self.help.raw())?;
        fields.end()
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
