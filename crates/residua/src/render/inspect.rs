//! What `inspect` says in words: facts line by line, and rows of the layer table; as Markdown and CSV.

use std::io::{self, Write};

use residua_ir::Hint;
use residua_resnet::preprocessing::Known;

use super::table::{self, words};
use super::{blocks, bytes, columns, magnitude, markdown, number, plural};
use crate::floats;
use crate::options::{Choice, Column, Count};
use crate::preparation;
use crate::summary::{Interface, Summary, unknown};

/// The summary's keys and what is said for each; a key may have several lines.
pub fn facts(summary: &Summary) -> Vec<(&'static str, Vec<String>)> {
    let mut facts = vec![("file", vec![file(summary)]), ("format", vec![format(summary)])];
    if !summary.dangers.is_empty() {
        facts.push(("security", summary.dangers.to_vec()));
    }
    if !summary.notes.is_empty() {
        facts.push(("notes", summary.notes.to_vec()));
    }
    facts.push(("architecture", architecture(summary)));
    #[cfg(feature = "known")]
    if let Some(identity) = summary.identity {
        facts.push(("published as", published(identity)));
    }
    facts.push((if summary.inputs.len() == 1 { "input" } else { "inputs" }, interface(&summary.inputs)));
    facts.push((if summary.outputs.len() == 1 { "output" } else { "outputs" }, interface(&summary.outputs)));
    if !summary.computes_in.is_empty() {
        facts.push(("computes in", vec![floats::facts(&summary.computes_in)]));
    }
    facts.push(("preprocessing", preprocessing(summary)));
    let parameters = summary.parameters;
    facts.push((
        "parameters",
        vec![format!(
            "{} ({} trainable, {} not){}",
            number(parameters.total),
            number(parameters.trainable),
            number(parameters.non_trainable),
            counted_as(summary)
        )],
    ));
    facts.push(("work", vec![work(summary)]));
    facts.push(("memory", vec![memory(summary)]));
    if !summary.unused.is_empty() {
        facts.push(("unused", unused(summary)));
    }
    facts
}

fn file(summary: &Summary) -> String {
    match summary.bytes {
        Some(size) => format!("{} ({})", summary.file, bytes(size)),
        None => summary.file.clone(),
    }
}

fn format(summary: &Summary) -> String {
    match summary.framework_version {
        Some(version) => format!("{} ({} {version})", summary.format, summary.framework),
        None => format!("{} ({})", summary.format, summary.framework),
    }
}

fn architecture(summary: &Summary) -> Vec<String> {
    let mut lines = match summary.architecture {
        Some(architecture) => vec![architecture.name.clone(), blocks::sentence(architecture)],
        None => vec!["none that is known".to_owned()],
    };
    lines.extend(unknown::sentence(&summary.unknown));
    lines
}

