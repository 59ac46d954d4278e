//! Where output goes: results to stdout, everything else to stderr.
//!
//! Invariant: a reader that closes stdout early is no error; what is written after that is dropped.
//!
//! Invariant: nothing but text goes out: a character that would act on a terminal, or a line that a runner would take for
//! a command, is spelled out on the way ([`Guard`]), but for colours of ours. Renderers spell names out themselves, by
//! the rules of their format; this is for what they forget.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use residua::ir::name::printable_lines;
use residua::ir::{Shown, Text};
use residua::known::Table;
use residua::model::Model;

use crate::args::{ColorChoice, GlobalArgs};

/// Stdout, stderr and how to write there.
pub(crate) struct Console {
    out: Guard<Forgiving<io::BufWriter<io::Stdout>>>,
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
        let style = Style { colored: colored(io::stdout().is_terminal()) };
        Self {
            out: Guard::new(Forgiving { inner: io::BufWriter::new(io::stdout()), closed: false }, style),
            style,
            stderr_style: Style { colored: colored(io::stderr().is_terminal()) },
            quiet: global.quiet,
        }
    }

    /// Stdout, for results.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Stdout, for lines that the runner of a workflow is to obey.
    pub(crate) fn out_for_runner(&mut self) -> &mut dyn Write {
        self.out.commands = true;
        &mut self.out
    }

    /// Stderr.
    pub(crate) fn err(&self) -> impl Write + use<> {
        Guard::new(io::stderr(), self.stderr_style)
    }

    /// Colours of stdout.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Colours of stderr.
    pub(crate) fn stderr_style(&self) -> Style {
        self.stderr_style
    }

    fn say(&self, head: &str, text: &str) {
        // There is nowhere left to tell that stderr is closed.
        let _ = writeln!(self.err(), "{head} {}", Text::from(text));
    }

    /// Whether the user wants errors only.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Says something on stderr, unless the user wants errors only.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.say(&self.stderr_style.dim("note:"), text.as_ref());
        }
    }

    /// Warns on stderr, unless the user wants errors only.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.say(&self.stderr_style.warning("warning:"), text.as_ref());
        }
    }

    /// Says on stderr what was taken where a file leaves it open, and what in it would have run code elsewhere.
    pub(crate) fn tell(&self, model: &Model) {
        self.tell_of(model.path(), model.dangers(), model.told());
    }

    /// The same of a model that was checked.
    pub(crate) fn tell_of(&self, file: &Path, dangers: &[String], told: &[String]) {
        for danger in dangers {
            self.warn(format!("{}: {danger}", file.shown()));
        }
        for note in told {
            self.note(note);
        }
    }

    /// Finds out which published weights a model is, so that images are prepared for them, and says so.
    ///
    /// # Errors
    /// Where its file cannot be read again.
    pub(crate) fn identify(&self, model: &mut Model) -> residua::error::Result<()> {
        let Some(identity) = model.identify(Table::standard())? else { return Ok(()) };
        for not in &identity.not_those {
            self.warn(not.sentence());
        }
        if let Some(known) = &identity.weights {
            self.note(format!("these are {}, told by {}", known.title(), known.digest.text()));
        }
        Ok(())
    }

    /// Says on stderr why the model does not hold.
    pub(crate) fn complain(&self, text: impl AsRef<str>) {
        self.say(&self.stderr_style.error("error:"), text.as_ref());
    }

    /// Writes what is buffered.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A writer of text: what would act where it is shown is spelled out, a line at a time.
pub(crate) struct Guard<W: Write> {
    inner: W,
    style: Style,
    /// Whether annotations of ours are let through.
    commands: bool,
    /// What there is of a line whose end is not there yet.
    line: Vec<u8>,
}

impl<W: Write> Guard<W> {
    pub(crate) fn new(inner: W, style: Style) -> Self {
        Self { inner, style, commands: false, line: Vec::new() }
    }

