//! Files that a model names: shards, external data. They have to lie beside the model, or to be given with it.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use residua_ir::Shown;
use residua_ir::files::{inputs, map_file};

use crate::error::Result;
use crate::{Companions, FormatError, ModelSource};

/// Where names that a model gives may lead.
#[derive(Debug)]
pub(crate) enum Folder {
    /// The folder that the model lies in.
    Disk(Disk),
    /// What was given with a model in memory; nothing where it was given alone.
    Given(Option<Arc<dyn Companions>>),
}

/// The folder of a model, and where names in it may lead.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// The folder, and the one that the model itself is in when the symbolic links to it are followed: the cache of
    /// Hugging Face has all files of a model as links into one folder of blobs.
    roots: Vec<PathBuf>,
}

impl Folder {
    /// What lies beside this model.
    pub(crate) fn beside(source: &ModelSource) -> Self {
        match source.memory() {
            Some(memory) => Self::Given(memory.companions.clone()),
            None => Self::of(source.name()),
        }
    }

    /// The folder of this model file.
    pub(crate) fn of(model: &Path) -> Self {
        let folder = parent(model);
        let behind_links = model.canonicalize().map(|model| parent(&model));
        let roots = folder.canonicalize().into_iter().chain(behind_links).collect();
        Self::Disk(Disk { folder, roots })
    }

    /// Nothing: a model that lies nowhere.
    pub(crate) fn none() -> Self {
        Self::Given(None)
    }

    /// Remembers that the model refers to the file of this name, whether it is read or not.
    pub(crate) fn note(&self, name: &str) {
        match self {
            Self::Disk(disk) if is_below(name) => inputs::note(&disk.folder.join(name)),
            Self::Disk(_) | Self::Given(_) => {}
        }
    }

    /// The bytes of the file of this name, which the model needs.
    pub(crate) fn map(&self, at: &str, name: &str) -> Result<Bytes> {
        match self {
            Self::Disk(disk) => disk.map(at, name),
            Self::Given(_) => self.map_if_there(at, name)?.ok_or_else(|| {
                let found = format!("`{}`, which was not given with the model's bytes", name.shown());
                FormatError::malformed(at, "data in the model, or in a file beside it", found)
            }),
        }
    }

    /// The bytes of the file of this name, if there is one.
    pub(crate) fn map_if_there(&self, at: &str, name: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Disk(disk) if disk.folder.join(name).is_file() => disk.map(at, name).map(Some),
            Self::Disk(_) | Self::Given(None) => Ok(None),
            Self::Given(Some(_)) if !is_below(name) => Err(leads_away(at, name)),
            Self::Given(Some(companions)) => {
                companions.open(name).map_err(|error| FormatError::io(error).in_file(Path::new(name)))
            }
        }
    }
}

impl Disk {
    fn map(&self, at: &str, name: &str) -> Result<Bytes> {
        let inside = |path: &Path| self.roots.iter().any(|root| path.starts_with(root));
        if !is_below(name) {
            return Err(leads_away(at, name));
        }
        let path = self.folder.join(name);
        let failed = |error| FormatError::io(error).in_file(&path);
        if !inside(&path.canonicalize().map_err(failed)?) {
            return Err(leads_away(at, name));
        }
        map_regular(&path)
    }
}

fn leads_away(at: &str, name: &str) -> FormatError {
    FormatError::malformed(at, "a file in the model's folder", format!("`{}`", name.shown()))
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Whether a name leads down from a folder, as far as its text says.
fn is_below(name: &str) -> bool {
    let steps = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && Path::new(name).components().all(steps)
}

/// Maps a file, and only a file: opening a pipe would wait for a writer.
pub(crate) fn map_regular(path: &Path) -> Result<Bytes> {
    let failed = |error| FormatError::io(error).in_file(path);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    map_file(path).map_err(failed)
}
