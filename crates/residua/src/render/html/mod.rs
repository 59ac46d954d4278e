//! `inspect` as one page that refers to nothing outside itself: summary, drawing, findings, layers with histograms.
//!
//! The page is whole without scripts; they add sorting, searching and details. Whatever comes from a file is escaped
//! where it is written: text and attributes as XML, data with every `<` as an escape of JSON, so that no name can end
//! its element. A policy in the head forbids the page to fetch anything.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::Write;

use crate::error::Result;
use residua_ir::{Finding, Level, Name};
use serde::Serialize;

use super::drawing::{self, Place};
use super::json;
use super::markup::escape;
use super::{bytes, columns, inspect, magnitude, number, plural, small};
use crate::options::Column;
use crate::summary::diagram::Diagram;
use crate::summary::{LayerRow, Summary, Weights};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Columns of the table, and whether they are sorted as numbers.
const COLUMNS: [(Column, bool); 14] = [
    (Column::Name, false),
    (Column::Op, false),
    (Column::OutputShape, false),
    (Column::Kernel, true),
    (Column::Stride, true),
    (Column::Parameters, true),
    (Column::Trainable, true),
    (Column::Macs, true),
    (Column::Memory, true),
    (Column::ReceptiveField, true),
    (Column::CumulativeParameters, true),
    (Column::CumulativeMacs, true),
    (Column::Part, false),
    (Column::ConnectedTo, false),
];

/// More rows make a page that no browser is quick with; `--format csv` has all.
const MOST_ROWS: usize = 10_000;

/// More findings than anybody reads one by one; `check` has all.
const MOST_FINDINGS: usize = 500;

/// What the page's scripts read: what each row is searched by, and its tensors.
#[derive(Serialize)]
struct Data<'a> {
    layers: Vec<Row<'a>>,
    findings: Vec<Found<'a>>,
    weights: &'a [Vec<Weights>],
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    op: &'a str,
    part: Option<&'a str>,
    findings: &'a [&'static str],
}

#[derive(Serialize)]
struct Found<'a> {
    code: &'static str,
    level: Level,
    node: Option<&'a str>,
    message: &'a str,
}

impl<'a> Data<'a> {
    fn of(summary: &'a Summary, weights: &'a [Vec<Weights>]) -> Self {
        let row = |row: &'a LayerRow| Row { name: row.name, op: row.op, part: row.part, findings: &row.findings };
        let found = |finding: &'a Finding| Found {
            code: finding.code.id,
            level: finding.level,
            node: finding.node.as_ref().map(Name::raw),
            message: finding.message.raw(),
        };
        Self {
            layers: summary.layers.iter().take(MOST_ROWS).map(row).collect(),
            findings: summary.findings.iter().take(MOST_FINDINGS).map(found).collect(),
            weights: &weights[..weights.len().min(MOST_ROWS)],
        }
    }
}

/// Writes the page; `weights` of each row of the layer table.
pub fn html(out: &mut dyn Write, summary: &Summary, diagram: &Diagram, weights: &[Vec<Weights>]) -> Result<()> {
    let name = escape(&drawing::title(summary));
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
    writeln!(out, "<title>{name} · residua</title>\n<style>\n{STYLE}</style>\n</head>\n<body>")?;
    writeln!(out, "<header><h1>{name}</h1><p>{}</p></header>\n<main>", escape(&drawing::subtitle(summary)))?;
    cards(out, summary)?;
    findings(out, summary)?;
    writeln!(
        out,
        "<section><h2>Network</h2><div class=\"scroll drawing\" tabindex=\"0\" role=\"region\" aria-label=\"Drawing\">"
    )?;
    drawing::svg(out, summary, diagram, Place::Page)?;
    writeln!(out, "</div></section>")?;
    facts(out, summary)?;
    layers(out, summary, weights)?;
    writeln!(
        out,
        "</main>\n<footer>Written by residua {}. This page fetches nothing.</footer>",
        env!("CARGO_PKG_VERSION")
    )?;
    let data = json::in_page(&Data::of(summary, weights))?;
    writeln!(out, "<script type=\"application/json\" id=\"data\">{data}</script>")?;
    writeln!(out, "<script>\n{SCRIPT}</script>\n</body>\n</html>")?;
    Ok(())
}

