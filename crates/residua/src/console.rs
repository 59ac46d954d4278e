//! Where output goes: results to stdout, everything else to stderr.
//!
//! Invariant: a reader that closes stdout early is no error; what is written after that is dropped.

use std::io::{self, IsTerminal, Write};

use crate::args::{ColorChoice, GlobalArgs};

/// Stdout, stderr and how to write there.
pub(crate) struct Console {
    out: Forgiving<io::BufWriter<io::Stdout>>,
    style: Style,
    stderr_style: Style,
    quiet: bool,
}

impl Console {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let colored = |terminal: bool| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            out: Forgiving { inner: io::BufWriter::new(io::stdout()), closed: false },
            style: Style { colored: colored(io::stdout().is_terminal()) },
            stderr_style: Style { colored: colored(io::stderr().is_terminal()) },
            quiet: global.quiet,
        }
    }

    /// Stdout, for results.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Colours of stdout.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Colours of stderr.
    pub(crate) fn stderr_style(&self) -> Style {
        self.stderr_style
    }

    /// Whether the user wants errors only.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Says something on stderr, unless the user wants errors only.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{} {}", self.stderr_style.dim("note:"), text.as_ref());
        }
    }

    /// Warns on stderr, unless the user wants errors only.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{} {}", self.stderr_style.warning("warning:"), text.as_ref());
        }
    }

    /// Says on stderr why the model does not hold.
    pub(crate) fn complain(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{} {}", self.stderr_style.error("error:"), text.as_ref());
    }

    /// Writes what is buffered.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A writer to which a closed pipe is no error.
struct Forgiving<W> {
    inner: W,
    closed: bool,
}

impl<W> Forgiving<W> {
    fn forgive<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(instead)
            }
            Ok(_) | Err(_) => result,
        }
    }
}

impl<W: Write> Write for Forgiving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.forgive(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let result = self.inner.flush();
        self.forgive(result, ())
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colored: bool,
}

impl Style {
    /// No colours.
    pub(crate) fn plain() -> Self {
        Self { colored: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colored && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading, a name that matters.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What holds.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// What may not be meant.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// What does not hold.
    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let mut out = Forgiving { inner: Closed, closed: false };
        out.write_all(b"text").unwrap();
        out.flush().unwrap();
        assert!(out.closed);
    }
}
