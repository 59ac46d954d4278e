//! Names, and whatever else a file says in words: data, which must not act where it is shown.
//!
//! A name is kept, compared and written as it is in the file. Where it is shown, what would act on a terminal, a log or a
//! page is spelled out: control characters (`\n`, `\u{1b}`), what reorders text (`\u{202e}`), what cannot be seen (but
//! joiners where a language needs them), what is
//! no character, and what the runner of a workflow takes for a command. All other characters, letters of any language
//! among them, are shown as they are.
//!
//! Invariant: the `Display` and `Debug` of a [`Name`] and of a [`Text`] are one line of such characters; what is raw has to
//! be asked for.
//!
//! What a medium has of markup of its own (HTML, Markdown, CSV, …) is the renderers' business; they begin with
//! [`printable`].

mod characters;
mod joiners;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use characters::acts;
use joiners::joins;

/// Characters of a name that are shown; of a longer one the middle is left out, and counted.
const OF_NAME: usize = 1_000;

/// The same of a message.
const OF_TEXT: usize = 8_000;

/// Text on one line, with what would act spelled out.
///
/// Doing it twice does no more than doing it once. Text in which nothing acts is left as it is, byte for byte.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        spell(&mut out, (text, at, c), acts);
    }
    disarm(&mut out, 0);
    Cow::Owned(out)
}

/// The same for text with lines of ours in it: line ends and tabs stay, and the `styles` (sequences that set colours).
///
/// For what is composed of printable names already: a line end of a file cannot be told from one of ours.
#[must_use]
pub fn printable_lines<'a>(text: &'a str, styles: &[&str]) -> Cow<'a, str> {
    if text.split('\n').all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let start = out.len();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if let Some(style) = styles.iter().find(|style| rest.starts_with(**style)) {
                out.push_str(style);
                rest = &rest[style.len()..];
            } else {
                spell(&mut out, (line, line.len() - rest.len(), c), |c| acts(c) && !matches!(c, '\n' | '\t'));
                rest = &rest[c.len_utf8()..];
            }
        }
        disarm(&mut out, start);
    }
    Cow::Owned(out)
}

/// Whether nothing in a line acts, as far as that is seen at a glance.
fn is_plain(line: &str) -> bool {
    line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.contains("##") && !line.trim_start().starts_with("::")
}

/// A character at a place of a text, or its number as Rust writes it.
fn spell(out: &mut String, (text, at, c): (&str, usize, char), acts: impl Fn(char) -> bool) {
    let shown = !acts(c) || joins(&text[..at], c, &text[at + c.len_utf8()..]);
    if shown { out.push(c) } else { out.extend(c.escape_default()) }
}

/// Makes a line that starts at a place no command to the runner of a workflow: those of GitHub are `::name::` behind
/// nothing but blanks, those of Azure Pipelines and of GitHub's older form `##vso[name]` and `##[name]` anywhere (as their
/// runners parse them: `ActionCommand.cs`, `Command.cs`).
fn disarm(out: &mut String, start: usize) {
    let line = &out[start..];
    let indent = line.len() - line.trim_start().len();
    if line[indent..].starts_with("::") {
        let at = start + indent;
        out.replace_range(at..=at, "\\u{3a}");
    }
    let mut from = start;
    while let Some(found) = out[from..].find("##").map(|found| from + found) {
        let rest = out[found + 2..].trim_start_matches(|c: char| c == '#' || c.is_ascii_alphanumeric());
        if rest.starts_with('[') {
            out.replace_range(found + 1..found + 2, "\\u{23}");
        }
        from = found + 2;
    }
}

/// Text of which the middle is left out where it is too long, printable.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    // Each character has one byte at least.
    if text.len() <= most {
        return printable(text);
    }
    let count = text.chars().count();
    if count <= most {
        return printable(text);
    }
    let half = (most - 40) / 2;
    let at = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (&text[..at(half)], &text[at(count - half)..]);
    Cow::Owned(printable(&format!("{head}…({} characters left out)…{tail}", count - 2 * half)).into_owned())
}

macro_rules! shown {
    ($(#[$doc:meta])* $name:ident, $most:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// As it is in the file, to be compared or written; not to be shown.
            #[must_use]
            pub fn raw(&self) -> &str {
                &self.0
            }

            /// The same, taken out.
            #[must_use]
            pub fn into_raw(self) -> String {
                self.0
            }

            /// Whether there are no characters.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&shortened(&self.0, $most))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&$name> for $name {
            fn from(text: &$name) -> Self {
                text.clone()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                Self(text.clone())
            }
        }

        impl From<Cow<'_, str>> for $name {
            fn from(text: Cow<'_, str>) -> Self {
                Self(text.into_owned())
            }
        }

        impl From<fmt::Arguments<'_>> for $name {
            fn from(text: fmt::Arguments<'_>) -> Self {
                Self(text.to_string())
            }
        }

        impl From<&Path> for $name {
            fn from(path: &Path) -> Self {
                Self(path.to_string_lossy().into_owned())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&$name> for String {
            fn from(text: &$name) -> Self {
                text.0.clone()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl PartialEq<&String> for $name {
            fn eq(&self, other: &&String) -> bool {
                self.0 == **other
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                **self == other.0
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }
    };
}

shown!(
    /// A name that a file gives: of a tensor, a layer, an operator, a file. Shown on one line, the middle left out where
    /// it has more than 1,000 characters.
    Name,
    OF_NAME
);

shown!(
    /// A sentence of ours that may quote what a file says: in errors and findings. Shown on one line, so that it does not
    /// matter whether what was put into it was printable.
    Text,
    OF_TEXT
);

impl From<Name> for Text {
    fn from(name: Name) -> Self {
        Self(name.0)
    }
}

impl From<&Name> for Text {
    fn from(name: &Name) -> Self {
        Self(name.0.clone())
    }
}

/// What is given by a file or on the command line, as it may be shown. For paths, instead of [`Path::display`], which gives
/// what acts as it is.
pub trait Shown {
    /// To be displayed.
    fn shown(&self) -> Name;
}

impl Shown for str {
    fn shown(&self) -> Name {
        self.into()
    }
}

impl Shown for Path {
    fn shown(&self) -> Name {
        self.into()
    }
}

#[cfg(test)]
mod tests;
