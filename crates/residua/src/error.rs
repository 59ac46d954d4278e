//! What can go wrong. Every error keeps the whole chain of its causes, as [`std::error::Error::source`].

use std::fmt;
use std::io;

use residua_ir::budget::Overrun;
use residua_ir::{Finding, Invalid, Text};

/// The result of what the library does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done, or does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read as a network.
    #[cfg(feature = "readers")]
    #[error(transparent)]
    Import(#[from] residua_import::ImportError),
    /// A file that cannot be read at all.
    #[cfg(feature = "readers")]
    #[error(transparent)]
    Format(#[from] residua_formats::FormatError),
    /// A network that no runtime could run: its shapes or operands contradict each other.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A graph that cannot be made.
    #[error(transparent)]
    Graph(#[from] residua_ir::GraphError),
    /// A tensor that cannot be read, or not be what is asked for.
    #[error(transparent)]
    Tensor(#[from] residua_ir::TensorError),
    /// A limit that stands in the way.
    #[error(transparent)]
    Limit(#[from] Overrun),
    /// A graph that cannot be rewritten.
    #[error(transparent)]
    Rewrite(#[from] residua_ir::rewrite::RewriteError),
    /// A batch that cannot be made free.
    #[error(transparent)]
    FreeBatch(#[from] residua_ir::rewrite::FreeBatchError),
    /// A model that cannot be run.
    #[cfg(feature = "engine")]
    #[error(transparent)]
    Exec(#[from] residua_exec::ExecError),
    /// An output that cannot be written.
    #[cfg(feature = "writers")]
    #[error(transparent)]
    Emit(#[from] residua_emit::EmitError),
    /// What the system says of a file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A document or an image that its decoder does not take.
    #[error(transparent)]
    Decode(Box<dyn std::error::Error + Send + Sync>),
    /// A model whose values are not those of a network that works: at least one finding is an error.
    #[error(transparent)]
    Findings(#[from] Findings),
    /// What was asked for is not possible, or contradicts itself; in words.
    #[error("{0}")]
    Refused(String),
    /// The same with reasons, a line each.
    #[error(transparent)]
    Reasons(#[from] Lines),
    /// Whoever watched the work wanted it to end.
    #[error("cancelled")]
    Cancelled,
    /// Something else, on the way to what this says.
    #[error("{what}")]
    While {
        /// What was being done, or with what.
        what: String,
        /// What went wrong.
        #[source]
        cause: Box<Error>,
    },
}

/// Findings of which at least one is an error.
#[derive(Debug)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model does not hold")?;
        self.0.iter().take(1).try_for_each(|first| write!(f, ": {} {}", first.code.id, first.message))
    }
}

impl std::error::Error for Findings {}

impl Error {
    /// The findings that say why a network is invalid, where that is the reason.
    #[must_use]
    pub fn invalid(&self) -> Option<&Invalid> {
        match self {
            Self::Invalid(invalid) => Some(invalid),
            Self::While { cause, .. } => cause.invalid(),
            _ => None,
        }
    }

    /// The findings that say why a model does not hold, where that is the reason.
    #[must_use]
    pub fn findings(&self) -> Option<&[Finding]> {
        match self {
            Self::Invalid(invalid) => Some(&invalid.findings),
            Self::Findings(findings) => Some(&findings.0),
            Self::While { cause, .. } => cause.findings(),
            _ => None,
        }
    }

    /// The error without what was being done, where it is of an importer.
    #[cfg(feature = "reports")]
    pub(crate) fn import(&self) -> Option<&residua_import::ImportError> {
        match self {
            Self::Import(error) => Some(error),
            Self::While { cause, .. } => cause.import(),
            _ => None,
        }
    }
}

macro_rules! decode {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Decode(Box::new(error))
            }
        })*
    };
}

decode!(serde_json::Error, std::num::ParseIntError, std::str::Utf8Error, std::string::FromUtf8Error,);
#[cfg(feature = "engine")]
decode!(prost::DecodeError, zip::result::ZipError);
#[cfg(feature = "images")]
decode!(crate::input::DecodeError);

/// Adds what was being done to an error.
pub(crate) trait Context<T> {
    /// With what was being done.
    fn context(self, what: impl fmt::Display) -> Result<T>;

    /// The same, made only where there is an error.
    fn with_context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.with_context(|| what)
    }

    fn with_context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|cause| Error::While { what: what().to_string(), cause: Box::new(cause.into()) })
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.with_context(|| what)
    }

    fn with_context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.ok_or_else(|| Error::Refused(what().to_string()))
    }
}

