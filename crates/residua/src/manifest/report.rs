//! `check --manifest`: what came of replaying a manifest, as text and JSON.

use std::path::Path;

use anyhow::Result;
use residua_ir::Level;
use serde::Serialize;

use super::document::Manifest;
use super::replay::{Replayed, Sides, replay};
use crate::args::Format;
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render;
use crate::render::table::{self, words};
use crate::render::{FindingRecord, finding};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// The output.
    file: String,
    /// The source.
    source: String,
    manifest: String,
    verdict: &'static str,
    findings: &'a [FindingRecord],
    tensors: Counts,
}

#[derive(Serialize)]
struct Counts {
    /// Tensors of the output that the manifest knows.
    known: usize,
    /// Those that were made again from the source, and are the same.
    repeated: usize,
    /// Computed ones, which were compared by hash alone.
    by_hash: usize,
}

/// Replays the manifest at `path` against two files, or against those that it names.
///
/// # Errors
/// Where it is none, or a file cannot be read.
pub(crate) fn check(path: &Path, models: &[&Path], format: Format, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "checking");
    let manifest = Manifest::read(path)?;
    let sides = match models {
        [source, output] => Sides { source: source.to_path_buf(), output: output.to_path_buf() },
        _ => Sides::recorded(&manifest, path)?,
    };
    let replayed = replay(&manifest, &sides)?;
    drop(progress);
    let findings: Vec<FindingRecord> = replayed.findings.iter().map(FindingRecord::from).collect();
    let holds = findings.iter().all(|finding| finding.level != Level::Error);
    match format {
        Format::Json => {
            let document = Document {
                schema: "residua.check/1",
                file: sides.output.display().to_string(),
                source: sides.source.display().to_string(),
                manifest: path.display().to_string(),
                verdict: if holds { "pass" } else { "fail" },
                findings: &findings,
                tensors: Counts {
                    known: manifest.tensors.len(),
                    repeated: replayed.repeated,
                    by_hash: replayed.by_hash,
                },
            };
            render::json(console.out(), &document)?;
        }
        Format::Text => text(&replayed, &findings, holds, &sides, console)?,
    }
    Ok(if holds { Outcome::Holds } else { Outcome::Fails })
}

fn text(
    replayed: &Replayed,
    findings: &[FindingRecord],
    holds: bool,
    sides: &Sides,
    console: &mut Console,
) -> Result<()> {
    let style = console.style();
    let out = console.out();
    if !findings.is_empty() {
        let columns = [words("code"), words("level"), words("tensor"), words("what")];
        let row = |finding: &FindingRecord| {
            let node = finding.node.clone().unwrap_or_default();
            vec![finding.code.to_owned(), finding.level.to_string(), node, finding.message.clone()]
        };
        table::write(out, &columns, findings.iter().map(row).collect())?;
        writeln!(out)?;
    }
    let verdict = if holds { style.good("pass") } else { style.error("fail") };
    let (source, output) = (sides.source.display(), sides.output.display());
    writeln!(out, "{verdict}  {source} → {output}: {}", finding::counted(findings))?;
    let Replayed { repeated, by_hash, .. } = *replayed;
    writeln!(out, "      {} made again from the source, and the same", render::plural(repeated, "tensor"))?;
    if by_hash > 0 {
        writeln!(out, "      {by_hash} computed or left out by the source, compared by hash alone")?;
    }
    Ok(())
}
