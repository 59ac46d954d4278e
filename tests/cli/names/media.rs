//! What a name could do in each medium, looked for in what is printed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::FORGED;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Text on a terminal or in a log.
    Log,
    Json,
    Markdown,
    Csv,
    Dot,
    Mermaid,
    Svg,
    Html,
    Xml,
    /// Commands of ours to the runner of a workflow, with text behind them.
    Annotations,
}

/// What is wrong with a text, if anything.
pub(crate) fn wrong(medium: Medium, text: &str) -> Vec<String> {
    let mut wrong = in_a_log(text, medium == Medium::Annotations);
    match medium {
        Medium::Log | Medium::Annotations => {}
        Medium::Json => wrong.extend(json(text)),
        Medium::Markdown => wrong.extend(markdown(text)),
        Medium::Csv => wrong.extend(csv(text)),
        Medium::Dot => wrong.extend(dot(text)),
        Medium::Mermaid => wrong.extend(mermaid(text)),
        Medium::Svg => wrong.extend(xml(text, &SVG)),
        Medium::Html => wrong.extend(html(text)),
        Medium::Xml => wrong.extend(xml(text, &JUNIT)),
    }
    wrong
}

/// Whether a character moves, turns around, hides or is none.
fn acts(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb
            | 0xfdd0..=0xfdef | 0xe0000..=0xe0fff)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Terminals and logs, whatever else it is: the rest of the media go there too.
fn in_a_log(text: &str, annotations: bool) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(text.chars().find(|&c| acts(c)).map(|c| format!("holds {c:?}: {text:?}")));
    for line in text.lines() {
        let start = line.trim_start();
        let ours = annotations && ["error", "warning", "notice"].iter().any(|level| is_annotation(line, level));
        if start.starts_with("::") && !ours || line.contains("##[") || line.contains("##vso[") {
            wrong.push(format!("a runner takes for a command: {line}"));
        }
        if start.starts_with(FORGED) {
            wrong.push(format!("a forged line: {line}"));
        }
    }
    wrong
}

/// `::level file=…,title=…::…`, with nothing in its properties that ends them.
fn is_annotation(line: &str, level: &str) -> bool {
    let Some(rest) = line.strip_prefix(&format!("::{level} file=")) else { return false };
    let Some((properties, _)) = rest.split_once("::") else { return false };
    let parts: Vec<&str> = properties.split(',').collect();
    parts.len() == 2 && parts[1].starts_with("title=") && parts.iter().all(|part| !part.contains(':'))
}

fn json(text: &str) -> Option<String> {
    if text.is_empty() {
        // The error is on stderr.
        return None;
    }
    serde_json::from_str::<Value>(text).err().map(|error| format!("no document: {error}: {text}"))
}

/// Cells of a line of CSV.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let cell = cells.last_mut().unwrap();
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

fn csv(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let columns = text.lines().next().map_or(0, |head| head.split(',').count());
    for line in text.lines() {
        let row = cells(line);
        if row.len() != columns {
            wrong.push(format!("{} cells, not {columns}: {line}", row.len()));
        }
        // As a spreadsheet reads it, and as one does that divides at semicolons.
        for cell in row.iter().map(String::as_str).chain(line.split(';')) {
            let start = cell.trim_start_matches([' ', '\t', '"']);
            if start.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && cell.parse::<f64>().is_err() {
                wrong.push(format!("a formula: {cell}"));
            }
        }
    }
    wrong
}

/// Bars that divide cells.
fn bars(line: &str) -> usize {
    line.replace("\\|", "").matches('|').count()
}

