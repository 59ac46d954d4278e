//! `inspect` as text, Markdown and CSV.

use std::io::Write;

use anyhow::Result;

use super::table::{self, Column, numbers, words};
use super::{blocks, bytes, finding, magnitude, number, plural};
use crate::console::Style;
use crate::summary::{Interface, LayerRow, Summary};

/// Width of the keys of the summary.
const KEYS: usize = 15;

const LAYER_COLUMNS: [Column; 7] = [
    words("layer"),
    words("op"),
    words("output shape"),
    numbers("parameters"),
    numbers("trainable"),
    numbers("MACs"),
    words("connected to"),
];

/// The summary's keys and what is said for each; a key may have several lines.
fn facts(summary: &Summary) -> Vec<(&'static str, Vec<String>)> {
    let mut facts = vec![("file", vec![file(summary)]), ("format", vec![format(summary)])];
    if !summary.dangers.is_empty() {
        facts.push(("security", summary.dangers.to_vec()));
    }
    if !summary.notes.is_empty() {
        facts.push(("notes", summary.notes.to_vec()));
    }
    facts.push(("architecture", architecture(summary)));
    facts.push((if summary.inputs.len() == 1 { "input" } else { "inputs" }, interface(&summary.inputs)));
    facts.push((if summary.outputs.len() == 1 { "output" } else { "outputs" }, interface(&summary.outputs)));
    facts.push(("preprocessing", preprocessing(summary)));
    let parameters = summary.parameters;
    facts.push((
        "parameters",
        vec![format!(
            "{} ({} trainable, {} not)",
            number(parameters.total),
            number(parameters.trainable),
            number(parameters.non_trainable)
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
    match summary.architecture {
        Some(architecture) => vec![architecture.name.clone(), blocks::sentence(architecture)],
        None => vec!["none that is known".to_owned()],
    }
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
    let reason = summary.preprocessing_known_by.clone().unwrap_or_default();
    match summary.preprocessing {
        Some(mode) => vec![format!("{}: {}", mode.name(), mode.describe()), reason],
        None => vec![format!("not known: {reason}")],
    }
}

fn at(summary: &Summary) -> String {
    let Some(shapes) = &summary.costs_at else { return String::new() };
    let shapes: Vec<String> =
        shapes.iter().map(|shape| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")).collect();
    format!(" at {}", shapes.join(", "))
}

fn work(summary: &Summary) -> String {
    match (summary.macs, summary.flops) {
        (Some(macs), Some(flops)) => {
            format!("{}MACs, {}FLOPs{} ({} MACs)", magnitude(macs), magnitude(flops), at(summary), number(macs))
        }
        _ => "depends on the input's size, which is free: pass --input-shape".to_owned(),
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

/// A line of the layer table.
fn layer(row: &LayerRow) -> Vec<String> {
    vec![
        row.name.to_owned(),
        row.op.to_owned(),
        row.shape_text.clone(),
        number(row.parameters),
        number(row.trainable),
        row.macs.map_or_else(|| "?".to_owned(), number),
        row.connected_to.join(", "),
    ]
}

fn layers(summary: &Summary) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = summary.layers.iter().map(layer).collect();
    let total = vec![
        plural(summary.layers.len(), "layer"),
        String::new(),
        String::new(),
        number(summary.parameters.total),
        number(summary.parameters.trainable),
        summary.macs.map_or_else(|| "?".to_owned(), number),
        String::new(),
    ];
    rows.push(total);
    rows
}

/// Writes the summary for reading.
pub(crate) fn text(out: &mut dyn Write, style: Style, summary: &Summary, with_layers: bool) -> Result<()> {
    writeln!(out, "{}", style.bold(summary.name))?;
    writeln!(out)?;
    for (key, lines) in facts(summary) {
        for (index, line) in lines.iter().enumerate() {
            let line = if key == "security" { style.warning(line) } else { line.clone() };
            let key = if index == 0 { key } else { "" };
            writeln!(out, "{}{line}", style.dim(&format!("{key:KEYS$}")))?;
        }
    }
    if !summary.findings.is_empty() {
        writeln!(out)?;
        finding::list(out, style, &summary.findings)?;
    }
    if !summary.blocks.is_empty() {
        writeln!(out)?;
        table::write(out, &blocks::COLUMNS, summary.blocks.iter().map(blocks::row).collect())?;
    }
    if with_layers {
        writeln!(out)?;
        table::write(out, &LAYER_COLUMNS, layers(summary))?;
    }
    Ok(())
}

/// Writes the summary as Markdown.
pub(crate) fn markdown(out: &mut dyn Write, summary: &Summary, with_layers: bool) -> Result<()> {
    writeln!(out, "## {}\n", summary.name)?;
    let rows = facts(summary).into_iter().map(|(key, lines)| vec![key.to_owned(), lines.join("; ")]).collect();
    table::markdown(out, &[words(""), words("")], rows)?;
    if !summary.blocks.is_empty() {
        writeln!(out, "\n### Blocks\n")?;
        table::markdown(out, &blocks::COLUMNS, summary.blocks.iter().map(blocks::row).collect())?;
    }
    if with_layers {
        writeln!(out, "\n### Layers\n")?;
        table::markdown(out, &LAYER_COLUMNS, layers(summary))?;
    }
    Ok(())
}

/// Writes the layers as CSV, numbers without separators.
pub(crate) fn csv(out: &mut dyn Write, summary: &Summary) -> Result<()> {
    let rows: Vec<Vec<String>> = summary
        .layers
        .iter()
        .map(|row| {
            vec![
                row.name.to_owned(),
                row.op.to_owned(),
                row.shape_text.clone(),
                row.parameters.to_string(),
                row.trainable.to_string(),
                row.macs.map_or_else(String::new, |macs| macs.to_string()),
                row.connected_to.join(" "),
            ]
        })
        .collect();
    Ok(table::csv(out, &LAYER_COLUMNS, &rows)?)
}
