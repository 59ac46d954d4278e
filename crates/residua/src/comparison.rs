//! Whether two models are the same function: [`compare`], and if not, where they begin to differ and why.

use std::path::{Path, PathBuf};

use residua_ir::Shown;
use serde::Serialize;

use crate::error::{Context, Result};
use crate::input;
use crate::model::{Model, shapes_for};
use crate::options::InputShape;
use crate::proof::{self, Cause, Examination, LayerDifference, Settings, Verdict, Verification, Wanted};
use crate::watch::Watch;

/// How two models are compared.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Sizes for free dimensions, in the axis order of the first model.
    pub input_shapes: Vec<InputShape>,
    /// Where only one of them ends in a softmax, whether what goes into it is compared.
    pub before_softmax: bool,
    /// Whether both are run also where they are made alike.
    pub numeric: bool,
    /// Whether each layer that both have is listed, with the difference there.
    pub layers: bool,
    /// Where they differ, a folder for what goes into and comes out of the first layer that does.
    #[cfg(feature = "writers")]
    pub save: Option<PathBuf>,
    /// Inputs and outputs that the source framework computed, which both must reproduce.
    pub golden: Option<PathBuf>,
    /// Absolute tolerance, instead of the bound derived from the models' own rounding noise.
    pub tolerance: Option<f64>,
    /// Threads to run on; all processors where it is `None`.
    pub threads: Option<usize>,
    /// Who watches.
    pub watch: Watch,
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    a: PathBuf,
    b: PathBuf,
    told: [Vec<String>; 2],
    layers: bool,
    /// Outputs, layers, and the cause.
    pub found: Examination,
    /// Each model against the golden outputs: sets of the first, then of the second.
    pub golden: Vec<Held>,
    /// Files that were written about the first layer that differs.
    pub saved: Option<Vec<PathBuf>>,
}

/// A model against one set of golden outputs.
#[derive(Debug, Serialize)]
pub struct Held {
    /// The file of the model.
    pub model: String,
    /// What was found.
    #[serde(flatten)]
    pub verification: Verification,
}

/// The document of a comparison; the schema is `residua.compare/1`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    a: String,
    b: String,
    /// How each network was told, and what was taken where the file leaves it open: A's, then B's.
    source_notes: [&'a [String]; 2],
    #[serde(flatten)]
    verification: &'a Verification,
    /// Why they differ; null where they do not, or where nothing that was tried explains it.
    cause: &'a Option<Cause>,
    /// Every layer that both have, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a [LayerDifference]>,
    /// Files that were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<Vec<String>>,
    /// Each model against the golden outputs: A's sets, then B's.
    golden: &'a [Held],
}

/// Runs two models on the same inputs and holds their outputs against each other.
///
/// # Errors
/// Where one of them cannot be run, or a file not be read or written.
///
/// ```
/// use residua::{Comparison, Model};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// # let trained = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.keras");
/// let same = residua::compare(&Model::open(digits)?, &Model::open(trained)?, &Comparison::default())?;
/// assert!(same.is_same());
/// # Ok::<(), residua::Error>(())
/// ```
pub fn compare(a: &Model, b: &Model, how: &Comparison) -> Result<Compared> {
    let settings = Settings {
        threads: how.threads,
        input_shapes: shapes_for(a.checked.graph(), &how.input_shapes)?,
        input_range: a.input_range(),
        tolerance: how.tolerance,
        before_softmax: how.before_softmax,
        numeric: how.numeric,
        holds_graph: false,
        holds_bits: false,
        as_a_whole: false,
        verdict_alone: false,
        written: None,
    };
    how.watch.step("running both models")?;
    let wanted = Wanted { layers: how.layers, failing: saves(how), cause: true };
    let found = proof::examine(&a.checked, &b.checked, &settings, wanted)?;
    let mut golden = Vec::new();
    if let Some(path) = &how.golden {
        how.watch.step("running both on the golden inputs")?;
        for model in [a, b] {
            golden.extend(held(model, path, &settings)?);
        }
    }
    let saved = save(how, [&a.path, &b.path], &found)?;
    let told = [a.told().to_vec(), b.told().to_vec()];
    Ok(Compared { a: a.path.clone(), b: b.path.clone(), told, layers: how.layers, found, golden, saved })
}

#[cfg(feature = "writers")]
fn saves(how: &Comparison) -> bool {
    how.save.is_some()
}

#[cfg(not(feature = "writers"))]
fn saves(_: &Comparison) -> bool {
    false
}

/// Writes what goes into and comes out of the first layer that differs, where that is wanted and there is one.
#[cfg(feature = "writers")]
fn save(how: &Comparison, paths: [&Path; 2], found: &Examination) -> Result<Option<Vec<PathBuf>>> {
    match (&how.save, &found.failing) {
        (Some(folder), Some(failing)) => proof::save::write(folder, failing, paths, &found.verification).map(Some),
        (Some(_), None) | (None, _) => Ok(None),
    }
}

#[cfg(not(feature = "writers"))]
#[expect(clippy::unnecessary_wraps, reason = "as with writers")]
fn save(_: &Comparison, _: [&Path; 2], _: &Examination) -> Result<Option<Vec<PathBuf>>> {
    Ok(None)
}

/// A model on each golden set.
fn held(model: &Model, path: &Path, settings: &Settings) -> Result<Vec<Held>> {
    let mut all = Vec::new();
    for set in input::read_golden(path, &model.checked)? {
        let verification = proof::golden(&model.checked, &set, settings)
            .with_context(|| format!("{} on {}", model.path.shown(), path.shown()))?;
        all.push(Held { model: model.path.to_string_lossy().into_owned(), verification });
    }
    Ok(all)
}

impl Compared {
    /// Whether both are the same function, and reproduce the golden outputs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let golden = self.golden.iter().map(|held| held.verification.verdict);
        golden.chain([self.found.verification.verdict]).all(|verdict| verdict == Verdict::Same)
    }

    /// The document of it.
    #[must_use]
    pub fn document(&self) -> Document<'_> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        Document {
            schema: "residua.compare/1",
            a: text(&self.a),
            b: text(&self.b),
            source_notes: [&self.told[0], &self.told[1]],
            verification: &self.found.verification,
            cause: &self.found.cause,
            layers: self.layers.then_some(&self.found.layers),
            saved: self.saved.as_ref().map(|files| files.iter().map(text).collect()),
            golden: &self.golden,
        }
    }
}
