//! One JSON document, in which nothing acts where the document is shown.
//!
//! Strings hold what files say as it is: whoever parses the document has the very characters. What would act is written as
//! JSON can write any character, by its number: of control characters JSON demands that, for the rest it is the same to a
//! parser.

use std::io::{self, Write};

use crate::error::Result;
use residua_ir::name::printable;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// Writes a document for reading, and a line end.
pub fn json(out: &mut dyn Write, document: &impl Serialize) -> Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Printable(PrettyFormatter::new()));
    document.serialize(&mut serializer)?;
    writeln!(out)?;
    Ok(())
}

/// Writes a value within a document that is written part by part, its lines behind this much space.
#[cfg(feature = "more-images")]
pub(super) fn value(out: &mut dyn Write, document: &impl Serialize, indent: &str) -> Result<()> {
    let mut text = Vec::new();
    json(&mut text, document)?;
    let text = String::from_utf8(text)?;
    write!(out, "{}", text.trim_end().replace('\n', &format!("\n{indent}")))?;
    Ok(())
}

/// Writes a key that is not the first, and its value, into the outermost object of a document.
#[cfg(feature = "more-images")]
pub(super) fn entry(out: &mut dyn Write, key: &str, document: &impl Serialize) -> Result<()> {
    write!(out, ",\n  \"{key}\": ")?;
    value(out, document, "  ")
}

/// A document on one line that can stand in a page.
pub fn in_page(document: &impl Serialize) -> Result<String> {
    let mut out = Vec::new();
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Printable(CompactFormatter)))?;
    Ok(String::from_utf8(out)?.replace('<', "\\u003c"))
}

/// A form of documents, but for the characters of strings.
struct Printable<F>(F);

/// A character by its number, in UTF-16.
fn numbered<W: ?Sized + Write>(out: &mut W, c: char) -> io::Result<()> {
    c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
}

macro_rules! as_it_is {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Printable<F> {
    as_it_is! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if printable(fragment) == fragment && !fragment.contains("##") {
            return writer.write_all(fragment.as_bytes());
        }
        let mut before = '\0';
        for c in fragment.chars() {
            let mut buffer = [0; 4];
            let one: &str = c.encode_utf8(&mut buffer);
            // Two of the sign begin a command of some runners.
            let doubled = c == '#' && before == '#';
            if doubled || printable(one) != one {
                numbered(writer, c)?;
            } else {
                writer.write_all(one.as_bytes())?;
            }
            before = c;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_whole_and_does_not_act() {
        let text =
            "::error::a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}\n\"\\ größe 層 ##[group] ##vso[x] </script>";
        let mut out = Vec::new();
        json(&mut out, &[text]).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(
            written,
            "[\n  \"::error::a\\u001b[2J\\u007f\\u009b\\u202e\\u2028\\udb40\\udc41\\n\\\"\\\\ größe 層 #\\u0023[group] #\\u0023vso[x] </script>\"\n]\n"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), [text]);
        let in_page = in_page(&[text]).unwrap();
        assert!(!in_page.contains('<'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&in_page).unwrap(), [text]);
    }

    #[test]
    fn ordinary_documents_are_those_of_serde() {
        let document = serde_json::json!({"a": [1, 2.5, null, true, []], "層": {"b": "c::d # e"}, "empty": {}});
        let mut out = Vec::new();
        json(&mut out, &document).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string_pretty(&document).unwrap() + "\n");
        assert_eq!(in_page(&document).unwrap(), document.to_string());
    }
}