fn cards(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let unknown = || "unknown".to_owned();
    let parameters = summary.parameters;
    let cards = [
        ("Parameters", magnitude(parameters.total), format!("{} trainable", number(parameters.trainable))),
        ("MACs", summary.macs.map_or_else(unknown, magnitude), format!("one image{}", inspect::at(summary))),
        ("Weights", bytes(summary.memory.weights), "as they are stored".to_owned()),
        ("Activations", summary.memory.activations.map_or_else(unknown, bytes), "at the peak, batch of 1".to_owned()),
        ("Layers", number(summary.layers.len() as u64), plural(summary.blocks.len(), "residual block")),
    ];
    writeln!(out, "<div class=\"cards\">")?;
    for (what, value, about) in cards {
        writeln!(
            out,
            "<div class=\"card\"><span>{what}</span><strong>{}</strong><small>{}</small></div>",
            escape(&value),
            escape(&about)
        )?;
    }
    writeln!(out, "</div>")?;
    Ok(())
}

fn facts(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    writeln!(out, "<section><h2>File</h2><dl class=\"facts\">")?;
    for (key, lines) in inspect::facts(summary) {
        let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
        writeln!(out, "<dt>{key}</dt><dd>{}</dd>", lines.join("<br>"))?;
    }
    writeln!(out, "</dl></section>")?;
    Ok(())
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// Place of the row that a finding is about.
fn row_of(summary: &Summary, finding: &Finding) -> Option<usize> {
    let node = finding.node.as_ref()?;
    let here = |row: &LayerRow| row.findings.contains(&finding.code.id);
    summary.layers.iter().take(MOST_ROWS).position(|row| row.name == node && here(row))
}

fn findings(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    writeln!(out, "<section><h2>Findings</h2>")?;
    if summary.findings.is_empty() {
        writeln!(out, "<p class=\"good\">Nothing was found to complain about.</p></section>")?;
        return Ok(());
    }
    let mut order: Vec<&Finding> = summary.findings.iter().collect();
    order.sort_by_key(|finding| (std::cmp::Reverse(finding.level), finding.code));
    writeln!(out, "<ul class=\"findings\">")?;
    let more = order.len().saturating_sub(MOST_FINDINGS);
    for finding in order.into_iter().take(MOST_FINDINGS) {
        let node = finding.node.as_ref().map_or("", Name::raw);
        let node = match row_of(summary, finding) {
            Some(row) => format!("<a href=\"#layer-{row}\">{}</a>", escape(node)),
            None => escape(node),
        };
        writeln!(
            out,
            "<li class=\"{0}\"><span class=\"badge\">{0} {1}</span> <b>{2}</b> {node}<p>{3}</p><p class=\"help\">{4}</p></li>",
            level(finding.level),
            escape(finding.code.id),
            escape(finding.code.name),
            escape(finding.message.raw()),
            escape(finding.help.raw())
        )?;
    }
    writeln!(out, "</ul>")?;
    if more > 0 {
        writeln!(out, "<p>… and {}; <code>residua check</code> has all of them.</p>", plural(more, "more finding"))?;
    }
    writeln!(out, "</section>")?;
    Ok(())
}

fn layers(out: &mut dyn Write, summary: &Summary, weights: &[Vec<Weights>]) -> Result<()> {
    writeln!(
        out,
        "<section><h2>Layers</h2>\n<div class=\"tools\"><label>Search <input id=\"search\" type=\"search\" autocomplete=\"off\" placeholder=\"name, op or part\"></label>"
    )?;
    writeln!(
        out,
        "<label><input id=\"only\" type=\"checkbox\"> with findings only</label>
<button id=\"chosen\" type=\"button\" title=\"Show all blocks\" hidden></button><output id=\"count\" aria-live=\"polite\">{}</output></div>",
        plural(summary.layers.len(), "layer")
    )?;
    writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Layers\"><table id=\"layers\"><thead><tr>"
    )?;
    for (column, numeric) in COLUMNS {
        let class = if numeric { " class=\"n\"" } else { "" };
        let kind = if numeric { "number" } else { "text" };
        writeln!(
            out,
            "<th scope=\"col\"{class} data-kind=\"{kind}\"><button type=\"button\">{}</button></th>",
            escape(columns::head(column).name)
        )?;
        if column == Column::Op {
            writeln!(out, "<th scope=\"col\">weights</th>")?;
        }
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let none = Vec::new();
    for (index, row) in summary.layers.iter().enumerate().take(MOST_ROWS) {
        layer(out, summary, index, row, weights.get(index).unwrap_or(&none))?;
    }
    writeln!(out, "</tbody></table></div>")?;
    if summary.layers.len() > MOST_ROWS {
        let (shown, all) = (number(MOST_ROWS as u64), number(summary.layers.len() as u64));
        writeln!(out, "<p>The first {shown} of {all} layers; <code>--format csv</code> has all of them.</p>")?;
    }
    writeln!(out, "</section>")?;
    Ok(())
}

fn layer(out: &mut dyn Write, summary: &Summary, index: usize, row: &LayerRow, weights: &[Weights]) -> Result<()> {
    let marked = if row.findings.is_empty() { "" } else { " class=\"marked\"" };
    write!(out, "<tr id=\"layer-{index}\"{marked} data-index=\"{index}\">")?;
    for (column, numeric) in COLUMNS {
        let text = escape(&columns::cell(column, row));
        let key = if numeric {
            format!(" class=\"n\" data-key=\"{}\"", escape(&sort_key(column, row)))
        } else {
            String::new()
        };
        if column == Column::Name {
            let badges: String = row.findings.iter().map(|code| badge(summary, code)).collect();
            write!(
                out,
                "<th scope=\"row\"><button type=\"button\" class=\"more\" aria-expanded=\"false\">{text}</button>{badges}</th>"
            )?;
        } else {
            write!(out, "<td{key}>{text}</td>")?;
        }
        if column == Column::Op {
            write!(out, "<td class=\"spark\">{}</td>", weights.first().map(spark).unwrap_or_default())?;
        }
    }
    writeln!(out, "</tr>")?;
    Ok(())
}

fn badge(summary: &Summary, code: &str) -> String {
    let worst = summary.findings.iter().find(|finding| finding.code.id == code).map_or(Level::Note, |f| f.level);
    format!(" <span class=\"badge {}\">{}</span>", level(worst), escape(code))
}

/// What a cell is sorted by; nothing sorts below everything.
fn sort_key(column: Column, row: &LayerRow) -> String {
    let plain = columns::plain(column, row);
    match plain.as_str() {
        "" => "-1".to_owned(),
        "all" => "1e18".to_owned(),
        text => text.split('x').next().unwrap_or(text).to_owned(),
    }
}

/// A histogram as an outline, in a corner of a row.
fn spark(weights: &Weights) -> String {
    let Some(values) = weights.values.as_ref().filter(|values| !values.histogram.is_empty()) else {
        return String::new();
    };
    let most = f64::from(values.histogram.iter().copied().max().unwrap_or(1).max(1));
    let mut path = String::from("M0 18");
    for &count in &values.histogram {
        // What is there at all is seen.
        let height = if count > 0 { (f64::from(count) / most * 18.0).round().max(1.0) } else { 0.0 };
        let _ = write!(path, "V{}h2", 18.0 - height);
    }
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), small);
    let about = format!("{}: {} to {}", weights.name, number(values.min), number(values.max));
    format!(
        "<svg width=\"64\" height=\"18\" role=\"img\"><title>{}</title><path d=\"{path}V18z\"/></svg>",
        escape(&about)
    )
}
