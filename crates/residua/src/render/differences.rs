//! A structural difference, as text.

use std::io::Write;

use anyhow::Result;

use super::table::{self, words};
use super::{plural, small};
use crate::commands::Differences;
use crate::console::Style;

/// At most so many names of a kind are listed in text; the JSON has all.
const LISTED: usize = 12;

fn list(out: &mut dyn Write, style: Style, title: &str, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold(&format!("{title} ({})", lines.len())))?;
    for line in lines.iter().take(LISTED) {
        writeln!(out, "  {line}")?;
    }
    if lines.len() > LISTED {
        writeln!(out, "  … and {} more; --format json has all of them", lines.len() - LISTED)?;
    }
    Ok(())
}

/// Writes what differs.
pub(crate) fn text(out: &mut dyn Write, style: Style, differences: &Differences) -> Result<()> {
    let Differences { a, b, layers, tensors, .. } = differences;
    if differences.verdict == "same" {
        let layers = plural(layers.same, "layer");
        writeln!(out, "{}  {layers} and {} are the same", style.good("same"), plural(tensors.same, "tensor"))?;
        return Ok(());
    }
    writeln!(out, "{}  A is {a}, B is {b}", style.error("different"))?;
    if !differences.model.is_empty() {
        writeln!(out)?;
        let rows = differences.model.iter().map(|change| vec![change.what.clone(), change.a.clone(), change.b.clone()]);
        table::write(out, &[words(""), words("A"), words("B")], rows.collect())?;
    }
    list(out, style, "layers only in A", &layers.only_a)?;
    list(out, style, "layers only in B", &layers.only_b)?;
    let changed: Vec<String> =
        layers.changed.iter().map(|change| format!("{}: {} → {}", change.what, change.a, change.b)).collect();
    list(out, style, "layers that compute something else", &changed)?;
    list(out, style, "tensors only in A", &tensors.only_a)?;
    list(out, style, "tensors only in B", &tensors.only_b)?;
    let renamed: Vec<String> = tensors.renamed.iter().map(|change| format!("{} → {}", change.a, change.b)).collect();
    list(out, style, "tensors with another name", &renamed)?;
    let changed: Vec<String> = tensors
        .changed
        .iter()
        .map(|change| match change.max_abs {
            Some(most) if change.what == "elements" => {
                format!("{}: elements differ by up to {}", change.name, small(most))
            }
            Some(most) => format!("{}: {} → {}, by up to {}", change.name, change.a, change.b, small(most)),
            None => format!("{}: shape {} → {}", change.name, change.a, change.b),
        })
        .collect();
    list(out, style, "tensors with other contents", &changed)?;
    let (layers, tensors) = (plural(layers.same, "layer"), plural(tensors.same, "tensor"));
    writeln!(out, "\n{layers} and {tensors} are the same.")?;
    Ok(())
}
