//! What `convert` says it did, as text.

use std::io::Write;

use anyhow::Result;
use residua::convert::Converted;
use residua::emit::safetensors::checkpoint::{CONFIG, PROCESSOR};
use residua::ir::Shown;
use residua::ir::rewrite::Applied;
use residua::render::{bytes, plural, said};
use residua::resnet::preprocessing::Known;
use residua::{layouts, preparation};

use crate::console::Style;
use crate::render;

/// Lines of one kind that are printed; the rest are counted.
const SHOWN: usize = 2;

/// Writes what came of it, and of the proof.
pub(in crate::commands) fn text(out: &mut dyn Write, style: Style, converted: &Converted, seconds: f64) -> Result<()> {
    written(out, style, converted, seconds)?;
    match converted.verification() {
        Some(verification) => {
            writeln!(out, "\nread back and held against the source:")?;
            render::verification::text(out, style, verification)?;
        }
        None => writeln!(out, "  {}", style.warning("not proved: --no-verify was given"))?,
    }
    for verification in converted.golden() {
        writeln!(out, "\nthe source against the golden outputs:")?;
        render::verification::text(out, style, verification)?;
    }
    Ok(())
}

/// What was written, and what became of the tensors.
fn written(out: &mut dyn Write, style: Style, converted: &Converted, seconds: f64) -> Result<()> {
    let emitted = converted.emitted();
    let (from, to) = (converted.source().shown(), style.bold(&converted.file().shown().to_string()));
    if converted.is_written() {
        writeln!(out, "{from} → {to}")?;
        let tensors = plural(emitted.mapping.len(), "tensor");
        writeln!(out, "  {tensors}, {}, {seconds:.2} s", bytes(emitted.bytes))?;
        for extra in emitted.files.iter().skip(1) {
            let what = if extra.ends_with(CONFIG) {
                "configuration"
            } else if extra.ends_with(PROCESSOR) {
                "preparation of images"
            } else {
                "weights"
            };
            writeln!(out, "  {what} in {}", extra.shown())?;
        }
    } else {
        writeln!(out, "{from} → {to}: {}", style.error("not written"))?;
    }
    if let Some(held) = converted.fitted() {
        writeln!(out, "  names and axes of {}", held.class.describe)?;
        for setting in &held.settings {
            writeln!(out, "  {}", style.warning(&said(setting)))?;
        }
        for how in layouts::moves(held) {
            writeln!(out, "  computed: {}", said(&how))?;
        }
    }
    for Applied { what, nodes, .. } in converted.passes() {
        writeln!(out, "  {} ({})", said(what), plural(nodes.len(), "node"))?;
    }
    for line in prepared(converted.preparation()) {
        writeln!(out, "  {}", said(&line))?;
    }
    list(out, emitted.dropped.iter().map(|dropped| format!("left out {}: {}", dropped.from, dropped.reason)))?;
    list(out, converted.notes().into_iter().cloned())
}

/// What is recorded about preparing images, and from where it is.
pub(super) fn prepared(known: &Known) -> Vec<String> {
    let values = known.values.as_ref().zip(known.name());
    let mut lines: Vec<String> = values
        .map(|(values, name)| {
            let how = if known.assumed { "assumed, " } else { "" };
            format!("images recorded as `{name}` ({}): {how}{}", values.value.describe(), known.reason)
        })
        .into_iter()
        .collect();
    if let Some(text) = preparation::geometry_text(known) {
        lines.push(format!("size of images recorded: {text}: from {}", preparation::geometry_by(known).join(" and ")));
    }
    lines.extend(known.conflicts.iter().map(|conflict| conflict.text.clone()));
    lines
}

/// The first few of them; the rest are counted.
pub(super) fn list(out: &mut dyn Write, lines: impl ExactSizeIterator<Item = String>) -> Result<()> {
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.take(SHOWN) {
        writeln!(out, "  {}", said(&line))?;
    }
    if more > 0 {
        writeln!(out, "  and {more} more, all in --format json")?;
    }
    Ok(())
}
