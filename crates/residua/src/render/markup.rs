//! Text of files in HTML, SVG and other XML: characters, never elements or attributes.

use std::fmt::Write as _;

use residua_ir::name::{printable, printable_lines};

/// Text on one line, within an element or between the quotes of an attribute.
pub fn escape(text: &str) -> String {
    entities(&printable(text))
}

/// Text that may come from a file, in a template: one line in which nothing acts.
#[cfg(feature = "html")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a>(pub &'a str);

#[cfg(feature = "html")]
impl maud::Render for Line<'_> {
    fn render_to(&self, buffer: &mut String) {
        printable(self.0).render_to(buffer);
    }
}

/// Text of several lines of ours.
pub fn escape_lines(text: &str) -> String {
    entities(&printable_lines(text, &[]))
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Readers make spaces of these in attributes, unless they are written so.
            '\n' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_kind_becomes_xml() {
        assert_eq!(escape("a <b> & \"c\" 'd'\n"), "a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\\n");
        assert_eq!(escape_lines("a\n\tb\r"), "a&#10;&#9;b\\r");
        assert_eq!(escape("\u{0}\u{1b}[31m\u{fffe}"), "\\u{0}\\u{1b}[31m\\u{fffe}");
        assert_eq!(escape("naïve 層"), "naïve 層");
    }
}
