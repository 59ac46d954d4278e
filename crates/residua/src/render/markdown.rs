//! Text of files in Markdown, as GitHub reads it: nothing in it is markup, a link, a mention or a formula.

use residua_ir::name::printable;

/// Text that stands in a cell, a heading or a paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline(String);

impl std::fmt::Display for Inline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text, in which underscores within words, which are no markup, stay as they are.
pub fn text(text: &str) -> Inline {
    Inline(escaped(text, |before, after| {
        before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
    }))
}

/// Text of reports: underscores stay as they are between backticks alone.
pub fn report(text: &str) -> Inline {
    let parts: Vec<&str> = text.split('`').collect();
    let pairs = parts.len() % 2 == 1;
    let part = |(index, part): (usize, &&str)| match pairs && index % 2 == 1 {
        true => self::text(part).0,
        false => escaped(part, |_, _| false),
    };
    Inline(parts.iter().enumerate().map(part).collect::<Vec<_>>().join("\\`"))
}

/// A name as code, where it can be.
pub fn code(name: &str) -> Inline {
    if name.contains('`') || name.is_empty() { text(name) } else { Inline(format!("`{}`", printable(name))) }
}

/// A cell is ended by a bar, and so is code in one.
pub(super) fn cell(inline: &Inline) -> String {
    inline.0.replace('|', "\\|")
}

fn escaped(text: &str, keep_underscore: impl Fn(Option<char>, Option<char>) -> bool) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.clone().next();
        let next_is = |wanted: &str| rest.as_str().starts_with(wanted);
        let begins_word = before.is_none_or(|c: char| !c.is_alphanumeric());
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '_' if keep_underscore(before, after) => out.push('_'),
            '\\' | '`' | '*' | '_' | '~' | '$' => out.extend(['\\', c]),
            // A link or an image; without the second part brackets are none.
            ']' if matches!(after, Some('(' | '[' | ':')) => out.push_str("\\]"),
            // A heading, and an item of a list.
            '#' | '+' | '-' | '='
                if out.trim_start().is_empty() && after.is_some_and(|next| next == ' ' || next == c) =>
            {
                out.extend(['\\', c]);
            }
            // Mentions and references to issues are looked for in what was rendered: what keeps them from being found has to
            // be there still.
            '@' => out.push_str("@&#8203;"),
            '#' if begins_word && after.is_some_and(|c| c.is_ascii_digit()) => out.push_str("#&#8203;"),
            // Addresses become links by themselves.
            ':' if next_is("//") => out.push_str(":&#8203;"),
            '.' if out.to_ascii_lowercase().ends_with("www") => out.push_str("&#8203;."),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_written_as_they_are() {
        for name in [
            "block1_conv2/kernel:0",
            "f32 [N, 32, 32, 1]  NHWC",
            "16 → 16 → 16",
            "1.0 MiB + 1",
            "a, b (c); 層",
            "-5e-1",
            "-",
        ] {
            assert_eq!(text(name).to_string(), name);
        }
        assert_eq!(report("nan_kernel.h5 of `a_b`").to_string(), "nan\\_kernel.h5 of \\`a_b\\`");
        assert_eq!(code("a_b.h5").to_string(), "`a_b.h5`");
    }

    #[test]
    fn nothing_is_markup() {
        let cases = [
            ("a_b `c_d<` <img> [x](y) |", "a_b \\`c_d&lt;\\` &lt;img&gt; [x\\](y) |"),
            ("**x** _y_ ~~z~~ $w$ a\\", "\\*\\*x\\*\\* \\_y\\_ \\~\\~z\\~\\~ \\$w\\$ a\\\\"),
            ("@user a@b.c #12 # x", "@&#8203;user a@&#8203;b.c #&#8203;12 # x"),
            ("# x", "\\# x"),
            ("https://a.b www.c.d", "https:&#8203;//a.b www&#8203;.c.d"),
            ("![x](y) &amp; a\nb\u{202e}", "![x\\](y) &amp;amp; a\\\\nb\\\\u{202e}"),
        ];
        for (name, expected) in cases {
            assert_eq!(text(name).to_string(), expected);
        }
        assert_eq!(code("a`<b>").to_string(), "a\\`&lt;b&gt;");
        assert_eq!(report("a` <b>").to_string(), "a\\` &lt;b&gt;");
        assert_eq!(report("``<b>`` `[x](y)`").to_string(), "\\`\\`&lt;b&gt;\\`\\` \\`[x\\](y)\\`");
        assert_eq!(cell(&code("a|b")), "`a\\|b`");
    }
}
