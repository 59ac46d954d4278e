//! What came of replaying a manifest, and its JSON.

use std::path::{Path, PathBuf};

use crate::error::Result;
use residua_ir::Finding;

use super::document::Manifest;
use super::replay::{Models, Replayed, replay};

#[cfg(feature = "reports")]
#[derive(serde::Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// The output.
    file: String,
    /// The source.
    source: String,
    manifest: String,
    verdict: crate::check::Verdict,
    findings: &'a [Finding],
    tensors: Counts,
}

#[cfg(feature = "reports")]
#[derive(serde::Serialize)]
struct Counts {
    /// Tensors of the output that the manifest knows.
    known: usize,
    /// Those that were made again from the source, and are the same.
    repeated: usize,
    /// Computed ones, which were compared by hash alone.
    by_hash: usize,
}

/// Two files and what their manifest says of them.
pub struct Held {
    #[cfg_attr(not(feature = "reports"), expect(dead_code, reason = "for its document"))]
    manifest: PathBuf,
    models: Models,
    replayed: Replayed,
    #[cfg_attr(not(feature = "reports"), expect(dead_code, reason = "for its document"))]
    known: usize,
}

/// Replays the manifest at `path` against two files, or against those that it names.
///
/// # Errors
/// Where it is none, or a file cannot be read.
pub fn check(path: &Path, models: &[&Path]) -> Result<Held> {
    let manifest = Manifest::read(path)?;
    let models = match models {
        [source, output] => Models { source: source.to_path_buf(), output: output.to_path_buf() },
        _ => Models::recorded(&manifest, path)?,
    };
    let replayed = replay(&manifest, &models)?;
    Ok(Held { manifest: path.to_owned(), models, replayed, known: manifest.tensors.len() })
}

impl Held {
    /// The model that was converted to.
    pub fn output(&self) -> &Path {
        &self.models.output
    }

    /// The model that was converted.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.models.source
    }

    /// Tensors that were made again from the source and found in the output.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.replayed.repeated
    }

    /// Tensors whose values were computed, so that only hashes could be compared.
    #[must_use]
    pub fn by_hash(&self) -> usize {
        self.replayed.by_hash
    }

    /// What is not as the manifest says.
    pub fn findings(&self) -> Vec<Finding> {
        self.replayed.findings.clone()
    }

    /// The document of `check --manifest`.
    #[cfg(feature = "reports")]
    pub fn json(&self, out: &mut dyn std::io::Write, report: &crate::check::Report) -> Result<()> {
        let document = Document {
            schema: "residua.check/1",
            file: self.models.output.to_string_lossy().into_owned(),
            source: self.models.source.to_string_lossy().into_owned(),
            manifest: self.manifest.to_string_lossy().into_owned(),
            verdict: report.verdict(),
            findings: &report.findings,
            tensors: Counts { known: self.known, repeated: self.replayed.repeated, by_hash: self.replayed.by_hash },
        };
        crate::render::json(out, &document)
    }
}
