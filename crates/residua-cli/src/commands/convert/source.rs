//! `convert --to candle` and the like: a crate with the source of the network, or with a program that runs it.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;
use residua::convert::{Check, Runtime, SourceCrate, SourceOptions};
use residua::ir::Shown;
use residua::model::Model;
use residua::render::{bytes, json, plural, said};

use super::{proof, report};
use crate::args::{ConvertArgs, Format, VerifySource};
use crate::console::{Console, Style};
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render;

/// Writes the crate, and says what came of it.
pub(super) fn run(
    args: &ConvertArgs,
    (model, runtime): (&Model, Runtime),
    threads: Option<usize>,
    started: Instant,
    console: &mut Console,
) -> Result<Outcome> {
    let progress = Progress::start(console, "reading");
    let options = SourceOptions {
        runtime,
        version: args.source.runtime_version.clone(),
        dtype: args.dtype,
        fold_batch_norms: args.fold_bn,
        preprocess: args.preprocess.mode(),
        labels: args.source.labels.clone(),
        check: match args.source.verify {
            Some(VerifySource::Build) => Check::Build,
            Some(VerifySource::Structure) | None => Check::Structure,
        },
        watch: progress.watch(),
    };
    let written = model.write_source(&args.out, &options, &proof(args, threads))?;
    drop(progress);
    let holds = written.holds();
    let seconds = started.elapsed().as_secs_f64();
    match args.format {
        Format::Json => json(console.out(), &written.document(seconds))?,
        Format::Text => {
            let style = console.style();
            text(console.out(), style, &written, seconds)?;
        }
    }
    if holds {
        written.commit()?;
        return Ok(Outcome::Holds);
    }
    console.complain(written.refusal());
    Ok(Outcome::Fails)
}

fn text(out: &mut dyn Write, style: Style, written: &SourceCrate, seconds: f64) -> Result<()> {
    let emitted = written.emitted();
    let (from, to) = (written.source().shown(), style.bold(&written.folder().shown().to_string()));
    match written.holds() {
        true => writeln!(out, "{from} → {to}")?,
        false => writeln!(out, "{from} → {to}: {}", style.error("not written"))?,
    }
    let (files, tensors) = (plural(emitted.files.len(), "file"), plural(emitted.mapping.len(), "tensor"));
    let (runtime, version) = (written.runtime(), written.version());
    writeln!(out, "  a crate for {runtime} {version}: {files}, {}, {seconds:.2} s", bytes(emitted.bytes))?;
    match written.modules() {
        0 => writeln!(out, "  {tensors}")?,
        modules => writeln!(out, "  {}, {tensors}", plural(modules, "module"))?,
    }
    for line in report::prepared(written.preparation()) {
        writeln!(out, "  {}", said(&line))?;
    }
    report::list(out, emitted.notes.iter().cloned())?;
    match written.verification() {
        Some(verification) => {
            let what =
                if written.modules() > 0 { "its modules, executed on symbols," } else { "its model, read back," };
            writeln!(out, "\n{what} held against the source:")?;
            render::verification::text(out, style, verification)?;
        }
        None => writeln!(out, "  {}", style.warning("not proved: --no-verify was given"))?,
    }
    for verification in written.golden() {
        writeln!(out, "\nthe source against the golden outputs:")?;
        render::verification::text(out, style, verification)?;
    }
    match written.is_built() {
        true => writeln!(out, "\nbuilt, and its golden test passes")?,
        false => writeln!(out, "\nnot built: --verify build runs its golden test")?,
    }
    Ok(())
}