/// Which published weights it is; that it is none that is known is said as well, since somebody asked.
#[cfg(feature = "known")]
fn published(identity: &crate::known::Identity) -> Vec<String> {
    let mut lines = identity.lines();
    if identity.weights.is_none() {
        let hashes = [("MD5", &identity.hashes.md5), ("SHA-256", &identity.hashes.sha256)];
        let own = hashes.into_iter().filter_map(|(name, digits)| Some(format!("{name} {}", digits.as_ref()?)));
        lines.push(format!("nothing that is known: {}", own.collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn interface(values: &[Interface]) -> Vec<String> {
    let names = values.iter().map(|value| value.name.chars().count()).max().unwrap_or(0);
    values
        .iter()
        .map(|value| {
            let line = format!(
                "{:names$}  {} {}  {}",
                value.name,
                value.dtype.as_deref().unwrap_or("?"),
                value.text,
                value.layout.unwrap_or("")
            );
            line.trim_end().to_owned()
        })
        .collect()
}

fn preprocessing(summary: &Summary) -> Vec<String> {
    let Some(known) = &summary.preparation else { return Vec::new() };
    let geometry = preparation::geometry_text(known);
    let places = preparation::geometry_by(known);
    let mut lines = match (&known.values, known.name()) {
        (Some(values), Some(name)) => vec![format!("{name}: {}", values.value.describe())],
        (_, _) => vec![format!("not known: {}", known.reason)],
    };
    // One line for all parts where they are from one place.
    let together = known.values.as_ref().is_some_and(|values| places == [values.by.as_str()]);
    match geometry {
        Some(text) if together => lines.push(format!("{text}; all {}", known.reason)),
        Some(text) => {
            lines.extend(reason(known));
            lines.push(format!("{text}; from {}", places.join(" and ")));
        }
        None => lines.extend(reason(known)),
    }
    lines.extend(known.conflicts.iter().map(|conflict| conflict.text.clone()));
    lines
}

/// How the values are known, where they are.
fn reason(known: &Known) -> Option<String> {
    known.values.as_ref()?;
    Some(match known.assumed {
        true => format!("assumed, {}", known.reason),
        false => known.reason.clone(),
    })
}

/// The size that MACs are for, where the model leaves its own free.
pub fn at(summary: &Summary) -> String {
    let Some(shapes) = &summary.costs_at else { return String::new() };
    let shapes: Vec<String> =
        shapes.iter().map(|shape| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")).collect();
    format!(" at {}", shapes.join(", "))
}

/// Who counts so, where it is not us.
fn counted_as(summary: &Summary) -> &'static str {
    match summary.counted_as {
        Count::Residua => "",
        Count::Keras => ", as Keras counts",
        Count::Torchinfo => ", as torchinfo counts",
        Count::Fvcore => ", as fvcore counts",
    }
}

fn work(summary: &Summary) -> String {
    match (summary.macs, summary.flops) {
        (Some(macs), Some(flops)) => {
            let (at, counted) = (at(summary), counted_as(summary));
            format!("{}MACs, {}FLOPs{at} ({} MACs){counted}", magnitude(macs), magnitude(flops), number(macs))
        }
        _ => format!("depends on the input's size, which is free: pass {}", Hint::InputShapes),
    }
}

fn memory(summary: &Summary) -> String {
    let weights = format!("weights {}", bytes(summary.memory.weights));
    match (summary.memory.activations, summary.memory.total) {
        (Some(activations), Some(total)) => {
            format!("{weights} + activations {} at the peak, batch of 1 = {}", bytes(activations), bytes(total))
        }
        _ => weights,
    }
}

fn unused(summary: &Summary) -> Vec<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for entry in summary.unused {
        match reasons.iter_mut().find(|(reason, _)| *reason == entry.reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((&entry.reason, 1)),
        }
    }
    reasons.into_iter().map(|(reason, count)| format!("{}: {reason}", plural(count, "tensor"))).collect()
}

/// Rows of the layer table in these columns, the totals last.
#[must_use]
pub fn layer_rows(summary: &Summary, columns: &[Column]) -> Vec<Vec<String>> {
    let cells = |row| columns.iter().map(|&column| columns::cell(column, row)).collect();
    let mut rows: Vec<Vec<String>> = summary.layers.iter().map(cells).collect();
    rows.push(columns.iter().map(|&column| columns::total(column, summary)).collect());
    rows
}

/// What of the layer table is wanted.
#[derive(Debug, Clone, Copy)]
pub enum Layers<'a> {
    /// Nothing of it.
    None,
    /// The columns that say something, and that have room.
    Usual,
    /// These columns.
    Chosen(&'a [Column]),
}

impl Layers<'_> {
    /// The columns; none where nothing of the table is wanted.
    #[must_use]
    pub fn columns(self, summary: &Summary) -> Option<Vec<Column>> {
        match self {
            Self::None => None,
            Self::Usual => Some(columns::worth_showing(summary)),
            Self::Chosen(columns) => Some(columns.to_vec()),
        }
    }
}

/// Writes the summary as Markdown.
pub fn markdown(out: &mut dyn Write, summary: &Summary, layers: Layers) -> io::Result<()> {
    writeln!(out, "## {}\n", markdown::text(summary.name))?;
    let rows = facts(summary).into_iter().map(|(key, lines)| vec![key.to_owned(), lines.join("; ")]).collect();
    table::markdown(out, &[words(""), words("")], table::inline(rows))?;
    if !summary.blocks.is_empty() {
        writeln!(out, "\n### Blocks\n")?;
        table::markdown(out, &blocks::COLUMNS, table::inline(summary.blocks.iter().map(blocks::row).collect()))?;
    }
    if let Some(shown) = layers.columns(summary) {
        let heads: Vec<table::Column> = shown.iter().map(|&column| columns::head(column)).collect();
        writeln!(out, "\n### Layers\n")?;
        table::markdown(out, &heads, table::inline(layer_rows(summary, &shown)))?;
    }
    Ok(())
}

/// Writes the layers as CSV: all columns, or those that were chosen.
pub fn csv(out: &mut dyn Write, summary: &Summary, layers: Layers) -> io::Result<()> {
    let shown = match layers {
        Layers::Chosen(columns) => columns.to_vec(),
        Layers::None | Layers::Usual => Column::ALL.to_vec(),
    };
    let names: Vec<&str> = shown.iter().map(|&column| column.name()).collect();
    let cells = |row| shown.iter().map(|&column| columns::plain(column, row)).collect();
    let rows: Vec<Vec<String>> = summary.layers.iter().map(cells).collect();
    table::csv(out, &names, &rows)
}