/// Ends a function with [`Error::Refused`].
macro_rules! bail {
    ($($text:tt)*) => {
        return Err($crate::error::Error::Refused(format!($($text)*)))
    };
}

/// Ends a function with [`Error::Refused`] unless something holds.
#[cfg(feature = "engine")]
macro_rules! ensure {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            $crate::error::bail!($($text)*)
        }
    };
}

pub(crate) use bail;
#[cfg(feature = "engine")]
pub(crate) use ensure;

/// A message of several lines. Any other error is shown on one, so that what it quotes of a file begins none.
#[derive(Debug)]
pub struct Lines(pub Vec<Text>);

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Lines {}

/// An error and its causes as they may be shown, the outermost first. What lies behind an error that says what is wrong goes on
/// with its line; what lies behind one that says what was being done has a line of its own. A cause whose text the line before it
/// already holds is not repeated.
///
/// ```
/// use residua::{Model, error::messages};
/// let error = Model::open("no-such-file.h5").unwrap_err();
/// assert!(messages(&error)[0].contains("no-such-file.h5"));
/// ```
#[must_use]
pub fn messages(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    let mut next = Some(error);
    while let Some(cause) = next {
        let line = match lines_of(cause) {
            Some(lines) => lines.to_string(),
            None => Text::from(cause.to_string()).to_string(),
        };
        match lines.last_mut() {
            Some(said) if said.contains(&line) => {}
            Some(said) if goes_on => said.push_str(&format!(": {line}")),
            Some(_) | None => lines.push(line),
        }
        goes_on = goes_on || says_what_is_wrong(cause);
        next = cause.source();
    }
    lines
}

/// Whether an error is one of a library, which leaves to its source what the source can say.
fn says_what_is_wrong(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = own(error) {
        return !matches!(error, Error::While { .. });
    }
    #[cfg(feature = "readers")]
    if error.is::<residua_import::ImportError>() || error.is::<residua_formats::FormatError>() {
        return true;
    }
    #[cfg(feature = "engine")]
    if error.is::<residua_exec::ExecError>() {
        return true;
    }
    #[cfg(feature = "writers")]
    if error.is::<residua_emit::EmitError>() {
        return true;
    }
    error.is::<residua_ir::GraphError>()
        || error.is::<residua_ir::interchange::InterchangeError>()
        || error.is::<residua_ir::rewrite::RewriteError>()
        || error.is::<residua_ir::rewrite::FreeBatchError>()
}

/// An error of this library, also where it is the boxed cause of another.
fn own<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    error.downcast_ref::<Error>().or_else(|| error.downcast_ref::<Box<Error>>().map(Box::as_ref))
}

fn lines_of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Lines> {
    match own(error) {
        Some(Error::Reasons(lines)) => Some(lines),
        Some(_) | None => error.downcast_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        let error = Err::<(), _>(Error::Refused("`a\n::error::b\u{1b}[2J`".to_owned())).context("c\nd").unwrap_err();
        assert_eq!(messages(&error), ["c\\nd", "`a\\n::error::b\\u{1b}[2J`"]);
        let lines = Error::from(Lines(vec!["a".into(), "  - b\nc".into()]));
        assert_eq!(messages(&lines), ["a\n  - b\\nc"]);
    }

    #[cfg(feature = "readers")]
    #[test]
    fn what_lies_behind_an_error_of_a_library_goes_on_with_its_line() {
        let error = residua_import::load("no such file").unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        let error = Err::<(), _>(error).context("the reference").unwrap_err();
        assert_eq!(messages(&error), ["the reference".to_owned(), format!("no such file: cannot be read: {cause}")]);
    }

    #[test]
    fn causes_are_listed_once() {
        let cause = Err::<(), _>(Error::Refused("unexpected end at byte 512".to_owned()));
        let error = cause.context("reading the superblock: unexpected end at byte 512").context("cannot read a.h5");
        assert_eq!(
            messages(&error.unwrap_err()),
            ["cannot read a.h5", "reading the superblock: unexpected end at byte 512"]
        );
    }
}
