//! The last step of commands that write a network: writing it, proving what was written, saying so.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use residua::convert::{Conversion, Convert, Onnx, Output, Proof, Safetensors};
use residua::ir::Shown;
use residua::model::Model;
use residua::options::Layout;
use residua::render::json;

use super::convert::report;
use crate::args::Format;
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;

/// What the ending of a file asks for.
pub(super) fn target(out: &Path, layout: Option<Layout>) -> Result<Output> {
    match out.extension().and_then(|extension| extension.to_str()) {
        Some("onnx") if layout.is_some() => bail!("--layout is about safetensors, {} is ONNX", out.shown()),
        Some("onnx") => Ok(Output::Onnx(Onnx::default())),
        Some("safetensors") => Ok(Output::Safetensors(Safetensors { layout })),
        Some(other) => bail!("{}: expected .onnx or .safetensors, found .{}", out.shown(), other.shown()),
        None => bail!("{}: expected a name that ends in .onnx or .safetensors", out.shown()),
    }
}

/// What is to be written, and how that is told.
pub(super) struct Writing<'a> {
    pub(super) out: &'a Path,
    pub(super) to: Output,
    pub(super) format: Format,
    /// Of the command's JSON.
    pub(super) schema: &'static str,
    pub(super) started: Instant,
}

/// Writes a model, and keeps the file only where it is proved.
pub(super) fn write(
    model: &Model,
    writing: Writing<'_>,
    threads: Option<usize>,
    progress: Progress,
    console: &mut Console,
) -> Result<Outcome> {
    let convert = Convert { watch: progress.watch(), ..writing.to.into() };
    let conversion = model.convert(writing.out, convert)?.prove(&Proof { threads, ..Proof::default() })?;
    drop(progress);
    finish(conversion, writing.format, writing.schema, writing.started, console)
}

/// Keeps what was written where it is proved, and says what came of it.
pub(super) fn finish(
    conversion: Conversion,
    format: Format,
    schema: &'static str,
    started: Instant,
    console: &mut Console,
) -> Result<Outcome> {
    let refusal = (!conversion.holds()).then(|| conversion.refusal());
    let converted = if conversion.holds() { conversion.commit()? } else { conversion.discard() };
    let seconds = started.elapsed().as_secs_f64();
    match format {
        Format::Json => json(console.out(), &converted.document(seconds).of_schema(schema))?,
        Format::Text => {
            let style = console.style();
            report::text(console.out(), style, &converted, seconds)?;
        }
    }
    Ok(match refusal {
        Some(refusal) => {
            console.complain(refusal);
            Outcome::Fails
        }
        None => Outcome::Holds,
    })
}
