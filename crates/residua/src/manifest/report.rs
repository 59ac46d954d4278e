//! `check --manifest`: what came of replaying a manifest, as text and JSON.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use residua_ir::Shown;
use serde::Serialize;

use super::document::Manifest;
use super::replay::{Replayed, Sides, replay};
use crate::check::{Report, Verdict};
use crate::console::Style;
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
    verdict: Verdict,
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

/// Two files and what their manifest says of them.
pub(crate) struct Held {
    manifest: PathBuf,
    sides: Sides,
    replayed: Replayed,
    known: usize,
}

/// Replays the manifest at `path` against two files, or against those that it names.
///
/// # Errors
/// Where it is none, or a file cannot be read.
pub(crate) fn check(path: &Path, models: &[&Path]) -> Result<Held> {
    let manifest = Manifest::read(path)?;
    let sides = match models {
        [source, output] => Sides { source: source.to_path_buf(), output: output.to_path_buf() },
        _ => Sides::recorded(&manifest, path)?,
    };
    let replayed = replay(&manifest, &sides)?;
    Ok(Held { manifest: path.to_owned(), sides, replayed, known: manifest.tensors.len() })
}

impl Held {
    /// The model that was converted to.
    pub(crate) fn output(&self) -> &Path {
        &self.sides.output
    }

    /// What is not as the manifest says.
    pub(crate) fn findings(&self) -> Vec<FindingRecord> {
        self.replayed.findings.iter().map(FindingRecord::from).collect()
    }

    /// The document of `check --manifest`.
    pub(crate) fn json(&self, out: &mut dyn Write, report: &Report) -> Result<()> {
        let document = Document {
            schema: "residua.check/1",
            file: self.sides.output.to_string_lossy().into_owned(),
            source: self.sides.source.to_string_lossy().into_owned(),
            manifest: self.manifest.to_string_lossy().into_owned(),
            verdict: report.verdict(),
            findings: &report.findings,
            tensors: Counts { known: self.known, repeated: self.replayed.repeated, by_hash: self.replayed.by_hash },
        };
        render::json(out, &document)
    }

    /// The same to be read.
    pub(crate) fn text(&self, out: &mut dyn Write, style: Style, report: &Report) -> Result<()> {
        let findings = &report.findings;
        if !findings.is_empty() {
            let columns = [words("code"), words("level"), words("tensor"), words("what")];
            let row = |found: &FindingRecord| {
                let node = found.node.clone().unwrap_or_default();
                let message = found.message.clone();
                vec![found.code.to_owned(), found.level.to_string(), node, message]
            };
            table::write(out, &columns, findings.iter().map(row).collect())?;
            writeln!(out)?;
        }
        let holds = report.verdict() == Verdict::Pass;
        let verdict = if holds { style.good("pass") } else { style.error("fail") };
        let (source, output) = (self.sides.source.shown(), self.sides.output.shown());
        writeln!(out, "{verdict}  {source} → {output}: {}", finding::counted(findings))?;
        let Replayed { repeated, by_hash, .. } = self.replayed;
        writeln!(out, "      {} made again from the source, and the same", render::plural(repeated, "tensor"))?;
        if by_hash > 0 {
            writeln!(out, "      {by_hash} computed or left out by the source, compared by hash alone")?;
        }
        Ok(())
    }
}
