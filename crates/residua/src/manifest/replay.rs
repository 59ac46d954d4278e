//! Holding two files against a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Error, Result, bail};
use rayon::prelude::*;
use residua_ir::{Finding, Shown, Tensor, Transform};
use residua_verify::manifest as codes;

use super::document::{Entry, Manifest, ModelFiles, Pair, Single, Stored, form};
use super::hash::{self, Sha256Hex};
use super::stored::{self, Contents};
use super::transforms;

/// Where both models are.
pub(crate) struct Models {
    /// The model that was converted.
    pub source: PathBuf,
    /// What it was converted to.
    pub output: PathBuf,
}

/// What came of it.
pub(crate) struct Replayed {
    /// What differs.
    pub findings: Vec<Finding>,
    /// Tensors that were repeated from the source and found in the output.
    pub repeated: usize,
    /// Tensors whose values were computed, so that only hashes could be compared.
    pub by_hash: usize,
}

impl Models {
    /// Where a manifest says they are: within its own folder, whatever it says.
    ///
    /// # Errors
    /// Where it names another place; that is for the user to name.
    pub(crate) fn recorded(manifest: &Manifest, path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let within = |files: &ModelFiles| {
            let inside = Path::new(&files.path).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside || files.path.is_empty() {
                bail!(
                    "{}: `{}` is not in the folder of the manifest; name the source and the output behind it",
                    path.shown(),
                    files.path
                );
            }
            Ok(folder.join(&files.path))
        };
        Ok(Self { source: within(&manifest.source)?, output: within(&manifest.output)? })
    }
}

/// Compares every tensor of both files with what the manifest says, and repeats what was done.
///
/// # Errors
/// Where a file cannot be read at all, or a transform is none.
pub(crate) fn replay(manifest: &Manifest, models: &Models) -> Result<Replayed> {
    let steps: Vec<Vec<Transform>> = manifest.tensors.iter().map(steps).collect::<Result<_>>()?;
    let source = Opened::new("source", &models.source)?;
    let output = Opened::new("output", &models.output)?;
    let mut findings = source.against(manifest.tensors.iter().flat_map(|pair| &pair.sources), &manifest.unused);
    findings.extend(output.against(manifest.tensors.iter().map(|pair| &pair.target), &manifest.added));
    let pairs: Vec<Option<Outcome>> = manifest
        .tensors
        .par_iter()
        .zip(&steps)
        .map(|(pair, steps)| pair_outcome(pair, steps, &source, &output))
        .collect();
    let (mut repeated, mut by_hash) = (0, 0);
    for (pair, outcome) in manifest.tensors.iter().zip(pairs) {
        match outcome {
            Some(Outcome::Repeated) => repeated += 1,
            Some(Outcome::ByHash) => by_hash += 1,
            Some(Outcome::Fails(message)) => findings.push(
                Finding::new(&codes::BROKEN_TRANSFORM, message, "the manifest was changed, or belongs to other files")
                    .at(&pair.target.name),
            ),
            None => {}
        }
    }
    findings.extend(source.files(&manifest.source));
    findings.extend(output.files(&manifest.output));
    Ok(Replayed { findings, repeated, by_hash })
}

fn steps(pair: &Pair) -> Result<Vec<Transform>> {
    let parsed: Result<Vec<Transform>, String> = pair.transforms.iter().map(|text| transforms::parse(text)).collect();
    parsed.map_err(Error::Refused).with_context(|| format!("the manifest, at tensor `{}`", pair.target.name))
}

/// What became of repeating one tensor.
enum Outcome {
    Repeated,
    ByHash,
    Fails(String),
}

/// Nothing where a tensor of the pair differs already, which has a finding of its own.
fn pair_outcome(pair: &Pair, steps: &[Transform], source: &Opened, output: &Opened) -> Option<Outcome> {
    let intact = pair.sources.iter().all(|entry| source.holds(entry)) && output.holds(&pair.target);
    if !intact {
        return None;
    }
    let computed = steps.iter().any(|step| matches!(step, Transform::Computed(_)));
    let [entry] = &pair.sources[..] else { return Some(Outcome::ByHash) };
    if computed {
        return Some(Outcome::ByHash);
    }
    let tensor = source.contents.tensors.get(&entry.location)?;
    let expected = &pair.target.stored;
    let made = match steps.iter().try_fold(tensor.clone(), |tensor, step| tensor.apply(step)) {
        Ok(made) => made,
        Err(error) => return Some(Outcome::Fails(format!("from `{}`: {error}", entry.name))),
    };
    if !expected.fits(&made) {
        let found = form(made.dtype(), made.shape());
        let message = format!("from `{}`: leads to {found}, expected {}", entry.name, expected.form());
        return Some(Outcome::Fails(message));
    }
    match hash::tensor(&made) {
        Ok(sha256) if sha256 == expected.sha256 => Some(Outcome::Repeated),
        Ok(_) => Some(Outcome::Fails(format!("from `{}`: leads to other values", entry.name))),
        Err(error) => Some(Outcome::Fails(format!("from `{}`: {error}", entry.name))),
    }
}

