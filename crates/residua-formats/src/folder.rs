//! Files that a model names: shards, external data. They have to lie beside the model.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use residua_ir::Shown;
use residua_ir::files::{inputs, map_file};

use crate::FormatError;
use crate::error::Result;

/// The folder of a model, and where names in it may lead.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: PathBuf,
    /// The folder, and the one that the model itself is in when the symbolic links to it are followed: the cache of
    /// Hugging Face has all files of a model as links into one folder of blobs.
    roots: Vec<PathBuf>,
}

impl Folder {
    /// The folder of this model file.
    pub(crate) fn of(model: &Path) -> Self {
        let parent = |path: &Path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let folder = parent(model);
        let behind_links = model.canonicalize().map(|model| parent(&model));
        let roots = folder.canonicalize().into_iter().chain(behind_links).collect();
        Self { folder, roots }
    }

    /// Remembers that the model refers to the file of this name, whether it is read or not.
    pub(crate) fn note(&self, name: &str) {
        if is_below(name) {
            inputs::note(&self.folder.join(name));
        }
    }

    /// Maps the file of this name.
    pub(crate) fn map(&self, at: &str, name: &str) -> Result<Bytes> {
        let inside = |path: &Path| self.roots.iter().any(|root| path.starts_with(root));
        let refused = || {
            let found = format!("`{}`", name.shown());
            FormatError::malformed(at, "a file in the model's folder", found)
        };
        if !is_below(name) {
            return Err(refused());
        }
        let path = self.folder.join(name);
        let failed = |error| FormatError::io(error).in_file(&path);
        if !inside(&path.canonicalize().map_err(failed)?) {
            return Err(refused());
        }
        map_regular(&path)
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
