//! What came of a conversion, and its JSON.

use std::path::{Path, PathBuf};

use residua_emit::{Dropped, Emitted, Exactness, TensorMapping};
use residua_ir::computes::ComputesIn;
use residua_ir::rewrite::Applied;
use residua_resnet::layout_fit::Fitted;
use residua_resnet::preprocessing::Known;
use serde::Serialize;

use super::target::Target;
use crate::proof::Verification;

/// The document of a conversion; the schema is `residua.convert/1`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    computes_in: &'a [ComputesIn],
    /// How the source was told, and what was taken where its file leaves it open.
    source_notes: &'a [String],
    /// What was undone of an export, or done to the graph otherwise.
    passes: &'a [Applied],
    /// How images are prepared, as it is written into the output; null values where nothing tells.
    preparation: &'a Known,
    verification: Option<&'a Verification>,
    golden: &'a [Verification],
}

impl super::SourceCrate {
    /// The document of it; `seconds` is what all of it took. It is that of a conversion, with the folder as its output.
    #[must_use]
    pub fn document(&self, seconds: f64) -> SourceDocument<'_> {
        let emitted = self.emitted();
        let holds = self.holds();
        SourceDocument {
            schema: "residua.convert/1",
            source: text(self.source()),
            output: holds.then(|| text(self.folder())),
            format: self.runtime(),
            version: self.version(),
            files: emitted.files.iter().filter(|_| holds).map(|file| text(file)).collect(),
            bytes: emitted.bytes,
            seconds,
            modules: self.modules(),
            built: self.is_built(),
            tensors: emitted.mapping,
            notes: emitted.notes,
            preparation: self.preparation(),
            verification: self.verification(),
            golden: self.golden(),
        }
    }
}

/// The document of a crate with source.
#[derive(Debug, Serialize)]
pub struct SourceDocument<'a> {
    schema: &'static str,
    source: String,
    /// The folder; null where nothing was written, since the proof failed.
    output: Option<String>,
    /// The runtime.
    format: &'static str,
    /// Its version.
    version: &'static str,
    files: Vec<String>,
    bytes: u64,
    seconds: f64,
    /// Modules of the source.
    modules: usize,
    /// Whether the crate was built, and its golden test passed.
    built: bool,
    tensors: Vec<TensorMapping>,
    notes: Vec<String>,
    preparation: &'a Known,
    verification: Option<&'a Verification>,
    golden: &'a [Verification],
}

/// What came of a conversion.
#[derive(Debug)]
pub struct Converted {
    pub(super) source: PathBuf,
    /// The main file of the output.
    pub(super) file: PathBuf,
    pub(super) target: Target,
    pub(super) emitted: Emitted,
    pub(super) computes_in: Vec<ComputesIn>,
    pub(super) told: Vec<String>,
    pub(super) passes: Vec<Applied>,
    pub(super) preparation: Known,
    pub(super) verification: Option<Verification>,
    pub(super) golden: Vec<Verification>,
    /// Whether the output is at its place.
    pub(super) written: bool,
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Document<'_> {
    /// The same under the schema of another command, of which a conversion is the last step.
    #[must_use]
    pub fn of_schema(self, schema: &'static str) -> Self {
        Self { schema, ..self }
    }
}

impl Converted {
    /// Where the source was read from.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The main file of the output.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the output is at its place; it is not where a proof failed.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// Files, tensors and what was left out.
    #[must_use]
    pub fn emitted(&self) -> &Emitted {
        &self.emitted
    }

    /// The tensors as another framework's code reads them, where the output is for one.
    #[must_use]
    pub fn fitted(&self) -> Option<&Fitted> {
        self.target.fitted()
    }

    /// What was undone of an export, or done to the graph otherwise.
    #[must_use]
    pub fn passes(&self) -> &[Applied] {
        &self.passes
    }

    /// How images are prepared, as it is written into the output.
    #[must_use]
    pub fn preparation(&self) -> &Known {
        &self.preparation
    }

    /// What was found where the file was held against the source; none where nobody asked.
    #[must_use]
    pub fn verification(&self) -> Option<&Verification> {
        self.verification.as_ref()
    }

    /// The source against each set of golden outputs.
    #[must_use]
    pub fn golden(&self) -> &[Verification] {
        &self.golden
    }

    /// What there is to know of what was written.
    #[must_use]
    pub fn notes(&self) -> Vec<&String> {
        self.target.notes().iter().chain(&self.emitted.notes).collect()
    }

    /// The document of it; `seconds` is what all of it took.
    #[must_use]
    pub fn document(&self, seconds: f64) -> Document<'_> {
        Document {
            schema: "residua.convert/1",
            source: text(&self.source),
            output: self.written.then(|| text(&self.file)),
            format: self.target.format(),
            layout: self.target.layout(),
            settings: self.target.fitted().map_or(&[], |held| &held.settings),
            files: self.emitted.files.iter().filter(|_| self.written).map(|file| text(file)).collect(),
            bytes: self.emitted.bytes,
            seconds,
            tensors: &self.emitted.mapping,
            dropped: &self.emitted.dropped,
            exactness: &self.emitted.exactness,
            notes: self.notes(),
            computes_in: &self.computes_in,
            source_notes: &self.told,
            passes: &self.passes,
            preparation: &self.preparation,
            verification: self.verification.as_ref(),
            golden: &self.golden,
        }
    }
}
