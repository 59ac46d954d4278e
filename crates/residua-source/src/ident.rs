//! Identifiers and literals of Rust, made of text that a file gives.
//!
//! Invariant: what a file says gets into source through these functions alone. An identifier is made of `a` to `z`,
//! digits and `_`, begins with a letter, is no word of the language, and is unique among its kin; a literal is escaped.

use std::collections::BTreeSet;

/// Longest name of a field: a call of it stays on one line.
const LONGEST: usize = 28;

/// Words that are no identifiers in any edition, or that our own code uses.
const TAKEN: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "config", "const", "continue", "crate", "device",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "part", "priv", "pub", "raw", "ref", "return", "runs", "self",
    "static", "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use", "vb",
    "virtual", "where", "while", "xs", "yield",
];

/// Names that are given out, each once.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Names among which these are taken already.
    pub fn taken<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// An identifier in `snake_case` after `wanted`, which may be any text; `otherwise` where nothing of it can stay.
    pub fn snake(&mut self, wanted: &str, otherwise: &str) -> String {
        let base = snake(wanted).unwrap_or_else(|| otherwise.to_owned());
        self.unique(&base, "_")
    }

    /// An identifier in `UpperCamelCase` after `wanted`, which is a word of ours.
    pub fn camel(&mut self, wanted: &str) -> String {
        self.unique(&camel(wanted), "")
    }

    fn unique(&mut self, base: &str, joint: &str) -> String {
        let mut count = 1;
        let mut name = base.to_owned();
        while !self.0.insert(name.clone()) {
            count += 1;
            let joint = if base.ends_with(|last: char| last.is_ascii_digit()) { "_" } else { joint };
            name = format!("{base}{joint}{count}");
        }
        name
    }
}

/// What of a text can be an identifier; `None` where that is nothing that says anything.
pub fn snake(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut before = '_';
    for c in text.chars().take(4 * LONGEST) {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        before = c;
    }
    name.truncate(LONGEST);
    let name = name.trim_matches('_');
    let usable = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphabetic());
    match usable {
        true if TAKEN.contains(&name) => Some(format!("{name}_layer")),
        true => Some(name.to_owned()),
        false => None,
    }
}

/// `resnet_block` as `ResnetBlock`.
pub fn camel(text: &str) -> String {
    let mut name = String::new();
    let mut upper = true;
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => {
                name.push(if upper { c.to_ascii_uppercase() } else { c });
                upper = false;
            }
            _ => upper = true,
        }
    }
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name,
        false => format!("Part{name}"),
    }
}

/// The name of a package after any text: letters, digits and `-`.
#[must_use]
pub fn package(text: &str) -> String {
    match snake(text) {
        Some(name) if !["test", "std", "core", "alloc"].contains(&&*name) => name.replace('_', "-"),
        Some(_) | None => "network".to_owned(),
    }
}

/// A text as a literal of Rust, on one line, in which nothing acts.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            ' '..='~' => literal.push(c),
            _ => literal.extend(c.escape_unicode()),
        }
    }
    literal.push('"');
    literal
}

/// A real number as a literal of Rust's `f64`.
#[must_use]
pub fn real(value: f64) -> String {
    if value.is_nan() {
        return "f64::NAN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "f64::INFINITY" } else { "f64::NEG_INFINITY" }.to_owned();
    }
    // The shortest text that is read as the same number.
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_an_identifier_or_nothing() {
        let hostile =
            ["\"); std::process::exit(1)//", "fn", "Self", "conv2d\n", "é", "1x1", "", "_", "a/b.c", "*/", "r#"];
        for text in hostile {
            let mut names = Names::default();
            let name = names.snake(text, "layer");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && !TAKEN.contains(&&*name), "{name}");
        }
        assert_eq!(snake("fn").as_deref(), Some("fn_layer"));
        assert_eq!(snake("conv1_conv").as_deref(), Some("conv1_conv"));
        assert_eq!(snake("BatchNorm2d").as_deref(), Some("batch_norm2d"));
        assert_eq!(snake("\"); std::process::exit(1)//").as_deref(), Some("std_process_exit_1"));
    }

    #[test]
    fn names_are_given_out_once() {
        let mut names = Names::taken(["conv"]);
        let given: Vec<String> = (0..3).map(|_| names.snake("conv", "layer")).collect();
        assert_eq!(given, ["conv_2", "conv_3", "conv_4"]);
        assert_eq!(names.snake("conv1", "layer"), "conv1");
        assert_eq!(names.snake("conv1", "layer"), "conv1_2");
    }

    #[test]
    fn what_words_are_taken_is_sorted_and_of_one_case() {
        assert!(TAKEN.is_sorted());
    }

    #[test]
    fn a_literal_is_read_as_the_text_that_it_was() {
        assert_eq!(literal("a\"b\\\n\u{202e}"), "\"a\\\"b\\\\\\u{a}\\u{202e}\"");
        assert_eq!(real(1e-5), "1e-5");
        assert_eq!(real(1.0), "1.0");
        assert_eq!(real(f64::NEG_INFINITY), "f64::NEG_INFINITY");
    }
}
