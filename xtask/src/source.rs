//! What a file of Rust names: read as tokens, which is enough for imports and paths.

use std::collections::BTreeSet;

/// One name that a `use` brings in.
pub(crate) struct Import {
    /// What it is called here; `*` for all of a module.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    /// Whether it is for others, too.
    pub(crate) public: bool,
}

/// A file.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) imports: Vec<Import>,
    /// Paths of two names or more, outside of imports.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// Items that stand in it.
    pub(crate) defined: BTreeSet<String>,
    /// Modules that are for tests alone and lie in files of their own.
    pub(crate) test_modules: Vec<String>,
}

/// Reads a file's text.
pub(crate) fn read(text: &str) -> File {
    let tokens = without_tests(tokens(text));
    let mut file = File { test_modules: tokens.1, ..File::default() };
    let tokens = tokens.0;
    let mut at = 0;
    let mut public = false;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "pub" => {
                public = true;
                at += 1;
                // `pub(crate)`, `pub(in a::b)`
                if tokens.get(at).is_some_and(|token| token == "(") {
                    at += tokens[at..].iter().position(|token| token == ")").map_or(1, |end| end + 1);
                }
                continue;
            }
            "use" => {
                at = tree(&tokens, at + 1, &[], public, &mut file.imports);
            }
            "struct" | "enum" | "fn" | "trait" | "type" | "const" | "static" | "union" | "macro_rules" => {
                let name = tokens[at + 1..].iter().find(|token| *token != "!" && *token != "mut");
                file.defined.extend(name.filter(|name| is_name(name)).cloned());
                at += 1;
            }
            token if is_name(token) && tokens.get(at + 1).is_some_and(|next| next == "::") => {
                let (path, end) = path(&tokens, at);
                if path.len() > 1 {
                    file.paths.insert(path);
                }
                at = end;
            }
            _ => at += 1,
        }
        public = false;
    }
    file
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn path(tokens: &[String], mut at: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[at].clone()];
    at += 1;
    while tokens.get(at).is_some_and(|token| token == "::") && tokens.get(at + 1).is_some_and(|name| is_name(name)) {
        path.push(tokens[at + 1].clone());
        at += 2;
    }
    (path, at.max(1))
}

/// Reads a tree of imports; returns where it ends.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], public: bool, imports: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    // What is no name is passed over, so that every turn gets on.
                    at = tree(tokens, at, &path, public, imports).max(at + 1);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "*" => {
                imports.push(Import { name: "*".to_owned(), path, public });
                return at + 1;
            }
            "as" => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                imports.push(Import { name, path, public });
                return at + 2;
            }
            name if is_name(name) => {
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                at += 1;
            }
            _ => break,
        }
    }
    if let Some(name) = path.last().cloned() {
        imports.push(Import { name, path, public });
    }
    at.max(1)
}

/// The tokens without what is behind `#[cfg(test)]`, and the names of modules there that have files of their own.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().take(MARK.len()).eq(MARK) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len();
        if let Some(name) = tokens.get(at..at + 3).filter(|next| next[0] == "mod" && next[2] == ";") {
            modules.push(name[1].clone());
        }
        // Up to the end of the item: a semicolon, or the brace that closes it.
        let mut depth = 0_usize;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            if depth == 0 && matches!(tokens[at - 1].as_str(), ";" | "}") {
                break;
            }
        }
    }
    (kept, modules)
}

/// Names, `::` and single characters; no comments, no text, no lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest),
            'r' | 'b' if raw_text(rest).is_some() => raw_text(rest).unwrap_or(1),
            '\'' => character(rest),
            ':' if rest.starts_with("::") => {
                tokens.push("::".to_owned());
                2
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                tokens.push(c.to_string());
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a text in quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `b"…"` and their kin, where there is one.
fn raw_text(text: &str) -> Option<usize> {
    let prefix = ["br", "r", "b"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let rest = &text[prefix.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let start = prefix.len() + hashes;
    if !text[start..].starts_with('"') {
        return None;
    }
    if !prefix.contains('r') {
        return (hashes == 0).then(|| start + quoted(&text[start..]));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start + 1..].find(&end).map_or(text.len(), |found| start + 1 + found + end.len()))
}

/// The length of a character in quotes, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => {
            text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
