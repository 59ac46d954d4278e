//! The one error of this crate: which file, where in it, what was expected and what is there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use residua_ir::Text;
use residua_ir::budget::{Limit, Overrun};

/// Why a file could not be read.
///
/// It shows the file, the place and the problem; what lies behind the problem is its source.
#[derive(Debug)]
#[non_exhaustive]
pub struct FormatError {
    /// The file, or the folder that was given.
    pub file: PathBuf,
    /// The place in it: a path of groups, an archive's entry, a field, a byte. Empty where it is the whole file.
    pub at: Text,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file could not be opened or mapped.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// The file is something that is known, but not read.
    #[error("{what} is not supported: {help}")]
    Unsupported {
        /// What it is.
        what: Text,
        /// What would work instead.
        help: Text,
    },
    /// The file is not what it claims to be: cut short, damaged, or made so.
    #[error("expected {expected}, found {found}")]
    Malformed {
        /// What its format has there.
        expected: Text,
        /// What is there.
        found: Text,
    },
    /// The file asks for more than is given to any file ([`residua_ir::budget`]).
    #[error(transparent)]
    Limit(#[from] Overrun),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}: ", Text::from(self.file.to_string_lossy().as_ref()))?;
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// Readers do not know the file's name; whoever opened it adds it with [`FormatError::in_file`].
pub(crate) type Result<T, E = FormatError> = std::result::Result<T, E>;

impl FormatError {
    fn new(at: impl Into<Text>, problem: Problem) -> Self {
        Self { file: PathBuf::new(), at: at.into(), problem }
    }

    pub(crate) fn io(error: io::Error) -> Self {
        Self::new("", Problem::Io(error))
    }

    pub(crate) fn malformed(at: impl Into<Text>, expected: impl Into<Text>, found: impl Into<Text>) -> Self {
        Self::new(at, Problem::Malformed { expected: expected.into(), found: found.into() })
    }

    pub(crate) fn unsupported(at: impl Into<Text>, what: impl Into<Text>, help: impl Into<Text>) -> Self {
        Self::new(at, Problem::Unsupported { what: what.into(), help: help.into() })
    }

    /// An error unless `found` is within the limit.
    pub(crate) fn check(at: &str, limit: Limit, found: u64) -> Result<()> {
        limit.check(found).map_err(|overrun| Self::beyond(at, overrun))
    }

    /// As [`FormatError::check`], where `most` follows from the limit and from the size of the file.
    pub(crate) fn check_against(at: &str, limit: Limit, most: u64, found: u64) -> Result<()> {
        limit.check_against(most, found).map_err(|overrun| Self::beyond(at, overrun))
    }

    pub(crate) fn beyond(at: impl Into<Text>, overrun: Overrun) -> Self {
        Self::new(at, Problem::Limit(overrun))
    }

    /// The same error, of this file unless it names one already.
    #[must_use]
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        if self.file.as_os_str().is_empty() {
            self.file = file.to_owned();
        }
        self
    }

    /// The same error, inside this entry of an archive or folder.
    #[must_use]
    pub(crate) fn within(mut self, entry: &str) -> Self {
        self.at = if self.at.is_empty() { entry.into() } else { format!("{entry}: {}", self.at).into() };
        self
    }
}
