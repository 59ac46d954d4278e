//! Making a manifest, from both files as they lie there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, bail};
use residua_emit::place::Pending;
use residua_emit::{Dropped, Staged};
use residua_ir::{Graph, ParameterId, Shown, Tensor};

use super::document::{Entry, FileHash, Manifest, ModelFiles, Pair, SCHEMA, Single, Stored, Tool};
use super::hash;
use super::stored::{self, Contents};
use crate::{output, paths, render};

/// What was done.
pub struct Conversion<'a> {
    /// The source's path.
    pub source: &'a Path,
    /// The graph that was written, with the handles that the mapping uses.
    pub graph: &'a Graph,
    /// Format of the output.
    pub format: &'a str,
    /// What was written, and is not at its place yet.
    pub staged: &'a Staged,
}

/// Writes the manifest of a conversion beside its place, to be moved there with the output.
///
/// # Errors
/// Where a file cannot be read again, or the manifest not written.
pub fn stage(path: &Path, conversion: &Conversion<'_>) -> Result<Pending> {
    let manifest = manifest(path, conversion).with_context(|| format!("cannot make the manifest {}", path.shown()))?;
    output::stage(path, |file| render::json(file, &manifest))
}

fn manifest(path: &Path, conversion: &Conversion<'_>) -> Result<Manifest> {
    let Conversion { source, graph, format, staged } = *conversion;
    let emitted = staged.emitted();
    let Some(target) = emitted.files.first() else { bail!("the output has no file") };
    let (before, after) = (stored::open(source)?, stored::open(&staged.path())?);
    let (stored_before, stored_after) = (describe(&before)?, describe(&after)?);
    let lookup = |id: ParameterId| {
        let parameter = graph.parameter(id);
        let names = [parameter.location.raw(), parameter.name.raw()];
        let location = names.into_iter().find(|&location| stored_before.contains_key(location))?;
        entry(&stored_before, location, parameter.name.raw())
    };

    let mut used = BTreeSet::new();
    let mut written = BTreeSet::new();
    let mut tensors = Vec::with_capacity(emitted.mapping.len());
    for mapping in &emitted.mapping {
        let Some(target) = entry(&stored_after, &mapping.to, &mapping.to) else {
            bail!("the output lacks `{}`, which was written", mapping.to);
        };
        let sources: Vec<Entry> = mapping.sources.iter().filter_map(|&id| lookup(id)).collect();
        used.extend(sources.iter().map(|entry| entry.location.clone()));
        written.insert(target.location.clone());
        // What the container did to get its tensor is no step from it.
        let own = match &sources[..] {
            [entry] => before.tensors.get(&entry.location).map_or(0, |tensor| prefix(tensor, &mapping.transforms)),
            _ => 0,
        };
        tensors.push(Pair { sources, target, transforms: mapping.transforms[own..].to_vec() });
    }
    let reasons = reasons(graph, &emitted.dropped, &before);
    let mut unused = singles(&before, &stored_before, &used, &reasons, NOT_A_TENSOR_OF_ITS_OWN);
    let unread = before.unread.iter().filter(|(place, _)| !before.tensors.contains_key(*place));
    unused.extend(unread.map(|(place, reason)| Single {
        name: place.clone(),
        location: place.clone(),
        stored: None,
        reason: reason.clone(),
    }));
    let added = singles(&after, &stored_after, &written, &BTreeMap::new(), "a constant of the output's own");

    let about = graph.source();
    let written: Vec<PathBuf> = emitted.files.iter().map(|file| staged.now_at(file)).collect();
    let files_of = |model: &Path, files: &[PathBuf], format: &str, framework: Option<&str>| -> Result<ModelFiles> {
        Ok(ModelFiles {
            path: paths::relative(paths::folder(path), model)?,
            format: format.to_owned(),
            framework: framework.map(str::to_owned),
            files: hashes(files)?,
        })
    };
    Ok(Manifest {
        schema: SCHEMA.to_owned(),
        tool: Tool { name: "residua".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        source: files_of(source, &stored::files(source)?, about.format.name(), Some(about.framework.name()))?,
        output: files_of(target, &written, format, None)?,
        tensors,
        unused,
        added,
    })
}

const NOT_A_TENSOR_OF_ITS_OWN: &str =
    "no tensor of the output is made of it alone: it was folded into others, or is not needed";

/// How many of the transforms belong to the tensor as the container gives it.
fn prefix(tensor: &Tensor, of: &[String]) -> usize {
    let own = tensor.transforms();
    let same = own.len() <= of.len() && own.iter().zip(of).all(|(a, b)| a.to_string() == *b);
    if same { own.len() } else { 0 }
}

fn describe(contents: &Contents) -> Result<BTreeMap<String, Stored>> {
    let all: Vec<&Tensor> = contents.tensors.values().collect();
    let hashes = hash::tensors(&all);
    let described = contents.tensors.iter().zip(hashes).map(|((name, tensor), sha256)| {
        let sha256 = sha256.with_context(|| format!("tensor `{name}`"))?;
        Ok((name.clone(), Stored { shape: tensor.shape().to_vec(), dtype: tensor.dtype(), sha256 }))
    });
    described.collect()
}

fn entry(all: &BTreeMap<String, Stored>, location: &str, name: &str) -> Option<Entry> {
    let stored = all.get(location)?.clone();
    Some(Entry { name: name.to_owned(), location: location.to_owned(), stored })
}

/// The tensors that are in no pair.
fn singles(
    contents: &Contents,
    all: &BTreeMap<String, Stored>,
    paired: &BTreeSet<String>,
    reasons: &BTreeMap<String, String>,
    otherwise: &str,
) -> Vec<Single> {
    let rest = all.iter().filter(|(location, _)| !paired.contains(*location));
    let single = |(location, stored): (&String, &Stored)| Single {
        name: contents.name(location).to_owned(),
        location: location.clone(),
        stored: Some(stored.clone()),
        reason: reasons.get(location).map_or(otherwise, String::as_str).to_owned(),
    };
    rest.map(single).collect()
}

/// Why tensors of the source are not in the output, as far as somebody said so.
fn reasons(graph: &Graph, dropped: &[Dropped], contents: &Contents) -> BTreeMap<String, String> {
    let mut reasons = contents.unread.clone();
    reasons.extend(graph.unused().iter().map(|unused| (unused.location.raw().to_owned(), unused.reason.clone())));
    reasons.extend(dropped.iter().map(|dropped| (dropped.from.clone(), dropped.reason.clone())));
    for parameter in graph.parameters() {
        // Some are dropped by name, and found in the file by their place.
        if let Some(reason) = reasons.get(parameter.name.raw()).cloned() {
            reasons.entry(parameter.location.raw().to_owned()).or_insert(reason);
        }
    }
    reasons
}

fn hashes(files: &[PathBuf]) -> Result<Vec<FileHash>> {
    let named = files.iter().zip(hash::files(files)).map(|(path, sha256)| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(FileHash { name, sha256: sha256? })
    });
    named.collect()
}
