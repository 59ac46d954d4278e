//! Findings: what is wrong, or worth knowing, about a model, with a stable code.
//!
//! Codes are never reused or renumbered. `R1xx` are about the graph and its shapes (made by [`crate::validate()`]),
//! `R2xx` about residual topology, `R3xx` about values of weights, `R4xx` about target runtimes.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

/// One kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable, such as `R103`.
    pub id: &'static str,
    /// In words, such as `shape-mismatch`.
    pub name: &'static str,
    /// Level of each finding of this kind.
    pub level: Level,
    /// What it means, why it matters, how to mend it: what `explain` prints.
    pub explanation: &'static str,
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its kind.
    pub code: &'static Code,
    /// What was found where, and what was expected.
    pub message: String,
    /// Layer, node or tensor it is about.
    pub node: Option<String>,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.code.level, self.code.id)?;
        if let Some(node) = &self.node {
            write!(f, "{node}: ")?;
        }
        f.write_str(&self.message)
    }
}