/// One of the two files.
struct Opened {
    role: &'static str,
    path: PathBuf,
    contents: Contents,
    /// Hash of each tensor, or why there is none.
    hashes: BTreeMap<String, Result<Sha256Hex, String>>,
}

impl Opened {
    fn new(role: &'static str, path: &Path) -> Result<Self> {
        let contents = stored::open(path)?;
        let all: Vec<&Tensor> = contents.tensors.values().collect();
        let hashes = hash::tensors(&all).into_iter().map(|hash| hash.map_err(|error| error.to_string()));
        let hashes = contents.tensors.keys().cloned().zip(hashes).collect();
        Ok(Self { role, path: path.to_owned(), contents, hashes })
    }

    fn holds(&self, entry: &Entry) -> bool {
        self.difference(&entry.name, &entry.location, &entry.stored).is_none()
    }

    /// What is not as the manifest says.
    fn difference(&self, name: &str, location: &str, expected: &Stored) -> Option<Finding> {
        let role = self.role;
        let finding = |code, message: String, help: &str| Some(Finding::new(code, message, help.to_owned()).at(name));
        let Some(tensor) = self.contents.tensors.get(location) else {
            return finding(&codes::MISSING_TENSOR, format!("the {role} has no such tensor"), codes::OTHER_FILES);
        };
        if !expected.fits(tensor) {
            let found = form(tensor.dtype(), tensor.shape());
            let message = format!("in the {role}: expected {}, found {found}", expected.form());
            return finding(&codes::CHANGED_SHAPE, message, codes::OTHER_FILES);
        }
        match self.hashes.get(location)? {
            Ok(sha256) if *sha256 == expected.sha256 => None,
            Ok(_) => {
                let message = format!("in the {role}: the values are not those of the conversion");
                finding(&codes::CHANGED_VALUES, message, codes::OTHER_FILES)
            }
            Err(error) => finding(&codes::CHANGED_VALUES, format!("in the {role}: {error}"), codes::OTHER_FILES),
        }
    }

    /// All that differs in this file from what the manifest says of it.
    fn against<'a>(&self, entries: impl Iterator<Item = &'a Entry>, singles: &'a [Single]) -> Vec<Finding> {
        let mut known = BTreeSet::new();
        let mut findings = Vec::new();
        // One tensor of a source may be in several pairs.
        for entry in entries {
            if known.insert(entry.location.as_str()) {
                findings.extend(self.difference(&entry.name, &entry.location, &entry.stored));
            }
        }
        for single in singles {
            known.insert(single.location.as_str());
            match &single.stored {
                Some(stored) => findings.extend(self.difference(&single.name, &single.location, stored)),
                None if self.contents.unread.contains_key(&single.location) => {}
                None => findings.push(
                    Finding::new(
                        &codes::MISSING_TENSOR,
                        format!("the {} has nothing of this name any more", self.role),
                        codes::OTHER_FILES,
                    )
                    .at(&single.name),
                ),
            }
        }
        let there = self.contents.tensors.keys().chain(self.contents.unread.keys());
        findings.extend(there.filter(|place| !known.contains(place.as_str())).map(|place| {
            Finding::new(
                &codes::EXTRA_TENSOR,
                format!("in the {}: the manifest does not know it", self.role),
                codes::OTHER_FILES,
            )
            .at(self.contents.name(place))
        }));
        findings
    }

    /// Files that are not the very files of the conversion.
    fn files(&self, files: &ModelFiles) -> Vec<Finding> {
        let folder = if self.path.is_dir() { Some(self.path.as_path()) } else { self.path.parent() };
        let folder = folder.unwrap_or(Path::new(""));
        let place = |index: usize, name: &str| {
            if index == 0 && !self.path.is_dir() { self.path.clone() } else { folder.join(name) }
        };
        let changed = files.files.iter().enumerate().filter_map(|(index, file)| {
            let message = match hash::file(&place(index, &file.name)) {
                Ok(sha256) if sha256 == file.sha256 => return None,
                Ok(_) => format!("the {} is not the very file of the conversion", self.role),
                Err(error) => format!("of the {}: {error:#}", self.role),
            };
            let help = "where tensors hold, what changed is beside them: metadata, order, names of layers";
            Some(Finding::new(&codes::CHANGED_FILE, message, help).at(&file.name))
        });
        changed.collect()
    }
}
