//! What `convert` says it did, as text and as JSON.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use residua_emit::safetensors::checkpoint::{CONFIG, PROCESSOR};
use residua_emit::{Dropped, Emitted, Exactness, TensorMapping};
use residua_ir::computes::{ComputesIn, computes_in};
use residua_ir::rewrite::Applied;
use residua_ir::{Checked, Shown};
use residua_resnet::preprocessing::Known;
use serde::Serialize;

use super::target::Target;
use crate::args::{ConvertArgs, Format};
use crate::console::{Console, Style};
use crate::proof::Verification;
use crate::{fit, input, render};

/// Lines of one kind that are printed; the rest are counted.
const SHOWN: usize = 2;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    source: String,
    /// Null where nothing was written, since the proof failed.
    output: Option<String>,
    format: &'static str,
    /// Layout of the names; null for ONNX.
    layout: Option<&'static str>,
    /// What whoever builds the model in the layout's framework has to set.
    settings: &'a [String],
    files: Vec<String>,
    bytes: u64,
    seconds: f64,
    tensors: &'a [TensorMapping],
    dropped: &'a [Dropped],
    exactness: &'a Exactness,
    notes: Vec<&'a String>,
    /// What the source computes in types narrower than f32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    computes_in: Vec<ComputesIn>,
    /// How the source was told, and what was taken where its file leaves it open.
    source_notes: &'a [String],
    /// What was undone of an export, or done to the graph otherwise.
    passes: &'a [Applied],
    /// How pictures are prepared, as it is written into the output; null values where nothing tells.
    preparation: &'a Known,
    verification: Option<&'a Verification>,
    golden: &'a [Verification],
}

/// What came of it.
pub(super) struct Report<'a> {
    pub(super) args: &'a ConvertArgs,
    /// The main file of the output.
    pub(super) file: &'a Path,
    pub(super) target: &'a Target,
    /// What was written from.
    pub(super) source: &'a Checked,
    pub(super) emitted: &'a Emitted,
    /// How the source was told.
    pub(super) told: &'a [String],
    pub(super) passes: &'a [Applied],
    pub(super) preparation: &'a Known,
    pub(super) verification: Option<&'a Verification>,
    pub(super) golden: &'a [Verification],
    /// Whether the output was written.
    pub(super) holds: bool,
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Report<'_> {
    pub(super) fn print(&self, seconds: f64, console: &mut Console) -> Result<()> {
        let Self { args, file, target, source, emitted, told, passes, preparation, verification, golden, holds } =
            *self;
        if args.format == Format::Json {
            let document = Document {
                schema: "residua.convert/1",
                source: text(&args.model.path),
                output: holds.then(|| text(file)),
                format: target.format(),
                layout: target.layout(),
                settings: target.fitted().map_or(&[], |fitted| &fitted.settings),
                files: emitted.files.iter().filter(|_| holds).map(|file| text(file)).collect(),
                bytes: emitted.bytes,
                seconds,
                tensors: &emitted.mapping,
                dropped: &emitted.dropped,
                exactness: &emitted.exactness,
                notes: self.notes(),
                computes_in: computes_in(source),
                source_notes: told,
                passes,
                preparation,
                verification,
                golden,
            };
            return render::json(console.out(), &document);
        }
        let style = console.style();
        let out = console.out();
        self.written(seconds, out, style)?;
        match verification {
            Some(verification) => {
                writeln!(out, "\nread back and run against the source:")?;
                render::verification::text(out, style, verification)?;
            }
            None => writeln!(out, "  {}", style.warning("not proved: --no-verify was given"))?,
        }
        for verification in golden {
            writeln!(out, "\nthe source against the golden outputs:")?;
            render::verification::text(out, style, verification)?;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<&String> {
        self.target.notes().iter().chain(&self.emitted.notes).collect()
    }

    /// What was written, and what became of the tensors.
    fn written(&self, seconds: f64, out: &mut dyn Write, style: Style) -> Result<()> {
        let Self { args, file, target, emitted, passes, holds, .. } = *self;
        let (from, to) = (args.model.path.shown(), style.bold(&file.shown().to_string()));
        if holds {
            writeln!(out, "{from} → {to}")?;
            let tensors = render::plural(emitted.mapping.len(), "tensor");
            writeln!(out, "  {tensors}, {}, {seconds:.2} s", render::bytes(emitted.bytes))?;
            for extra in emitted.files.iter().skip(1) {
                let what = if extra.ends_with(CONFIG) {
                    "configuration"
                } else if extra.ends_with(PROCESSOR) {
                    "preparation of pictures"
                } else {
                    "weights"
                };
                writeln!(out, "  {what} in {}", extra.shown())?;
            }
        } else {
            writeln!(out, "{from} → {to}: {}", style.error("not written"))?;
        }
        if let Some(fitted) = target.fitted() {
            writeln!(out, "  names and axes of {}", fitted.class.describe)?;
            for setting in &fitted.settings {
                writeln!(out, "  {}", style.warning(&render::said(setting)))?;
            }
            for how in fit::moves(fitted) {
                writeln!(out, "  computed: {}", render::said(&how))?;
            }
        }
        for Applied { what, nodes, .. } in passes {
            writeln!(out, "  {} ({})", render::said(what), render::plural(nodes.len(), "node"))?;
        }
        for line in prepared(self.preparation) {
            writeln!(out, "  {}", render::said(&line))?;
        }
        list(out, emitted.dropped.iter().map(|dropped| format!("left out {}: {}", dropped.from, dropped.reason)))?;
        list(out, self.notes().into_iter().cloned())
    }
}

/// What is recorded about preparing pictures, and from where it is.
fn prepared(known: &Known) -> Vec<String> {
    let values = known.values.as_ref().zip(known.name());
    let mut lines: Vec<String> = values
        .map(|(values, name)| {
            let how = if known.assumed { "assumed, " } else { "" };
            format!("pictures recorded as `{name}` ({}): {how}{}", values.value.describe(), known.reason)
        })
        .into_iter()
        .collect();
    if let Some(text) = input::geometry_text(known) {
        lines.push(format!("size of pictures recorded: {text}: from {}", input::geometry_by(known).join(" and ")));
    }
    lines.extend(known.conflicts.iter().map(|conflict| conflict.text.clone()));
    lines
}

/// The first few of them; the rest are counted.
fn list(out: &mut dyn Write, lines: impl ExactSizeIterator<Item = String>) -> Result<()> {
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.take(SHOWN) {
        writeln!(out, "  {}", render::said(&line))?;
    }
    if more > 0 {
        writeln!(out, "  and {more} more, all in --format json")?;
    }
    Ok(())
}