fn markdown(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut columns = None;
    for line in text.lines() {
        if line.starts_with('|') {
            let count = bars(line);
            if *columns.get_or_insert(count) != count {
                wrong.push(format!("a row of {count} bars, not {columns:?}: {line}"));
            }
        } else {
            columns = None;
        }
        // Code of ours: in headings alone.
        let outside: String = match line.starts_with("### ") {
            true => line.split('`').step_by(2).collect(),
            false => line.to_owned(),
        };
        let live = outside.replace("\\\\", "");
        let unescaped = |sign: &str| live.match_indices(sign).any(|(at, _)| !live[..at].ends_with('\\'));
        let words = |sign: char| {
            live.match_indices(sign).any(|(at, _)| live[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        if live.contains('<') || unescaped("`") || unescaped("](") || words('@') || live.contains("://") {
            wrong.push(format!("markup: {line}"));
        }
        let bold = live.strip_prefix("**").and_then(|rest| rest.strip_suffix("**")).unwrap_or(&live);
        if bold.match_indices("**").any(|(at, _)| !bold[..at].ends_with('\\')) {
            wrong.push(format!("emphasis: {line}"));
        }
    }
    wrong
}

/// A line without what is between its quotes; none where a quote is open at its end.
fn unquoted(line: &str) -> Option<String> {
    let (mut out, mut quoted, mut rest) = (String::new(), false, line.chars());
    while let Some(c) = rest.next() {
        match c {
            '\\' if quoted => drop(rest.next()),
            '"' => quoted = !quoted,
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    (!quoted).then_some(out)
}

fn dot(text: &str) -> Vec<String> {
    let words = [
        "digraph",
        "subgraph",
        "rankdir",
        "fontname",
        "compound",
        "node",
        "edge",
        "shape",
        "style",
        "fontsize",
        "label",
        "TB",
        "true",
        "record",
        "rounded",
        "circle",
        "solid",
        "dashed",
        "width",
        "fixedsize",
    ];
    let known = |word: &str| {
        words.contains(&word)
            || word
                .strip_prefix("cluster_")
                .or(word.strip_prefix('n'))
                .is_some_and(|rest| rest.trim_end_matches("_sum").chars().all(|c| c.is_ascii_digit() || c == '_'))
            || word.parse::<f64>().is_ok()
    };
    let line = |line: &str| {
        let Some(bare) = unquoted(line) else { return Some(format!("an open quote: {line}")) };
        let mut parts =
            bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').filter(|word| !word.is_empty());
        parts.find(|word| !known(word)).map(|word| format!("`{word}` in {line}"))
    };
    text.lines().filter_map(line).collect()
}

fn mermaid(text: &str) -> Vec<String> {
    let id = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let sound = |line: &str| {
        let line = line.trim_start();
        if line == "end" || line == "flowchart TB" || line.starts_with("%% ") && !line.contains(['{', '}']) {
            return true;
        }
        let quotes: Vec<&str> = line.split('"').collect();
        match quotes[..] {
            [edge] => edge.split(" --> ").all(id),
            [before, label, behind] => {
                let plain = label.replace("<br/>", "");
                let within = !plain.contains(['<', '>', '`', '[', ']', '{', '}', '|', '\\']);
                let (subgraph, edge) = (before.strip_prefix("subgraph g"), before.strip_suffix(" -.->|"));
                let starts = subgraph.and_then(|rest| rest.strip_suffix('[')).is_some_and(id)
                    || edge.is_some_and(id)
                    || before.trim_end_matches(['(', '[']).chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                within && starts && behind.trim_start_matches(['|', ']', ')', ' ']).chars().all(|c| id(&c.to_string()))
            }
            _ => false,
        }
    };
    text.lines().filter(|line| !sound(line)).map(|line| format!("no statement of ours: {line}")).collect()
}

const SVG: [&str; 12] =
    ["svg", "title", "desc", "style", "g", "rect", "path", "text", "polygon", "tspan", "line", "circle"];
const JUNIT: [&str; 10] = [
    "testsuites",
    "testsuite",
    "properties",
    "property",
    "testcase",
    "error",
    "failure",
    "skipped",
    "system-out",
    "system-err",
];

/// Attributes of ours are words of these.
const ATTRIBUTES: [&str; 62] = [
    "xmlns",
    "width",
    "height",
    "viewBox",
    "role",
    "aria-labelledby",
    "aria-label",
    "aria-live",
    "aria-expanded",
    "aria-pressed",
    "id",
    "class",
    "d",
    "x",
    "y",
    "rx",
    "points",
    "stroke-linejoin",
    "transform",
    "font-size",
    "font-weight",
    "text-anchor",
    "tabindex",
    "data-name",
    "data-parts",
    "name",
    "tests",
    "failures",
    "errors",
    "skipped",
    "time",
    "value",
    "classname",
    "type",
    "message",
    "lang",
    "charset",
    "content",
    "http-equiv",
    "href",
    "scope",
    "data-kind",
    "data-key",
    "data-index",
    "autocomplete",
    "placeholder",
    "title",
    "hidden",
    "style",
    "fill",
    "stroke",
    "x1",
    "x2",
    "y1",
    "y2",
    "r",
    "cx",
    "cy",
    "font-family",
    "preserveAspectRatio",
    "focusable",
    "aria-hidden",
];

fn xml(text: &str, elements: &[&str]) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let document = match roxmltree::Document::parse(text) {
        Ok(document) => document,
        Err(error) => return vec![format!("no XML: {error}: {text}")],
    };
    let mut wrong = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        if !elements.contains(&node.tag_name().name()) {
            wrong.push(format!("an element: {node:?}"));
        }
        let foreign = node.attributes().find(|attribute| !ATTRIBUTES.contains(&attribute.name()));
        wrong.extend(foreign.map(|attribute| format!("an attribute: {attribute:?}")));
    }
    wrong.extend(document.descendants().find(|node| node.is_comment() || node.is_pi()).map(|node| format!("{node:?}")));
    wrong
}

/// The page: its tags, which are all that begins with `<` outside of styles and programs.
fn html(text: &str) -> Vec<String> {
    const TAGS: [&str; 39] = [
        "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "main", "div", "span", "strong",
        "small", "section", "ul", "li", "b", "a", "svg", "desc", "g", "rect", "path", "text", "polygon", "dl", "dt",
        "dd", "br", "label", "input", "button", "output", "table", "thead", "tbody", "footer",
    ];
    const CELLS: [&str; 7] = ["tr", "th", "td", "code", "script", "circle", "!doctype"];
    if text.is_empty() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let (mut rest, mut seen) = (text, BTreeSet::new());
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(end) = rest.find('>') else {
            wrong.push(format!("an open tag: {rest}"));
            break;
        };
        let tag = rest[..end].trim_end_matches('/');
        rest = &rest[end + 1..];
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        let bare = name.trim_start_matches('/');
        if !TAGS.contains(&bare) && !CELLS.contains(&bare) {
            wrong.push(format!("a tag: <{tag}>"));
        }
        seen.insert(bare.to_owned());
        match unquoted(&attributes.replace('\\', "")) {
            Some(bare) => {
                let mut names = bare.split(|c: char| c.is_whitespace() || c == '=').filter(|name| !name.is_empty());
                wrong.extend(
                    names
                        .find(|name| !ATTRIBUTES.contains(name) && *name != "html")
                        .map(|name| format!("an attribute {name}: <{tag}>")),
                );
            }
            None => wrong.push(format!("an open quote: <{tag}>")),
        }
        // What is within is no markup, but for its own end.
        if matches!(name, "script" | "style") {
            let Some(end) = rest.find(&format!("</{name}")) else { break };
            if rest[..end].contains("<script") || rest[..end].contains("<!--") {
                wrong.push(format!("a program within a {name}"));
            }
            rest = &rest[end..];
        }
    }
    if text.matches("<script").count() != 2 || text.matches("</script").count() != 2 {
        wrong.push("not the two programs of the page".to_owned());
    }
    if !seen.contains("table") {
        wrong.push(format!("no page: {text}"));
    }
    wrong
}

#[test]
fn what_acts_is_found_in_each_medium() {
    let cases = [
        (Medium::Log, "a\u{1b}[2J"),
        (Medium::Log, "a\u{202e}b"),
        (Medium::Log, "x\n  ::error::y"),
        (Medium::Log, "x ##vso[task.complete]"),
        (Medium::Log, "x\nFORGED"),
        (Medium::Json, "{"),
        (Medium::Csv, "a,b\nx,\"=1+1\""),
        (Medium::Csv, "a,b\nx,\"y;=1+1\""),
        (Medium::Csv, "a,b\nx,y,z"),
        (Medium::Markdown, "| a | b |\n| c | d | e |"),
        (Medium::Markdown, "a <b>"),
        (Medium::Markdown, "a `b`"),
        (Medium::Markdown, "[a](b)"),
        (Medium::Markdown, "a @user"),
        (Medium::Markdown, "a **b**"),
        (Medium::Dot, "  label = \"a\\\";\n"),
        (Medium::Dot, "  n0_0 [label = \"a\"]; evil;\n"),
        (Medium::Mermaid, "  click n0_0 call x()"),
        (Medium::Mermaid, "    n0_0[\"a\"]; x[\"b\"]"),
        (Medium::Svg, "<svg><script/></svg>"),
        (Medium::Svg, "<svg onload=\"x\"/>"),
        (Medium::Html, "<table><img src=\"x\">"),
        (Medium::Html, "<table title=\"\" onclick=\"\">"),
        (Medium::Xml, "<testsuites><a/></testsuites>"),
        (Medium::Annotations, "::error file=a:b,title=c::d"),
        (Medium::Annotations, "::add-mask::x"),
    ];
    for (medium, text) in cases {
        let found = wrong(medium, text);
        assert!(!found.is_empty(), "{medium:?}: nothing in {text:?}");
    }
    assert_eq!(wrong(Medium::Annotations, "::error file=a%3Ab,title=c d::e::f\npass  x"), Vec::<String>::new());
}
