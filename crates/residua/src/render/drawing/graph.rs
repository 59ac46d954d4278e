//! The drawing as a graph of boxes: for Graphviz, and for Mermaid.

use std::io::Write;

use crate::error::Result;
use residua_ir::name::printable;

use super::{link_text, title};
use crate::summary::Summary;
use crate::summary::diagram::{Column, Diagram, Item, Stack};

/// A box and what leads to it.
struct Step<'a> {
    id: String,
    item: &'a Item,
}

fn steps<'a>(index: usize, column: &'a Column) -> impl Iterator<Item = Step<'a>> {
    let id = move |place| format!("n{index}_{place}");
    column.items.iter().enumerate().map(move |(place, item)| Step { id: id(place), item })
}

impl Step<'_> {
    /// Lines of its box, the boxes of a stack apart from each other.
    fn lines(&self) -> (String, Vec<String>) {
        match self.item {
            Item::More(words) => (String::new(), vec![words.clone()]),
            Item::Stack(stack) => (heading(stack), stack.cells.iter().map(|cell| cell.text.clone()).collect()),
        }
    }

    /// The sum behind it, where it is a block: its node, what is written at it, the shortcut to it.
    fn sum(&self) -> Option<(String, String)> {
        let Item::Stack(Stack { shortcut: Some(shortcut), .. }) = self.item else { return None };
        Some((format!("{}_sum", self.id), link_text(shortcut)))
    }
}

/// Name of a block and how often it is there.
fn heading(stack: &Stack) -> String {
    match (stack.name().as_str(), stack.times) {
        ("", 1) => String::new(),
        ("", times) => format!("×{times}"),
        (name, 1) => name.to_owned(),
        (name, times) => format!("{name} (×{times})"),
    }
}

fn group(column: &Column) -> String {
    let words = [&column.name, &column.what, &column.map].map(String::as_str);
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// An edge: from, to, and the shortcut that it is.
type Edge = (String, String, Option<String>);

/// All edges in the order of the way from input to output.
fn edges(diagram: &Diagram) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut before: Option<String> = None;
    for step in diagram.columns.iter().enumerate().flat_map(|(index, column)| steps(index, column)) {
        if let Some(from) = &before {
            edges.push((from.clone(), step.id.clone(), None));
        }
        let next = match step.sum() {
            Some((sum, shortcut)) => {
                edges.push((step.id.clone(), sum.clone(), None));
                edges.extend(before.map(|from| (from, sum.clone(), Some(shortcut))));
                sum
            }
            None => step.id,
        };
        before = Some(next);
    }
    edges
}

/// Writes the drawing for Graphviz.
pub fn dot(out: &mut dyn Write, summary: &Summary, diagram: &Diagram) -> Result<()> {
    let quoted = |text: &str| format!("\"{}\"", printable(text).replace('\\', "\\\\").replace('"', "\\\""));
    // In a record these divide and align.
    let field = |text: &str| {
        let special = |c: char| matches!(c, '{' | '}' | '|' | '<' | '>' | ' ' | '\\' | '"');
        let mut out = String::new();
        for c in printable(text).chars() {
            if special(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    writeln!(out, "digraph {} {{", quoted(&title(summary)))?;
    writeln!(out, "  rankdir = TB;\n  fontname = \"Helvetica\";\n  compound = true;")?;
    writeln!(out, "  node [shape = record, style = rounded, fontname = \"Helvetica\", fontsize = 11];")?;
    writeln!(out, "  edge [fontname = \"Helvetica\", fontsize = 10];")?;
    for (index, column) in diagram.columns.iter().enumerate() {
        writeln!(out, "  subgraph cluster_{index} {{\n    label = {};\n    style = rounded;", quoted(&group(column)))?;
        for step in steps(index, column) {
            let (heading, cells) = step.lines();
            let fields: Vec<String> = std::iter::once(heading)
                .filter(|heading| !heading.is_empty())
                .chain(cells)
                .map(|text| field(&text))
                .collect();
            writeln!(out, "    {} [label = \"{{{}}}\"];", step.id, fields.join("|"))?;
            if let Some((sum, _)) = step.sum() {
                writeln!(
                    out,
                    "    {sum} [label = \"+\", shape = circle, style = solid, width = 0.3, fixedsize = true];"
                )?;
            }
        }
        writeln!(out, "  }}")?;
    }
    for (from, to, shortcut) in edges(diagram) {
        match shortcut {
            Some(shortcut) => writeln!(out, "  {from} -> {to} [style = dashed, label = {}];", quoted(&shortcut))?,
            None => writeln!(out, "  {from} -> {to};")?,
        }
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// Writes the drawing as a Mermaid flowchart.
pub fn mermaid(out: &mut dyn Write, summary: &Summary, diagram: &Diagram) -> Result<()> {
    // Mermaid reads entities by its own sign, and Markdown in labels.
    let quoted = |text: &str| {
        let mut out = String::from("\"");
        for c in printable(text).chars() {
            if c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '/' | '×' | '·' | '(' | ')' | '+') {
                out.push(c);
            } else {
                out.push_str(&format!("#{};", u32::from(c)));
            }
        }
        out.push('"');
        out
    };
    writeln!(out, "%% {}", printable(&title(summary)).replace(['{', '}', '%'], " "))?;
    writeln!(out, "flowchart TB")?;
    for (index, column) in diagram.columns.iter().enumerate() {
        writeln!(out, "  subgraph g{index}[{}]", quoted(&group(column)))?;
        for step in steps(index, column) {
            let (heading, cells) = step.lines();
            let lines = std::iter::once(heading).filter(|heading| !heading.is_empty()).chain(cells);
            let label: Vec<String> = lines.map(|text| quoted(&text).trim_matches('"').to_owned()).collect();
            writeln!(out, "    {}[\"{}\"]", step.id, label.join("<br/>"))?;
            if let Some((sum, _)) = step.sum() {
                writeln!(out, "    {sum}((\"#43;\"))")?;
            }
        }
        writeln!(out, "  end")?;
    }
    for (from, to, shortcut) in edges(diagram) {
        match shortcut {
            Some(shortcut) => writeln!(out, "  {from} -.->|{}| {to}", quoted(&shortcut))?,
            None => writeln!(out, "  {from} --> {to}")?,
        }
    }
    Ok(())
}