    /// Writes whole lines.
    fn pass(&mut self, text: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(text);
        if !self.commands {
            return self.inner.write_all(guarded(&text, self.style).as_bytes());
        }
        text.split_inclusive('\n').try_for_each(|line| {
            match ANNOTATIONS.iter().find(|start| line.starts_with(**start)) {
                // Of a line that begins so, no other is made.
                Some(start) => {
                    self.inner.write_all(start.as_bytes())?;
                    self.inner.write_all(guarded(&line[start.len()..], self.style).as_bytes())
                }
                None => self.inner.write_all(guarded(line, self.style).as_bytes()),
            }
        })
    }
}

impl<W: Write> Write for Guard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let mut lines = std::mem::take(&mut self.line);
        lines.extend_from_slice(&bytes[..=end]);
        self.line.extend_from_slice(&bytes[end + 1..]);
        self.pass(&lines)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.line);
        self.pass(&rest)?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Guard<W> {
    fn drop(&mut self) {
        // Whoever wants to know of errors flushes.
        let _ = self.flush();
    }
}

/// Lines of ours that are for the runner of a workflow.
const ANNOTATIONS: [&str; 3] = ["::error file=", "::warning file=", "::notice file="];

/// Text as it may go to a terminal or a log: nothing in it acts but colours of ours, where there are any.
fn guarded(text: &str, style: Style) -> Cow<'_, str> {
    printable_lines(text, if style.colored { &COLOURS } else { &[] })
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

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[1;32m";
const YELLOW: &str = "\x1b[1;33m";
const RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// All that is ever sent to a terminal beside text.
const COLOURS: [&str; 6] = [BOLD, DIM, GREEN, YELLOW, RED, PLAIN];

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

    fn paint(self, color: &str, text: &str) -> String {
        if self.colored && !text.is_empty() { format!("{color}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// A heading, a name that matters.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(DIM, text)
    }

    /// What holds.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint(GREEN, text)
    }

    /// What may not be meant.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint(YELLOW, text)
    }

    /// What does not hold.
    pub(crate) fn error(self, text: &str) -> String {
        self.paint(RED, text)
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

    /// What comes out of a guard, whatever the pieces are that it is given.
    fn out_of_guard(style: Style, commands: bool, text: &str) -> String {
        let whole = |size: usize| {
            let mut guard = Guard::new(Vec::new(), style);
            guard.commands = commands;
            text.as_bytes().chunks(size).for_each(|piece| guard.write_all(piece).unwrap());
            guard.flush().unwrap();
            String::from_utf8(guard.inner.clone()).unwrap()
        };
        let written = whole(text.len());
        (1..8).for_each(|size| assert_eq!(whole(size), written, "in pieces of {size}"));
        written
    }

    #[test]
    fn what_a_renderer_forgets_does_not_get_out() {
        let colored = Style { colored: true };
        let text = format!("{} größe \x1b[2J\x1b[1;31m\u{202e}\n  ::error::x\n##[group]y\tz", colored.bold("a"));
        let plain =
            "\\u{1b}[1ma\\u{1b}[0m größe \\u{1b}[2J\\u{1b}[1;31m\\u{202e}\n  \\u{3a}:error::x\n#\\u{23}[group]y\tz";
        assert_eq!(out_of_guard(Style::plain(), false, &text), plain);
        let with_colours = plain.replace("\\u{1b}[1m", BOLD).replace("\\u{1b}[0m", PLAIN).replace("\\u{1b}[1;31m", RED);
        assert_eq!(out_of_guard(colored, false, &text), with_colours);
    }

    #[test]
    fn only_annotations_of_ours_reach_a_runner() {
        let text = "::error file=a,title=b::c\n::add-mask::d\n::stop-commands::e\n::error::f\n";
        let out = "::error file=a,title=b::c\n\\u{3a}:add-mask::d\n\\u{3a}:stop-commands::e\n\\u{3a}:error::f\n";
        assert_eq!(out_of_guard(Style::plain(), true, text), out);
        assert!(!out_of_guard(Style::plain(), false, text).contains("\n::"));
    }
}
