//! `inspect` as one page that refers to nothing outside itself: summary, drawing, findings, layers with histograms.
//!
//! The page is whole without scripts; they add sorting, searching and details. Whatever comes from a file is escaped:
//! text and attributes by the template, data with every `<` as an escape of JSON, so that no name can end its element.
//! A policy in the head forbids the page to fetch anything.

#[cfg(feature = "more-images")]
mod evaluation;
#[cfg(test)]
mod tests;

use std::io::Write;

#[cfg(feature = "more-images")]
pub use evaluation::evaluation;

use crate::error::Result;
use maud::{Markup, PreEscaped, html as template};
use residua_ir::{Finding, Level, Name};
use serde::Serialize;

use super::drawing::{self, Place};
use super::json;
use super::markup::Line;
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

/// More rows make a page that no browser is quick with; CSV and JSON have all.
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
    let title = drawing::title(summary);
    let mut drawn = Vec::new();
    drawing::svg(&mut drawn, summary, diagram, Place::Page)?;
    let page = template! {
        (PreEscaped("<!doctype html>"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Line(&title)) " · residua" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (Line(&title)) } p { (Line(&drawing::subtitle(summary))) } }
                main {
                    (cards(summary))
                    (findings(summary))
                    section {
                        h2 { "Network" }
                        div.scroll.drawing tabindex="0" role="region" aria-label="Drawing" {
                            (PreEscaped(String::from_utf8(drawn)?))
                        }
                    }
                    (facts(summary))
                    (layers(summary, weights))
                }
                footer { "Written by residua " (env!("CARGO_PKG_VERSION")) ". This page fetches nothing." }
                script type="application/json" id="data" { (PreEscaped(json::in_page(&Data::of(summary, weights))?)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    writeln!(out, "{}", page.into_string())?;
    Ok(())
}

fn cards(summary: &Summary) -> Markup {
    let unknown = || "unknown".to_owned();
    let parameters = summary.parameters;
    let cards = [
        ("Parameters", magnitude(parameters.total), format!("{} trainable", number(parameters.trainable))),
        ("MACs", summary.macs.map_or_else(unknown, magnitude), format!("one image{}", inspect::at(summary))),
        ("Weights", bytes(summary.memory.weights), "as they are stored".to_owned()),
        ("Activations", summary.memory.activations.map_or_else(unknown, bytes), "at the peak, batch of 1".to_owned()),
        ("Layers", number(summary.layers.len() as u64), plural(summary.blocks.len(), "residual block")),
    ];
    template! {
        div.cards {
            @for (what, value, about) in &cards {
                div.card { span { (what) } strong { (Line(value)) } small { (Line(about)) } }
            }
        }
    }
}

fn facts(summary: &Summary) -> Markup {
    template! {
        section {
            h2 { "File" }
            dl.facts {
                @for (key, lines) in inspect::facts(summary) {
                    dt { (key) }
                    dd {
                        @for (index, line) in lines.iter().enumerate() {
                            @if index > 0 { br; }
                            (Line(line))
                        }
                    }
                }
            }
        }
    }
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

fn findings(summary: &Summary) -> Markup {
    let mut order: Vec<&Finding> = summary.findings.iter().collect();
    order.sort_by_key(|finding| (std::cmp::Reverse(finding.level), finding.code));
    let more = order.len().saturating_sub(MOST_FINDINGS);
    template! {
        section {
            h2 { "Findings" }
            @if order.is_empty() {
                p.good { "Nothing was found to complain about." }
            } @else {
                ul.findings { @for found in order.iter().take(MOST_FINDINGS) { (finding(summary, found)) } }
            }
            @if more > 0 {
                p { "… and " (plural(more, "more finding")) "; a check lists all of them." }
            }
        }
    }
}

fn finding(summary: &Summary, finding: &Finding) -> Markup {
    let node = finding.node.as_ref().map_or("", Name::raw);
    let level = level(finding.level);
    template! {
        li class=(level) {
            span.badge { (level) " " (finding.code.id) } " " b { (finding.code.name) } " "
            @match row_of(summary, finding) {
                Some(row) => a href={ "#layer-" (row) } { (Line(node)) },
                None => (Line(node)),
            }
            p { (Line(finding.message.raw())) }
            p.help { (Line(finding.help.raw())) }
        }
    }
}

fn layers(summary: &Summary, weights: &[Vec<Weights>]) -> Markup {
    let rows = summary.layers.iter().enumerate().take(MOST_ROWS);
    template! {
        section {
            h2 { "Layers" }
            div.tools {
                label {
                    "Search " input #search type="search" autocomplete="off" placeholder="name, op or part";
                }
                label { input #only type="checkbox"; " with findings only" }
                button #chosen type="button" title="Show all blocks" hidden {}
                output #count aria-live="polite" { (plural(summary.layers.len(), "layer")) }
            }
            div.scroll tabindex="0" role="region" aria-label="Layers" {
                table #layers {
                    thead { (heads()) }
                    tbody {
                        @for (index, row) in rows {
                            (layer(summary, index, row, weights.get(index).map_or(&[], Vec::as_slice)))
                        }
                    }
                }
            }
            @if summary.layers.len() > MOST_ROWS {
                p {
                    "The first " (number(MOST_ROWS as u64)) " of " (number(summary.layers.len() as u64))
                    " layers; their CSV and JSON have all of them."
                }
            }
        }
    }
}

fn heads() -> Markup {
    template! {
        tr {
            @for (column, numeric) in COLUMNS {
                th scope="col" class=[numeric.then_some("n")] data-kind=(if numeric { "number" } else { "text" }) {
                    button type="button" { (columns::head(column).name) }
                }
                @if column == Column::Op { th scope="col" { "weights" } }
            }
        }
    }
}

fn layer(summary: &Summary, index: usize, row: &LayerRow, weights: &[Weights]) -> Markup {
    template! {
        tr id={ "layer-" (index) } class=[(!row.findings.is_empty()).then_some("marked")] data-index=(index) {
            @for (column, numeric) in COLUMNS {
                @let text = columns::cell(column, row);
                @if column == Column::Name {
                    th scope="row" {
                        button.more type="button" aria-expanded="false" { (Line(&text)) }
                        @for code in &row.findings { " " (badge(summary, code)) }
                    }
                } @else {
                    td class=[numeric.then_some("n")] data-key=[numeric.then(|| sort_key(column, row))] { (Line(&text)) }
                }
                @if column == Column::Op {
                    td.spark { @if let Some(first) = weights.first() { (spark(first)) } }
                }
            }
        }
    }
}

fn badge(summary: &Summary, code: &str) -> Markup {
    let worst = summary.findings.iter().find(|finding| finding.code.id == code).map_or(Level::Note, |f| f.level);
    template! { span class={ "badge " (level(worst)) } { (code) } }
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
fn spark(weights: &Weights) -> Markup {
    let Some(values) = weights.values.as_ref().filter(|values| !values.histogram.is_empty()) else {
        return template! {};
    };
    let most = f64::from(values.histogram.iter().copied().max().unwrap_or(1).max(1));
    let steps = values.histogram.iter().map(|&count| {
        // What is there at all is seen.
        let height = if count > 0 { (f64::from(count) / most * 18.0).round().max(1.0) } else { 0.0 };
        format!("V{}h2", 18.0 - height)
    });
    let outline: String = std::iter::once("M0 18".to_owned()).chain(steps).chain(["V18z".to_owned()]).collect();
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), small);
    let about = format!("{}: {} to {}", weights.name, number(values.min), number(values.max));
    template! {
        svg width="64" height="18" role="img" { title { (Line(&about)) } path d=(outline) {} }
    }
}
